"""Our agent, by ddtrace and datadogpy."""

import json
import os
import socket
import subprocess
import sys

from court import TESTAPI, free_port, get, judge, start, stop, until

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
