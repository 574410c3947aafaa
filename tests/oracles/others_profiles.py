"""Profiles of ddtrace for Python, by our agent; and its event beside ours."""

import os
import subprocess
import sys

from court import Api, OurAgent, TestAgent, each, get, judge, until
from profile_run import PATH, SETTINGS, Upload
from profiles import all_samples, pprof_reader, totals

APPLICATION = """
import time
import ddtrace.profiling.auto
from ddtrace.trace import tracer


def judged_work(seconds):
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        rounds += 1
    return rounds


with tracer.trace("judge.request", service="judged-python", resource="GET /judged", span_type="web"):
    judged_work(2.5)
tracer.flush()
"""
TYPES = {"cpu-time/nanoseconds", "cpu-samples/count", "wall-time/nanoseconds", "wall-samples/count"}
# Where the process was started and how; ours says that in no profile.
LEFT_OUT = {"process_tags"}


def python_profiles_please_our_agent(folder):
    script = folder / "profiled.py"
    script.write_text(APPLICATION)
    with OurAgent() as ours, TestAgent() as theirs:
        # Both at once, for each takes some seconds.
        running = [profiled(script, agent.base) for agent in (ours, theirs)]
        said = [process.communicate(timeout=60)[1] for process in running]
        judge("both Python services run", [process.returncode for process in running] == [0, 0], said)
        our_agent_shows_it(ours, script)
        [*_, upload] = [Upload(row) for row in theirs.requests(PATH)]
        with Api(theirs.base, **SETTINGS) as api:
            api.ask("/cpu/20")
            api.stop()
        [own] = [one for one in map(Upload, theirs.requests(PATH)) if one.event["family"] == "native"]
        events_are_alike(own.event, upload.event)


def profiled(script, agent):
    environment = {
        **os.environ, "DD_TRACE_AGENT_URL": agent, "DD_SERVICE": "judged-python", "DD_PROFILING_ENABLED": "true",
        "DD_PROFILING_UPLOAD_INTERVAL": "2", "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    }
    return subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True)


def our_agent_shows_it(agent, script):
    taken = lambda: [row for row in agent.ask("/api/payloads?limit=1000") if row["pipeline"] == "profiles"]
    held = lambda: agent.ask("/api/profiles")["rows"]
    rows = until("the profiles of Python", lambda: held() and len(held()) == len(taken()) and held())
    whose = lambda row: (row["service"], row["family"], row["language"])
    each("a profile is of the service and of Python", rows, lambda row: whose(row) != ("judged-python", "python", "python") and row)
    each("nothing is wrong with it", rows, lambda row: row["findings"])
    types = lambda row: [f"{value['name']}/{value['unit']}" for value in row["values"]]
    each("it has the sample types of ddtrace", rows, lambda row: TYPES - set(types(row)))
    # Where its code comes from ddtrace tells once, and not always.
    each("and what ddtrace attaches", rows, lambda row: {"profile.pprof"} - dict(row["attachments"]).keys())
    profiles = pprof_reader([attached(agent, row, script.parent) for row in rows])
    pairs = list(zip(rows, profiles))
    sums = lambda row: [value["total"] for value in row["values"]]
    same = lambda row, profile: (types(row), sums(row)) == (profile["types"], totals(profile))
    each("its sums are those of Google's classes", pairs, lambda pair: not same(*pair) and pair[0])
    flame = agent.ask("/api/profiles/all?value=cpu-time")
    work = [row for row in flame["functions"] if row["name"] == "judged_work"]
    judge("the script's function is there with its file", [row["file"] for row in work] == [str(script)], flame["functions"][:5])
    at = profiles[0]["types"].index("cpu-time/nanoseconds")
    own = sum(one["values"][at] for one in all_samples(profiles) if one["frames"] and one["frames"][0][0] == "judged_work")
    judge("with the time that Google's classes find", own > 100_000_000 and work[0]["own"] == own, [work, own])
    judge("it is the first of all", flame["functions"][0] == work[0], flame["functions"][:3])
    # ddtrace names the endpoint of what it uploads after the request has ended, which may be little.
    named = {one["labels"].get("trace endpoint", "") for one in all_samples(profiles) if one["values"][at]}
    shown = {row["name"] for row in flame["routes"] if row["total"]}
    judge("under the endpoints that they find", shown == named and shown <= {"", "GET /judged"}, [shown, named])
    bad = [row for row in taken() if row["error"]]
    judge("no payload of profiles has a finding", not bad, bad)


def attached(agent, row, folder):
    file = folder / f"python-{row['id']}.pprof"
    file.write_bytes(get(f"{agent.page}/api/profiles/{row['id']}/profile.pprof")[1])
    return file


def events_are_alike(own, others):
    judge("our event has the keys of ddtrace's", others.keys() - own.keys() == LEFT_OUT and own.keys() <= others.keys(), [own, others])
    kinds = {key: (type(own[key]), type(others[key])) for key in own}
    judge("each with a value of the same kind", all(a == b for a, b in kinds.values()), kinds)
    judge("in the same version", own["version"] == others["version"], [own["version"], others["version"]])
    judge("and of times written alike", len(own["start"]) == len(others["start"]), [own["start"], others["start"]])
