#!/usr/bin/env bash
# Requests a second of the API, every exporter on, with an agent that answers, one that takes connections and
# never answers, and none at all; in turns, in one run, each round in another order. And what each process has
# grown by since before its first request. Needs wrk. Quote the ratios: the figures depend on the machine.
# Fails under 0.98 of the first, or at 16 MiB.
#   benches/agent_away.sh [ROUNDS] [SECONDS]
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-15} seconds=${2:-3} threads=4
cargo build --release --quiet --bin testapi --example answering_agent
target=${CARGO_TARGET_DIR:-target} dir=$(mktemp -d)
bin=$target/release
pids=()
stop() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap stop EXIT
start() { "$@" 2>/dev/null & pids+=($!); }
declare -A process before
api() { # name, port, trace port, DogStatsD port
    start env DD_TRACE_AGENT_URL=http://127.0.0.1:"$3" DD_DOGSTATSD_URL=udp://127.0.0.1:"$4" DD_ENV=dev \
        TESTAPI_LOG_FILE="$dir/$1.json" TESTAPI_LOG_STDOUT=false \
        "$bin/testapi" --bind 127.0.0.1:"$2" --workers $threads
    process[$1]=$!
}
start "$bin/examples/answering_agent" 127.0.0.1:18136 127.0.0.1:18135
start "$bin/examples/answering_agent" 127.0.0.1:18146 127.0.0.1:18145 silent
sleep 0.3
api up 15002 18136 18135
api hung 15003 18146 18145
api down 15004 18156 18155
sleep 0.7
kib() { awk '/VmRSS/ { print $2 }' /proc/"${process[$1]}"/status; }
measure() { wrk -t2 -c32 -d"$seconds"s "http://127.0.0.1:$1/logging/debug" | awk '/Requests\/sec/ { print $2 }'; }
port() { case $1 in up) echo 15002 ;; hung) echo 15003 ;; down) echo 15004 ;; esac; }
states=(up hung down)
for state in "${states[@]}"; do before[$state]=$(kib "$state"); done
for state in "${states[@]}"; do measure "$(port "$state")" >/dev/null; done
for round in $(seq "$rounds"); do
    declare -A rate
    for turn in 0 1 2; do
        state=${states[$(((round + turn) % 3))]}
        rate[$state]=$(measure "$(port "$state")")
        : >"$dir/$state.json"
    done
    awk -v u="${rate[up]}" -v h="${rate[hung]}" -v d="${rate[down]}" 'BEGIN {
        printf "up %.0f/s  hung %.0f/s %.3f  down %.0f/s %.3f\n", u, h, h / u, d, d / u }'
done | tee "$dir/rounds"
median() { awk -v f="$1" '{ print $f }' "$dir/rounds" | sort -n | awk '{ r[NR] = $1 } END { print r[int((NR + 1) / 2)] }'; }
hung=$(median 5) down=$(median 8) worst=0
echo "median ratio to an agent that answers: $hung hung, $down down (0.98 at least)"
for state in "${states[@]}"; do
    grown=$(($(kib "$state") - before[$state]))
    echo "$state: $grown KiB grown from ${before[$state]} (16384 at most)"
    [ "$grown" -le "$worst" ] || worst=$grown
done
awk -v h="$hung" -v d="$down" -v w="$worst" 'BEGIN { exit !(h >= 0.98 && d >= 0.98 && w < 16384) }'
