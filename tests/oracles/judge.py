"""Runs the release build against judges that nobody here wrote. Called by run.sh."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

TESTAPI = "target/release/testapi"
CHECKS = (
    "trace_count_header,meta_tracer_version_header,trace_content_length,trace_stall,"
    "trace_peer_service,trace_dd_service,meta_events_is_valid_json"
)
passed = 0


def judge(rule, holds, seen=""):
    """One rule in words; what was seen is told when it does not hold."""
    global passed
    if not holds:
        sys.exit(f"does not hold: {rule}\n  seen: {str(seen)[:2000]}")
    passed += 1
    print(f"  holds: {rule}")


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=15) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def until(what, look, seconds=20):
    """Asks again until there is an answer; nothing here knows beforehand how long another program takes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = look()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"waited {seconds} s for {what}")


def start(*command, **environment):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        command, env={**kept, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def stop(process):
    process.terminate()
    _, stderr = process.communicate(timeout=20)
    return process.returncode, stderr


def traces_please_datadogs_test_agent(test_agent, folder):
    print("traces, by Datadog's APM test agent")
    port, log = free_port(), folder / "api.json"
    judging = start(
        test_agent, "--port", str(port), "--log-level", "ERROR", "--web-ui-port", "0",
        "--otlp-http-port", str(free_port()), "--otlp-grpc-port", str(free_port()),
        ENABLED_CHECKS=CHECKS, DD_POOL_TRACE_CHECK_FAILURES="true",
    )
    try:
        base = f"http://127.0.0.1:{port}"
        until("the test agent", lambda: get(f"{base}/info")[0] == 200)
        statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        statsd.bind(("127.0.0.1", 0))
        api_port = free_port()
        api = start(
            TESTAPI, "--bind", f"127.0.0.1:{api_port}",
            DD_TRACE_AGENT_URL=base, DD_DOGSTATSD_URL=f"udp://127.0.0.1:{statsd.getsockname()[1]}",
            DD_ENV="judged", TESTAPI_LOG_FILE=str(log), TESTAPI_LOG_STDOUT="false", TESTAPI_LOG_LEVEL="debug",
        )
        api_base = f"http://127.0.0.1:{api_port}"
        until("the API", lambda: get(f"{api_base}/health")[0] == 200)
        routes = json.loads(get(f"{api_base}/", Accept="application/json")[1])["routes"]
        for route in routes:
            get(api_base + route["try"])
        metrics_are_read_by_others(api_base)
        code, stderr = stop(api)
        judge("the API stops with nothing left behind", code == 0, stderr)
        status, body = get(f"{base}/test/trace_check/failures?return_all=true")
        judge("no check of the test agent fails", status == 200, body)
        traces = json.loads(get(f"{base}/test/session/traces")[1])
        linked = [span for trace in traces for span in trace if span.get("span_links")]
        judge("a span link arrives as one", len(linked) == 1 and linked[0]["span_links"][0]["span_id"] > 0, linked)
        first = [trace[0] for trace in traces]
        whole = all("_sampling_priority_v1" in span["metrics"] and span["meta"].get("_dd.p.tid") for span in first)
        judge("each chunk begins with its priority and the upper half of its trace id", whole, first)
        judge("every observed route has a trace", len(traces) >= len(routes) - 2, len(traces))
        failed = [span for trace in traces for span in trace if span.get("error") == 1 and "http.status_code" in span["meta"]]
        keys = ("error.type", "error.message", "error.stack")
        complete = all(span["meta"].get(key) for span in failed for key in keys)
        judge("each failed entry span has type, message and stack", failed and complete, failed)
        log_lines_are_json(log, {span["span_id"] for trace in traces for span in trace})
    finally:
        stop(judging)


def metrics_are_read_by_others(base):
    page = get(f"{base}/metrics")[1].decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    wanted = {"request_count", "request_latency_seconds", "custom_metric", "process_cpu_seconds"}
    judge("the Python parser reads /metrics", wanted <= families.keys(), sorted(families))
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    judge("promtool finds nothing to say", checked.returncode == 0 and not checked.stderr, checked.stderr)


def log_lines_are_json(log, span_ids):
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    access = [line for line in lines if line.get("logger.name") == "testapi.access"]
    judge("every line of the log is JSON", len(access) > 20, len(lines))
    strays = [line for line in access if int(line["dd.span_id"]) not in span_ids]
    judge("each access line names a span that the test agent has", not strays, strays)


APPLICATION = """
import sys
from ddtrace.trace import tracer
from datadog import initialize, statsd
initialize(statsd_host="127.0.0.1", statsd_port=int(sys.argv[1]), statsd_disable_aggregation=True)
with tracer.trace("judge.request", service="judged-python", resource="GET /") as root:
    with tracer.trace("judge.child") as child:
        child.set_tag("answer", "42")
for visitor in ("ana", "ben", "ana"):
    statsd.set("judge.visitors", visitor)
statsd.increment("judge.hits", 3)
statsd.timing("judge.took", 12.5)
statsd.flush()
tracer.flush()
tracer.shutdown()
"""


def others_clients_please_our_agent(folder):
    print("our agent, by ddtrace and datadogpy")
    receiver, page, statsd = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
    agent = start(
        TESTAPI, "agent", "--receiver-bind", f"127.0.0.1:{receiver}", "--page-bind", f"127.0.0.1:{page}",
        "--dogstatsd-bind", f"127.0.0.1:{statsd}",
    )
    try:
        base = f"http://127.0.0.1:{page}"
        until("our agent", lambda: get(f"{base}/api/overview")[0] == 200)
        script = folder / "application.py"
        script.write_text(APPLICATION)
        for version in ("v0.5", "v0.4"):
            environment = {
                **os.environ, "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{receiver}",
                "DD_TRACE_API_VERSION": version, "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            }
            ran = subprocess.run([sys.executable, script, str(statsd)], env=environment, capture_output=True, text=True, timeout=60)
            judge(f"a Python service runs with {version}", ran.returncode == 0, ran.stderr)
        traces = lambda: json.loads(get(f"{base}/api/traces?q=service:judged-python")[1])["rows"]
        rows = until("both traces", lambda: len(traces()) == 2 and traces())
        judge("each trace has its two spans", [row["spans"] for row in rows] == [2, 2], rows)
        opened = json.loads(get(f"{base}/api/traces/{rows[0]['trace_id']}")[1])
        child = opened["spans"][1]
        judge("the child stands under its parent with its tag", child["depth"] == 1 and ["answer", "42"] in child["meta"], child)
        metrics = {row["name"]: row for row in json.loads(get(f"{base}/api/metrics")[1])["rows"]}
        members = sorted(metrics.get("judge.visitors", {}).get("members", []))
        judge("a set has its distinct members", members == ["ana", "ben"], metrics)
        judge("a count has its sum", metrics["judge.hits"]["value"] == 6, metrics["judge.hits"])
        judge("a timing is in milliseconds", metrics["judge.took"]["unit"] == "millisecond", metrics["judge.took"])
        payloads = json.loads(get(f"{base}/api/payloads?limit=1000")[1])
        bad = [row for row in payloads if row["error"] and row["pipeline"] in ("traces", "dogstatsd")]
        judge("no payload of theirs has a finding", not bad, bad)
    finally:
        stop(agent)


def main():
    with tempfile.TemporaryDirectory(prefix="testapi-judge-") as folder:
        traces_please_datadogs_test_agent(sys.argv[1], Path(folder))
        others_clients_please_our_agent(Path(folder))
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
