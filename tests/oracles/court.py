"""What every judge works with: rules, programs that are started and stopped, requests, and waiting for an answer."""

import gzip
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

TESTAPI = "target/release/testapi"
VENVS = Path("target/oracles")
passed = 0


class DoesNotHold(Exception):
    """A rule, and what was seen instead. Ends its subject; the others are heard all the same."""


def judge(rule, holds, seen=""):
    """One rule in words; what was seen is told when it does not hold."""
    global passed
    if not holds:
        raise DoesNotHold(f"{rule}\n  seen: {str(seen)[:2000]}")
    passed += 1
    print(f"  holds: {rule}", flush=True)


def each(rule, rows, fault):
    """One rule for every row; `fault` tells what is wrong with it, or nothing."""
    found = [what for row in rows if (what := fault(row))]
    judge(rule, rows and not found, found)


def differences(expected, seen):
    """Empty when the two are the same; else what is missing, too much or other."""
    missing = [(key, expected[key]) for key in expected if key not in seen]
    more = [(key, seen[key]) for key in seen if key not in expected]
    other = [(key, expected[key], seen[key]) for key in expected if key in seen and expected[key] != seen[key]]
    return [f"{word} {rows[:5]}" for word, rows in (("missing", missing), ("more", more), ("other", other)) if rows]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode()


def exchange(url, **headers):
    """A GET with these headers and no Accept of its own."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=15) as reply:
            return Reply(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


def get(url, **headers):
    reply = exchange(url, **headers)
    return reply.status, reply.body


def unpacked(reply):
    return gzip.decompress(reply.body)


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
    raise DoesNotHold(f"waited {seconds} s for {what}")


def start(*command, stdout=subprocess.DEVNULL, **environment):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(command, env={**kept, **environment}, stdout=stdout, stderr=subprocess.PIPE, text=True)


def stop(process):
    process.terminate()
    _, stderr = process.communicate(timeout=20)
    return process.returncode, stderr


class Api:
    """The release server, with what it sends going to an agent or, without one, nothing sent at all."""

    def __init__(self, agent=None, **environment):
        self.base = f"http://127.0.0.1:{free_port()}"
        self.statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.statsd.bind(("127.0.0.1", 0))
        sent = {"DD_TRACE_AGENT_URL": agent} if agent else {"DD_TRACE_ENABLED": "false"}
        self.process = start(
            TESTAPI, "--bind", self.base.removeprefix("http://"), stdout=subprocess.PIPE, **sent,
            DD_DOGSTATSD_URL=f"udp://127.0.0.1:{self.statsd.getsockname()[1]}", DD_ENV="judged",
            **{"TESTAPI_LOG_STDOUT": "false", **environment},
        )
        self.stdout, self.stderr = Records(self.process.stdout), Records(self.process.stderr)
        # Not counted among the requests, whatever it takes.
        until("the API", lambda: self.ask("/style.css").status == 200)

    def ask(self, path, **headers):
        return exchange(self.base + path, **headers)

    def stop(self):
        """Its exit code, once both of its outputs are read to their ends."""
        self.process.terminate()
        code = self.process.wait(timeout=20)
        for output in (self.stdout, self.stderr):
            output.join(timeout=20)
        self.statsd.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


class Records(threading.Thread):
    """Reads a pipe to its end, one record a line, as a container's runtime reads standard output."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe = pipe
        self.lines = []
        self.start()

    def run(self):
        for line in self.pipe:
            self.lines.append(line.removesuffix("\n"))


class TestAgent:
    """Datadog's APM test agent."""

    CHECKS = (
        "trace_count_header,meta_tracer_version_header,trace_content_length,trace_stall,"
        "trace_peer_service,trace_dd_service,meta_events_is_valid_json"
    )

    def __init__(self):
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.process = start(
            str(VENVS / "test_agent/bin/ddapm-test-agent"), "--port", str(port), "--log-level", "ERROR",
            "--web-ui-port", "0", "--otlp-http-port", str(free_port()), "--otlp-grpc-port", str(free_port()),
            ENABLED_CHECKS=self.CHECKS, DD_POOL_TRACE_CHECK_FAILURES="true",
        )
        until("the test agent", lambda: get(f"{self.base}/info")[0] == 200)

    def traces(self):
        return json.loads(get(f"{self.base}/test/session/traces")[1])

    def requests(self, path):
        """What came to this path, as it came, the oldest first."""
        rows = json.loads(get(f"{self.base}/test/session/requests")[1])
        return [row for row in rows if row["url"].endswith(path)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)


class OurAgent:
    """The local agent of the release build."""

    def __init__(self):
        receiver, page, statsd = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
        self.base, self.page = f"http://127.0.0.1:{receiver}", f"http://127.0.0.1:{page}"
        self.process = start(
            TESTAPI, "agent", "--receiver-bind", f"127.0.0.1:{receiver}", "--page-bind", f"127.0.0.1:{page}",
            "--dogstatsd-bind", f"127.0.0.1:{statsd}",
        )
        until("our agent", lambda: get(f"{self.page}/api/overview")[0] == 200)

    def ask(self, path):
        return json.loads(get(self.page + path)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)
