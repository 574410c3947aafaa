#!/usr/bin/env bash
# Requests a second of the API with every exporter on and a local agent that answers, against a bare
# tiny_http with the same number of threads, in turns, in one run. Needs wrk. Quote the ratio, not the
# figures: they depend on the machine, and on what else it does.
#   benches/against_bare.sh [ROUNDS] [SECONDS]
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-5} seconds=${2:-4} threads=4
cargo build --release --quiet --bin testapi --example bare_server
bin=target/release dir=$(mktemp -d)
pids=()
stop() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap stop EXIT
"$bin/testapi" agent --receiver-bind 127.0.0.1:18126 --dogstatsd-bind 127.0.0.1:18125 \
    --page-bind 127.0.0.1:18127 2>/dev/null & pids+=($!)
sleep 0.3
DD_TRACE_AGENT_URL=http://127.0.0.1:18126 DD_DOGSTATSD_URL=udp://127.0.0.1:18125 DD_ENV=dev \
    TESTAPI_LOG_FILE=$dir/api.json TESTAPI_LOG_STDOUT=false \
    "$bin/testapi" --bind 127.0.0.1:15000 --workers $threads 2>/dev/null & pids+=($!)
"$bin/examples/bare_server" 127.0.0.1:15001 $threads & pids+=($!)
sleep 0.7
measure() { wrk -t2 -c32 -d"$seconds"s "$1" | awk '/Requests\/sec/ { print $2 }'; }
measure http://127.0.0.1:15000/logging/debug >/dev/null
measure http://127.0.0.1:15001/ >/dev/null
for _ in $(seq "$rounds"); do
    api=$(measure http://127.0.0.1:15000/logging/debug)
    bare=$(measure http://127.0.0.1:15001/)
    : >"$dir/api.json"
    awk -v a="$api" -v b="$bare" 'BEGIN { printf "api %.0f/s  bare %.0f/s  ratio %.2f\n", a, b, a / b }'
done | tee "$dir/rounds"
awk '{ r[NR] = $6 } END { n = asort(r); print "median ratio " r[int((n + 1) / 2)] }' "$dir/rounds" 2>/dev/null ||
    sort -k6 -n "$dir/rounds" | awk '{ r[NR] = $6 } END { print "median ratio " r[int((NR + 1) / 2)] }'
