"""A run of the release server that profiles itself: the load on it, what the kernel says of it meanwhile, its uploads."""

import base64
import email
import email.policy
import http.client
import json
import os
import threading
import time
import urllib.request
from bisect import bisect
from collections import Counter
from datetime import datetime
from pathlib import Path

from requests_toolbelt import MultipartDecoder

from court import Api, TestAgent, get

PATH = "/profiling/v1/input"
BUSY = {"/cpu/20": "GET /cpu/{ms}"}
LIGHT = {
    "/": "GET /", "/status/404": "GET /status/{code}", "/logging/warning": "GET /logging/{level}",
    "/trace/nested/3": "GET /trace/nested/{depth}", "/sdmetrics/increment/1": "GET /sdmetrics/increment/{value}",
}
LOAD_SECONDS = 10
SETTINGS = {"DD_PROFILING_ENABLED": "true", "DD_PROFILING_UPLOAD_INTERVAL": "3", "DD_VERSION": "judged-1"}
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Load(threading.Thread):
    """Asks for these paths in turn over one connection, with a pause after each answer."""

    def __init__(self, base, paths, pause):
        super().__init__(daemon=True)
        self.address, self.paths, self.pause = base.removeprefix("http://"), paths, pause
        self.asked = Counter()

    def run(self):
        connection = http.client.HTTPConnection(self.address, timeout=15)
        end = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < end:
            for path, endpoint in self.paths.items():
                connection.request("GET", path)
                connection.getresponse().read()
                self.asked[endpoint] += 1
                time.sleep(self.pause)
        connection.close()


class Kernel(threading.Thread):
    """Looks twenty times a second at the process's CPU time and at its threads, until it is told to end."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.folder = Path(f"/proc/{pid}")
        self.times, self.cpu_ns, self.threads = [], [], {}
        self.ends = threading.Event()
        self.look()
        self.start()

    def run(self):
        while not self.ends.wait(0.05):
            self.look()

    def look(self):
        stat = (self.folder / "stat").read_text().rsplit(")", 1)[1].split()
        now = time.time_ns()
        self.times.append(now)
        self.cpu_ns.append((int(stat[11]) + int(stat[12])) * TICK_NS)
        for task in self.folder.glob("task/*"):
            try:
                name = (task / "comm").read_text().removesuffix("\n")
            except OSError:
                continue
            first = self.threads.get(int(task.name), (name, now, now))[1]
            self.threads[int(task.name)] = (name, first, now)

    def end(self):
        """The last look is that of the caller."""
        self.ends.set()
        self.join()
        self.look()

    def cpu_at(self, unix_ns):
        """Between two looks, in proportion; before the first and after the last, what these saw."""
        after = bisect(self.times, unix_ns)
        if after in (0, len(self.times)):
            return self.cpu_ns[min(after, len(self.times) - 1)]
        low, high = self.times[after - 1], self.times[after]
        share = (unix_ns - low) / (high - low)
        return self.cpu_ns[after - 1] + share * (self.cpu_ns[after] - self.cpu_ns[after - 1])


class Upload:
    """One request, its parts by Python's own parser of MIME and by that of requests."""

    def __init__(self, row):
        self.row, self.body = row, base64.b64decode(row["body"])
        self.headers = {name.lower(): value for name, value in row["headers"].items()}
        kind = self.headers["content-type"]
        whole = f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n".encode() + self.body
        message = email.message_from_bytes(whole, policy=email.policy.HTTP)
        self.defects = [str(defect) for part in message.walk() for defect in part.defects]
        parts = list(message.iter_parts())
        self.names = [(part.get_param("name", header="content-disposition"), part.get_filename()) for part in parts]
        self.contents = [part.get_payload(decode=True) for part in parts]
        self.by_other = [part.content for part in MultipartDecoder(self.body, kind).parts]
        self.kinds = [part.get("Content-Type", "") for part in parts]
        self.event = json.loads(self.part("event.json"))

    def part(self, filename):
        """The second parser's bytes: the first one's are Python's text on their way."""
        [at] = [at for at, (_, own) in enumerate(self.names) if own == filename]
        return self.by_other[at]

    def tags(self):
        return [tuple(tag.split(":", 1)) for tag in self.event["tags_profiler"].split(",")]

    def tag(self, key):
        return dict(self.tags()).get(key)

    def window(self):
        """Unix time; the digits behind the microseconds are of no weight here."""
        return tuple(datetime.fromisoformat(self.event[key]).timestamp() * 1e9 for key in ("start", "end"))

    def send_to(self, base):
        kept = {name: value for name, value in self.row["headers"].items() if name.lower() not in ("host", "content-length")}
        request = urllib.request.Request(base + PATH, data=self.body, headers=kept)
        with urllib.request.urlopen(request, timeout=15) as reply:
            return reply.status


class Run:
    """From start to end."""

    def __init__(self, folder):
        self.folder = folder / "profiles"
        with TestAgent() as agent:
            with Api(agent.base, DD_PROFILING_OUTPUT_DIR=str(self.folder), **SETTINGS) as api:
                self.pid = api.process.pid
                self.kernel = Kernel(self.pid)
                self.signals = caught_signals(self.pid)
                self.asked = self.load(api)
                self.health = json.loads(api.ask("/health").body)
                self.asked["GET /health"] += 1
                self.kernel.end()
                self.code = api.stop()
                self.stderr = api.stderr.lines
            self.checks = get(f"{agent.base}/test/trace_check/failures?return_all=true")
            self.uploads = [Upload(row) for row in agent.requests(PATH)]
            self.spans = {span["span_id"]: span for trace in agent.traces() for span in trace}

    def load(self, api):
        loads = [Load(api.base, BUSY, 0.015), Load(api.base, BUSY, 0.015), Load(api.base, LIGHT, 0.01)]
        for load in loads:
            load.start()
        for load in loads:
            load.join()
        return sum((load.asked for load in loads), Counter())


def caught_signals(pid):
    """Numbers of the signals that the process has handlers for."""
    [mask] = [line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")]
    return {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1}
