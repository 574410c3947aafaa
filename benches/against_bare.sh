#!/usr/bin/env bash
# Requests a second of the API with every exporter on, against a bare tiny_http with the same number of
# threads, in turns, in one run: once with an agent that only answers, once with the local agent, which
# decodes and keeps all of it on the same cores. Needs wrk. Quote the ratios, not the figures: they depend
# on the machine, and on what else it does.
#   benches/against_bare.sh [ROUNDS] [SECONDS]
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-9} seconds=${2:-3} threads=4
cargo build --release --quiet --bin testapi --example bare_server --example answering_agent
bin=target/release dir=$(mktemp -d)
pids=()
stop() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap stop EXIT
start() { "$@" 2>/dev/null & pids+=($!); }
api() { # port, DogStatsD port, trace port
    start env DD_TRACE_AGENT_URL=http://127.0.0.1:"$3" DD_DOGSTATSD_URL=udp://127.0.0.1:"$2" DD_ENV=dev \
        TESTAPI_LOG_FILE="$dir/$1.json" TESTAPI_LOG_STDOUT=false \
        "$bin/testapi" --bind 127.0.0.1:"$1" --workers $threads
}
start "$bin/examples/answering_agent" 127.0.0.1:18136 127.0.0.1:18135
start "$bin/testapi" agent --receiver-bind 127.0.0.1:18126 --dogstatsd-bind 127.0.0.1:18125 \
    --page-bind 127.0.0.1:18127
start "$bin/examples/bare_server" 127.0.0.1:15001 $threads
sleep 0.3
api 15002 18135 18136
api 15003 18125 18126
sleep 0.7
measure() { wrk -t2 -c32 -d"$seconds"s "$1" | awk '/Requests\/sec/ { print $2 }'; }
for port in 15001/ 15002/logging/debug 15003/logging/debug; do measure "http://127.0.0.1:$port" >/dev/null; done
for _ in $(seq "$rounds"); do
    bare=$(measure http://127.0.0.1:15001/)
    answers=$(measure http://127.0.0.1:15002/logging/debug)
    decodes=$(measure http://127.0.0.1:15003/logging/debug)
    : >"$dir/15002.json" && : >"$dir/15003.json"
    awk -v b="$bare" -v a="$answers" -v d="$decodes" 'BEGIN {
        printf "bare %.0f/s  agent answers %.0f/s %.2f  local agent %.0f/s %.2f\n", b, a, a / b, d, d / b }'
done | tee "$dir/rounds"
median() { awk -v f="$1" '{ print $f }' "$dir/rounds" | sort -n | awk '{ r[NR] = $1 } END { print r[int((NR + 1) / 2)] }'; }
echo "median ratio: $(median 6) with an agent that answers, $(median 10) with the local agent beside it"
