"""Profiles of the release server by those who read profiles: Google's classes, go tool pprof, Datadog's test agent, the kernel."""

import json
import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

from court import VENVS, Api, DoesNotHold, OurAgent, differences, each, get, judge, until
from profile_run import BUSY, PATH, Run, caught_signals

TYPES = ["cpu-samples/count", "cpu-time/nanoseconds", "wall-time/nanoseconds"]
CPU_SAMPLES, CPU_TIME, WALL_TIME = range(3)
SOURCE = "src/api/handlers/load.rs"
BURN, HANDLER = "testapi::api::handlers::load::burn_cpu", "testapi::api::handlers::load::cpu"
BURN_LINES = 16
[BUSY_ENDPOINT] = BUSY.values()
SIGPROF = 27
# Every tag and header that Datadog asks for.
TAGS = {"service": "testapi", "env": "judged", "version": "judged-1", "language": "native", "runtime": "rust"}
TAGS_OF_ANY_VALUE = {"host", "runtime-id", "profiler_version", "profile_seq"}


def profiles_please_others(folder):
    run = Run(folder)
    judge("the API stops with nothing left behind", run.code == 0 and "everything was sent" in run.stderr[-1], run.stderr)
    uploads_are_taken(run)
    events_say_whose_and_when(run)
    files = sorted(run.folder.iterdir())
    names = [f"testapi-{run.pid}-{at}.pprof" for at in range(len(run.uploads))]
    judge("each upload is a file too", [file.name for file in files] == names, files)
    same = [file.read_bytes() == upload.part("profile.pprof") for file, upload in zip(files, run.uploads)]
    judge("and the file has the bytes that were sent", all(same), same)
    profiles = pprof_reader(files)
    google_reads_them(profiles)
    go_reads_them(files, profiles)
    our_agent_reads_them(run, profiles)
    labels_are_of_the_trace_and_of_the_kernel(run, profiles)
    stacks_are_whole(profiles)
    time_is_the_kernels(run, profiles)
    the_program_is_the_first_mapping(files, profiles)
    each("no sample is one of nothing", all_samples(profiles), lambda sample: not any(sample["values"]) and sample)
    requests_that_are_over_have_their_endpoints(run, profiles)


def pprof_reader(files):
    command = [VENVS / "profiles/bin/python", Path(__file__).with_name("pprof_reader.py"), *files]
    read = subprocess.run(command, capture_output=True, text=True, timeout=60)
    judge("Google's classes read every profile", read.returncode == 0, read.stderr)
    return json.loads(read.stdout)


def uploads_are_taken(run):
    status, said = run.checks
    judge("no check of the test agent fails", status == 200, said)
    judge("SIGPROF has a handler", SIGPROF in run.signals, run.signals)
    state = run.health["exporters"]["profiles"]
    lost = state["dropped"] or state["error"] or state["flush_failed"]
    judge("every answer to an upload was good and no sample is lost", state["sent"] > 0 and not lost, state)
    judge("the ledger of samples balances", state["offered"] == state["sent"] + state["pending"], state)
    uploads = run.uploads
    sent = [upload.event["internal"]["samples_sent"] for upload in uploads]
    judge("what the ledger calls sent grows by each upload", sent[0] == 0 and sent == sorted(set(sent)), sent)
    judge("there is one after the first interval, some more, and one at the end", len(uploads) >= 4, len(uploads))
    headers = {"dd-evp-origin", "dd-evp-origin-version", "content-type", "content-length"}
    each("each has the headers of a profiler", uploads, lambda upload: headers - upload.headers.keys())
    each("Python's parser of MIME finds nothing wrong", uploads, lambda upload: upload.defects)
    each("and the parser of requests finds the same parts", uploads, lambda upload: upload.contents != upload.by_other and upload.names)
    parts = [("event", "event.json"), ("profile.pprof", "profile.pprof")]
    each("they are the event and the profile", uploads, lambda upload: upload.names != parts and upload.names)
    each("the event is called JSON", uploads, lambda upload: upload.kinds[0] != "application/json" and upload.kinds)


def events_say_whose_and_when(run):
    uploads = run.uploads
    each("no tag is there twice", uploads, lambda upload: len(dict(upload.tags())) != len(upload.tags()) and upload.tags())
    whose = {**TAGS, "process_id": str(run.pid)}
    seen = lambda upload: {key: value for key, value in upload.tags() if key in whose}
    each("the tags say whose profile it is", uploads, lambda upload: differences(whose, seen(upload)))
    more = lambda upload: {key for key, value in upload.tags() if value and key not in whose}
    each("and where it comes from, and nothing else", uploads, lambda upload: more(upload) ^ TAGS_OF_ANY_VALUE)
    numbers = [upload.tag("profile_seq") for upload in uploads]
    judge("they are counted from 0", numbers == [str(at) for at in range(len(uploads))], numbers)
    attached = lambda upload: [name for _, name in upload.names if name != "event.json"]
    each("every attachment is named, and no other", uploads, lambda upload: attached(upload) != upload.event["attachments"] and upload.names)
    times = [(upload.event["start"], upload.event["end"]) for upload in uploads]
    exact = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
    each("their times have nine digits and an order", times, lambda pair: not (all(re.fullmatch(exact, time) for time in pair) and pair[0] < pair[1]) and pair)
    judge("each begins where the one before ended", all(before[1] == after[0] for before, after in zip(times, times[1:])), times)
    runtime_ids = {upload.tag("runtime-id") for upload in uploads}
    traced = {span["meta"]["runtime-id"] for span in run.spans.values() if "runtime-id" in span["meta"]}
    judge("the runtime id is the one of the traces", runtime_ids == traced, [runtime_ids, traced])
    counted = sum((Counter(upload.event["endpoint_counts"]) for upload in uploads), Counter())
    judge("the endpoints were asked for as often as it was asked", counted == run.asked, differences(run.asked, counted))


def google_reads_them(profiles):
    each("every id and every string resolves", profiles, lambda profile: profile["faults"])
    each("the sample types are Datadog's", profiles, lambda profile: profile["types"] != TYPES and profile["types"])
    period = lambda profile: [profile["period_type"], profile["period"]]
    hundredth = [TYPES[CPU_TIME], 1_000_000_000 // 99]
    each("a sample stands for a hundredth of a second", profiles, lambda profile: period(profile) != hundredth and period(profile))
    mappings = [row for profile in profiles for row in profile["mappings"]]
    is_bare = lambda row: not row["file"] or row["file"].startswith("/") and not re.fullmatch("[0-9a-f]{40}", row["build_id"])
    each("every mapping is named, and those of files have their build ids", mappings, lambda row: is_bare(row) and row)
    own = [row for row in mappings if row["file"].endswith("/release/testapi")]
    each("the program's has functions, files, lines and inlined frames", own, lambda row: row["flags"] != [True] * 4 and row)
    [line] = [at for at, text in enumerate(Path(SOURCE).read_text().splitlines(), 1) if "fn burn_cpu(" in text]
    seen = Counter()
    for sample in all_samples(profiles):
        for name, file, at, _ in sample["frames"]:
            if name == BURN:
                seen[file == SOURCE and line <= at < line + BURN_LINES] += sample["values"][CPU_SAMPLES]
    judge("the busy function has its file, and lines of its own", seen[True] > 100 and not seen[False], seen)
    own = own_time(all_samples(profiles))
    judge("it has the most CPU time of its own", own.most_common(1)[0][0] == BURN, own.most_common(5))


def own_time(samples):
    own = Counter()
    for sample in samples:
        own[sample["frames"][0][0]] += sample["values"][CPU_TIME]
    return own


def all_samples(profiles):
    return [sample for profile in profiles for sample in profile["samples"]]


def totals(profile):
    return [sum(column) for column in zip(*(sample["values"] for sample in profile["samples"]))]


def go(*arguments):
    command = ["go", "tool", "pprof", "-symbolize=none", *map(str, arguments)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if said.returncode:
        raise DoesNotHold(f"go tool pprof takes {arguments}\n  seen: {said.stderr}")
    return said.stdout


def go_reads_them(files, profiles):
    told = [(go("-raw", file), profile) for file, profile in zip(files, profiles)]
    judge("go tool pprof reads every file", all(raw for raw, _ in told))
    rows = lambda raw: re.findall(r"^ +(\d+) +(\d+) +(\d+): [\d ]+$", raw, re.M)
    # It leaves out those of nothing.
    samples = lambda profile: sum(any(sample["values"]) for sample in profile["samples"])
    each("it finds the same samples", told, lambda one: len(rows(one[0])) != samples(one[1]) and [len(rows(one[0])), samples(one[1])])
    sums = lambda raw: [sum(map(int, column)) for column in zip(*rows(raw))]
    each("and the same sums", told, lambda one: sums(one[0]) != totals(one[1]) and [sums(one[0]), totals(one[1])])
    head = lambda profile: f"PeriodType: cpu-time nanoseconds\nPeriod: {profile['period']}\n"
    each("and the same period", told, lambda one: not one[0].startswith(head(one[1])) and one[0])
    each("and the same types", told, lambda one: f"\n{' '.join(TYPES)}\n" not in one[0] and one[0])
    top = go("-top", "-nodecount=20", "-sample_index=cpu-time", *files)
    rows = top.split("cum%\n", 1)[1].splitlines()
    judge("its first function of all files is the busy one", rows[0].split()[-1] == BURN, top)
    lines = go("-top", "-lines", "-nodecount=5", "-sample_index=cpu-time", *files)
    judge("by lines too, in its file", re.search(rf"{BURN} {SOURCE}:\d+", lines), lines)
    tags = go("-tags", *files)
    wanted = ("thread id:", "thread name:", "span id:", "local root span id:", "trace endpoint:")
    judge("it finds every label", all(f" {label}" in tags for label in wanted), tags)


def our_agent_reads_them(run, profiles):
    with OurAgent() as agent:
        statuses = [upload.send_to(agent.base) for upload in run.uploads]
        judge("our agent takes what the test agent took", set(statuses) == {200}, statuses)
        held = lambda: agent.ask("/api/profiles")["rows"]
        rows = until("all uploads", lambda: len(held()) == len(profiles) and sorted(held(), key=lambda row: row["id"]))
        flames = [agent.ask(f"/api/profiles/{row['id']}?value=cpu-time") for row in rows]
        given = [get(f"{agent.page}/api/profiles/{row['id']}/profile.pprof")[1] for row in rows]
    judge("it gives each as it came", given == [upload.part("profile.pprof") for upload in run.uploads], list(map(len, given)))
    pairs = list(zip(rows, flames, profiles))
    sums = lambda row: [(value["name"] + "/" + value["unit"], value["total"]) for value in row["values"]]
    each("its sums are those of Google's classes", pairs, lambda one: sums(one[0]) != list(zip(TYPES, totals(one[2]))) and one[0])
    each("it counts as many samples", pairs, lambda one: one[0]["samples"] != len(one[2]["samples"]) and one[0])
    each("it finds nothing wrong, and a native program", rows, lambda row: (row["findings"], row["family"]) != ([], "native") and row)
    each("its flame graph has all of the CPU time", pairs, lambda one: one[1]["root"]["total"] != totals(one[2])[CPU_TIME] and one[1]["value"])
    listed = lambda flame: sum((Counter({row["name"]: row["own"]}) for row in flame["functions"]), Counter())
    top = lambda flame, profile: (listed(flame).most_common(3), (+own_time(profile["samples"])).most_common(3))
    each("its functions have the time that Google's classes find", pairs, lambda one: len(set(map(str, top(*one[1:])))) > 1 and top(*one[1:]))


def labels_are_of_the_trace_and_of_the_kernel(run, profiles):
    samples = all_samples(profiles)
    threads = [sample["labels"] for sample in samples]
    each("every thread has the number and the name that the kernel knows", threads, lambda labels: not thread_is_known(run, labels) and labels)
    each("each span and each local root is one that the test agent has, with that endpoint", threads, lambda labels: stray(run, labels))
    burning = [sample for sample in samples if has_function(sample, BURN) and sample["values"][CPU_SAMPLES]]
    span_names = Counter(run.spans.get(number(sample["labels"], "span id"), {}).get("name") for sample in burning)
    judge("the busy function was seen in spans of the busy work, hardly elsewhere", span_names["testapi.burn"] >= 0.95 * len(burning) > 47, span_names)
    routes, tied = Counter(), Counter()
    for sample in samples:
        routes[sample["labels"].get("trace endpoint", "")] += sample["values"][CPU_TIME]
    for sample in burning:
        tied[sample["labels"].get("trace endpoint", "")] += sample["values"][CPU_SAMPLES]
    judge("the busy route has the most CPU time of all", routes.most_common(1)[0][0] == BUSY_ENDPOINT, routes)
    judge("nothing but the busy route burns", tied.keys() <= {BUSY_ENDPOINT, ""} and tied[BUSY_ENDPOINT] >= 0.85 * tied.total(), tied)


def number(labels, key):
    """Ids have no sign, and pprof's numbers have one."""
    return labels.get(key, 0) % 2**64


def has_function(sample, name):
    return any(frame[0] == name for frame in sample["frames"])


def stray(run, labels):
    """What of a sample's span and trace the test agent does not know."""
    ids = [number(labels, key) for key in ("span id", "local root span id")]
    span, root = (run.spans.get(own) for own in ids)
    if ids == [0, 0]:
        return "trace endpoint" in labels and labels
    if not (span and root) or span["trace_id"] != root["trace_id"] or root.get("parent_id"):
        return [labels, span, root]
    return labels.get("trace endpoint", root["resource"]) != root["resource"] and [labels, root["resource"]]


def thread_is_known(run, labels):
    """The first thread's name is the program's in the kernel, and one stands for all whose time nobody saw."""
    number, name = labels.get("thread id"), labels.get("thread name")
    return name == "other threads" or run.kernel.threads.get(number, ("",))[0] == name


def stacks_are_whole(profiles):
    whole, seen, busy, handled, cut = 0, 0, 0, 0, Counter()
    for sample in all_samples(profiles):
        samples, labels, frames = sample["values"][CPU_SAMPLES], sample["labels"], sample["frames"]
        if not re.fullmatch(r"api-\d+", labels.get("thread name", "")):
            continue
        seen += samples
        if begins_with_a_thread(frames):
            whole += samples
        elif samples:
            cut[" < ".join(frame[0] for frame in frames)] += samples
        if labels.get("trace endpoint") == BUSY_ENDPOINT:
            busy += samples
            handled += samples * has_function(sample, HANDLER)
    judge("19 of 20 stacks of the pool go back to the thread's start", seen > 200 and whole / seen >= 0.95, [whole, seen, cut.most_common(10)])
    judge("19 of 20 stacks of the busy route have its handler", busy > 200 and handled / busy >= 0.95, [handled, busy])
    print(f"    whole: {whole} of {seen}; with the handler: {handled} of {busy}")


def begins_with_a_thread(frames):
    """What Rust begins a thread with, called by the C library's own start of one, which the kernel began."""
    starts = [at for at, frame in enumerate(frames) if frame[0].endswith("thread_start")]
    outer = frames[starts[-1] + 1:] if starts else []
    return bool(outer) and all("/libc.so" in frame[3] for frame in outer)


def time_is_the_kernels(run, profiles):
    kernel = run.kernel
    cpu = [totals(profile)[CPU_TIME] for profile in profiles]
    judge("the CPU time of all uploads is that of the process, within 5 %", is_near(sum(cpu), kernel.cpu_ns[-1], 0.05), [sum(cpu), kernel.cpu_ns[-1]])
    windows = [[kernel.cpu_at(time) for time in upload.window()] for upload in run.uploads]
    pairs = [(own, end - start) for own, (start, end) in zip(cpu, windows)]
    print(f"    CPU: {sum(cpu) / 1e9:.3f} s of {kernel.cpu_ns[-1] / 1e9:.3f} s; {[round(own / of, 3) for own, of in pairs]}")
    # The last one ends after the kernel was asked for the last time.
    # A thread of the pool may be in the middle of a sample at either end.
    middle = 4 * profiles[0]["period"]
    is_off = lambda own, of: not is_near(own, of, 0.05 + middle / max(of, 1))
    each("and that of each is the kernel's between its start and its end", pairs[:-1], lambda pair: is_off(*pair) and pair)
    wall, seconds = defaultdict(int), []
    for sample in all_samples(profiles):
        wall[sample["labels"].get("thread id")] += sample["values"][WALL_TIME]
    for number, (name, first, last) in kernel.threads.items():
        if re.match("api-|dd-", name):
            seconds.append((name, wall[number] / 1e9, (last - first) / 1e9))
    wrong = [row for row in seconds if not is_near(row[1], row[2], 0.1)]
    judge("the wall time of each thread is its life, within 10 %", len(seconds) > 8 and not wrong, wrong)
    print("    wall: " + ", ".join(f"{name} {own:.2f} of {of:.2f}" for name, own, of in seconds))


def is_near(seen, expected, share):
    return abs(seen - expected) <= expected * share


def the_program_is_the_first_mapping(files, profiles):
    """As profile.proto says; pprof's tools name a profile by it."""
    first = [profile["mappings"][0]["file"] for profile in profiles]
    judge("the first mapping is the program's own", all(name.endswith("/release/testapi") for name in first), first)
    head = go("-top", files[0]).splitlines()[0]
    judge("so go says whose profile it is", head == "File: testapi", head)


def requests_that_are_over_have_their_endpoints(run, profiles):
    """A request's last span is written some microseconds before its endpoint is."""
    without = []
    for upload, profile in zip(run.uploads, profiles):
        for labels in (sample["labels"] for sample in profile["samples"]):
            root = run.spans.get(number(labels, "local root span id"))
            if root and "trace endpoint" not in labels:
                without.append((upload.window()[1] - root["start"] - root["duration"]) / 1e6)
    over = [f"{ms:.0f} ms" for ms in without if ms > 60]
    judge("every sample of a request that was over has its endpoint", not over, f"requests over for {over}")


def unprofiled_is_left_alone(agent):
    """With all settings but the first."""
    before = len(agent.requests(PATH))
    with Api(agent.base, DD_PROFILING_UPLOAD_INTERVAL="0.1") as api:
        pid = api.process.pid
        for _ in range(20):
            api.ask("/cpu/20")
        health = json.loads(api.ask("/health").body)
        threads = {task.read_text().strip() for task in Path(f"/proc/{pid}/task").glob("*/comm")}
        signals = caught_signals(pid)
        api.stop()
    judge("nothing was uploaded", len(agent.requests(PATH)) == before, before)
    judge("no handler waits for SIGPROF", SIGPROF not in signals, signals)
    judge("no thread samples", "dd-trace" in threads and not threads & {"dd-stacks", "dd-profile"}, threads)
    judge("health has no profiler", health["profiler"] is None and "profiles" not in health["exporters"], health)
