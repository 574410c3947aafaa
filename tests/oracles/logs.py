"""Every line of a run that logs at every level, as Datadog takes a file and a container's output in."""

import fnmatch
import json
import socket
from collections import Counter
from datetime import datetime, timezone
from pathlib import PurePath

import statuses
from court import TESTAPI, Api, judge, start
from openmetrics import agent_check

LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "critical": "critical"}
WORDS = {"debug", "info", "warn", "error", "critical"}
LINE_BYTES_MAX = 64 << 10
DEMO = "a record at level "

# Sent byte for byte, as no client library would.
TARGETS = (
    b'/a"b', b"/a\\b", b"/a%22%5C%0A%0D%00%08%1Bb", b"/a%FF%FE%C3b", b"/a%E2%80%A8%E2%80%A9%C2%85b", b"/a%F0%9F%8D%8Eb", b"/a'b<c>&d",
    b'/%7B"status":"emergency"%7D', b"/" + b"x" * 4000, b"/" + b"%00" * 1500, b"/sdmetrics/event/a%22%0A%00%FF", b"/logging/a%22%0A%00%FF",
    b"/a%", b"/a%zz", b"/a%ud83d", b"/?status=emergency&q=%22%0A",
)
AGENTS = (b'a"b\\c', b"a\tb", b'","status":"emergency","x":"', b"y" * 3000)


def every_line_has_the_level_that_was_logged(folder):
    log = folder / "levels.json"
    settings = {"TESTAPI_LOG_FILE": str(log), "TESTAPI_LOG_STDOUT": "true", "TESTAPI_LOG_LEVEL": "debug"}
    with Api(**settings) as api:
        asked = [api.ask(f"/logging/{level}").status for level in LEVELS]
        asked += [api.ask(path).status for path in ("/server_error/", "/panic/", "/status/503", "/status/404", "/status/204")]
        address = ("127.0.0.1", int(api.base.rsplit(":", 1)[1]))
        asked += [answer(address, target, b"judge") for target in TARGETS]
        asked += [answer(address, b"/status/200", agent) for agent in AGENTS]
        api.stop()
    judge("every request had an answer", all(asked), asked)
    in_file = log.read_bytes().decode().split("\n")
    judge("the file ends with a line's end", in_file.pop() == "")
    for place, lines in (("the file", in_file), ("the output", api.stdout.lines)):
        records_are_right(place, lines, asked)
    judge("file and output say the same", Counter(in_file) == Counter(api.stdout.lines))
    the_agent_finds_the_file(log)


def answer(address, target, agent):
    """The status, or 0 where the server says nothing."""
    with socket.create_connection(address, timeout=15) as connection:
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: judge\r\nConnection: close\r\nUser-Agent: " + agent + b"\r\n\r\n")
        reply = b""
        while piece := connection.recv(65536):
            reply += piece
    return int(reply.split(b" ", 2)[1]) if reply else 0


def read(lines):
    """Each line as an object of its own whose keys are named once."""

    def once(pairs):
        record = dict(pairs)
        if len(record) != len(pairs):
            raise ValueError(f"a key twice in {[key for key, _ in pairs]}")
        return record

    records = []
    for line in lines:
        try:
            record = json.loads(line, object_pairs_hook=once)
        except ValueError as error:
            record = f"{error}: {line[:300]!r}"
        records.append(record)
    return records


def records_are_right(place, lines, asked):
    records = read(lines)
    bad = [record for record in records if not isinstance(record, dict)]
    judge(f"every line of {place} is one object", lines and not bad, bad)
    long = [line[:200] for line in lines if len(line.encode()) > LINE_BYTES_MAX]
    judge(f"none of {place} is too long", not long, long)
    keys = ("timestamp", "status", "message", "service", "ddsource")
    without = [record for record in records if not all(record.get(key) for key in keys)]
    judge(f"each of {place} has time, status, message, service and source", not without, without)
    now = datetime.now(timezone.utc)
    old = [record for record in records if abs((now - datetime.fromisoformat(record["timestamp"])).total_seconds()) > 300]
    judge(f"the times of {place} are of now", not old, old)
    guessed = [record for record in records if record["status"] not in WORDS]
    judge(f"no status of {place} is left to be guessed", not guessed, guessed)
    demo = [record for record in records if record["message"].startswith(DEMO)]
    levels = {record["message"].removeprefix(DEMO).split(",")[0]: statuses.of_record(record) for record in demo}
    judge(f"each level of {place} comes out as it was logged", levels == LEVELS, levels)
    access = [record for record in records if record.get("logger.name") == "testapi.access"]
    judge(f"{place} has an access line for each answer", access_statuses(access) == Counter(asked), access_statuses(access) - Counter(asked))
    level_of = lambda code: "error" if code >= 500 else "warning" if code >= 400 else "info"
    wrong = [record for record in access if statuses.of_record(record) != level_of(record["http.status_code"])]
    judge(f"access lines of {place} are as bad as their answers", not wrong, wrong)
    failed = [record for record in access if record["http.status_code"] >= 500]
    whole = all(record.get(key) for record in failed for key in ("error.kind", "error.message", "error.stack"))
    judge(f"each error of {place} has kind, message and stack in its one line", len(failed) == 3 and whole, failed)


def access_statuses(access):
    return Counter(record["http.status_code"] for record in access)


def the_agent_finds_the_file(log):
    [source] = agent_check("yaml", "agent_conf/testapi.d/conf.yaml")["logs"]
    judge("the Agent's file tails a file of service testapi and source rust", (source["type"], source["service"], source["source"]) == ("file", "testapi", "rust"), source)
    pattern = PurePath(source["path"]).name
    found = [fnmatch.fnmatchcase(name, pattern) for name in (log.name, f"{log.name}.1", f"{log.name}.2", f"{log.name}.1.gz")]
    judge("it matches the file and none that was moved away", found == [True, False, False, False], found)


def standard_error_is_lines_of_json():
    with Api() as api:
        api.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = start(TESTAPI, "--bind", f"127.0.0.1:{taken.getsockname()[1]}", DD_TRACE_ENABLED="false", TESTAPI_LOG_STDOUT="false")
        _, failed = refused.communicate(timeout=20)
    odd = start(TESTAPI, "--bind", "nowhere", TESTAPI_WORKERS="-1", TESTAPI_LOG_STDOUT="false")
    _, unread = odd.communicate(timeout=20)
    for when, lines, levels in (
        ("in a run from start to end", api.stderr.lines, {"info"}),
        ("where it cannot bind", failed.splitlines(), {"error", "critical"}),
        ("where a setting cannot be read", unread.splitlines(), {"warning", "error", "critical"}),
    ):
        records = read(lines)
        bad = [record for record in records if not isinstance(record, dict)]
        judge(f"what the program says on standard error {when} is JSON, a line each", lines and not bad, bad)
        seen = {statuses.of_record(record) for record in records}
        judge(f"and its level {when} is one of {sorted(levels)}", seen <= levels, records)
