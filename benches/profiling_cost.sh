#!/usr/bin/env bash
# What profiling costs: requests a second of the API with it, at its usual rates, to the same without, in pairs in
# turns, each pair in the other order than the one before; memory of both after that; and what one look takes of the
# thread that it interrupts. Needs wrk. Quote the ratio: the figures depend on the machine. Fails under 0.97 of
# the requests, or at 16 MiB more memory.
#   benches/profiling_cost.sh [PAIRS] [SECONDS] [PATH]
set -eu
cd "$(dirname "$0")/.."
pairs=${1:-15} seconds=${2:-5} path=${3:-/logging/debug} threads=4
cargo build --release --quiet --bin testapi --example answering_agent
target=${CARGO_TARGET_DIR:-target} dir=$(mktemp -d)
bin=$target/release
pids=()
stop() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap stop EXIT
start() { "$@" 2>/dev/null & pids+=($!); }
declare -A process
api() { # name, port, whether it is profiled
    start env DD_TRACE_AGENT_URL=http://127.0.0.1:18136 DD_DOGSTATSD_URL=udp://127.0.0.1:18135 DD_ENV=dev \
        DD_PROFILING_ENABLED="$3" DD_PROFILING_UPLOAD_INTERVAL=10 \
        TESTAPI_LOG_FILE="$dir/$1.json" TESTAPI_LOG_STDOUT=false \
        "$bin/testapi" --bind 127.0.0.1:"$2" --workers $threads
    process[$1]=$!
}
start "$bin/examples/answering_agent" 127.0.0.1:18136 127.0.0.1:18135
sleep 0.3
api off 15002 false
api on 15003 true
sleep 1
port() { case $1 in off) echo 15002 ;; on) echo 15003 ;; esac; }
measure() { wrk -t2 -c8 -d"$seconds"s "http://127.0.0.1:$(port "$1")$path" | awk '/Requests\/sec/ { print $2 }'; }
ticks() { awk '{ print $14 + $15 }' /proc/"${process[$1]}"/stat; } # its name has no blanks
status() { awk -v n="$2:" '$1 == n { print $2 }' /proc/"${process[$1]}"/status; }
for state in off on; do measure $state >/dev/null; done
for pair in $(seq "$pairs"); do
    declare -A rate cpu
    order=(off on)
    [ $((pair % 2)) = 0 ] || order=(on off)
    for state in "${order[@]}"; do
        before=$(ticks "$state")
        rate[$state]=$(measure "$state")
        cpu[$state]=$(awk -v t="$(($(ticks "$state") - before))" -v r="${rate[$state]}" -v s="$seconds" -v h="$(getconf CLK_TCK)" \
            'BEGIN { print t / h * 1e6 / (r * s) }')
        : >"$dir/$state.json"
    done
    awk -v f="${rate[off]}" -v n="${rate[on]}" -v c="${cpu[off]}" -v d="${cpu[on]}" 'BEGIN {
        printf "off %.0f/s  on %.0f/s  %.4f  CPU a request: off %.2f us  on %.2f us  %.4f\n", f, n, n / f, c, d, d / c }'
done | tee "$dir/pairs"
at() { # a share of the sorted ratios
    awk -v f="$1" '{ print $f }' "$dir/pairs" | sort -n | awk -v s="$2" '{ r[NR] = $1 } END { print r[int(s * (NR - 1) + 1.5)] }'; }
cpu=$(at 15 0.5) rate=$(at 5 0.5)
echo "requests a second: median ratio $rate (0.97 at least), quartiles $(at 5 0.25) and $(at 5 0.75), $pairs pairs of $seconds s"
echo "CPU time a request: median ratio $cpu, quartiles $(at 15 0.25) and $(at 15 0.75)"
for state in off on; do echo "$state: VmRSS $(status $state VmRSS) KiB, VmHWM $(status $state VmHWM) KiB"; done
more=$(($(status on VmRSS) - $(status off VmRSS)))
echo "profiling holds $more KiB more (16384 at most)"
wget -qO- http://127.0.0.1:15003/health 2>/dev/null >"$dir/health" || curl -s http://127.0.0.1:15003/health >"$dir/health"
figure() { grep -o "\"$1\": *[0-9]*" "$dir/health" | tail -1 | grep -o '[0-9]*$'; }
looks=$(figure looks) took=$(figure looks_ns)
echo "$looks looks, $((took / (looks > 0 ? looks : 1))) ns each"
awk -v r="$rate" -v m="$more" -v l="$looks" 'BEGIN { exit !(r >= 0.97 && m < 16384 && l > 0) }'
