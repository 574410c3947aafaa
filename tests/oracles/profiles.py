"""Profiles of the release server by those who read profiles: Google's classes, go tool pprof, Datadog's test agent, the kernel."""

import json
import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

from court import VENVS, Api, OurAgent, differences, judge
from profile_run import BUSY, PATH, Run, caught_signals

TYPES = ["cpu-samples/count", "cpu-time/nanoseconds", "wall-time/nanoseconds"]
CPU_SAMPLES, CPU_TIME, WALL_TIME = range(3)
SOURCE = "src/api/handlers/load.rs"
BURN, HANDLER = "testapi::api::handlers::load::burn_cpu", "testapi::api::handlers::load::cpu"
[BUSY_ENDPOINT] = BUSY.values()
SIGPROF = 27
# Every tag and header that Datadog asks for.
TAGS = {"service": "testapi", "env": "judged", "version": "judged-1", "language": "native", "runtime": "rust"}
TAGS_OF_ANY_VALUE = ("host", "runtime-id", "profiler_version")


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


def pprof_reader(files):
    command = [VENVS / "profiles/bin/python", Path(__file__).with_name("pprof_reader.py"), *files]
    read = subprocess.run(command, capture_output=True, text=True, timeout=60)
    judge("Google's classes read every file", read.returncode == 0, read.stderr)
    return json.loads(read.stdout)


def uploads_are_taken(run):
    status, said = run.checks
    judge("no check of the test agent fails", status == 200, said)
    state = run.health["exporters"]["profiles"]
    lost = state["dropped"] or state["error"] or state["flush_failed"]
    judge("every answer to an upload was good and no sample is lost", state["sent"] > 0 and not lost, state)
    judge("the ledger of samples balances", state["offered"] == state["sent"] + state["pending"], state)
    sent = [upload.event["internal"]["samples_sent"] for upload in run.uploads]
    judge("what the ledger calls sent grows by each upload", sent[0] == 0 and sent == sorted(set(sent)), sent)
    judge("there is one after the first interval, some more, and one at the end", len(run.uploads) >= 4, len(run.uploads))
    for upload in run.uploads:
        known = {"dd-evp-origin", "dd-evp-origin-version", "content-type", "content-length"}
        judge("an upload has the headers of a profiler", all(upload.headers.get(name) for name in known), upload.headers)
        judge("Python's parser of MIME finds nothing wrong", not upload.defects, upload.defects)
        same = upload.contents == upload.by_other
        judge("and the parser of requests finds the same parts", same, [upload.names, len(upload.by_other)])
        judge("they are the event and the profile", upload.names == [("event", "event.json"), ("profile.pprof",) * 2], upload.names)
        judge("the event is JSON", upload.kinds[0] == "application/json", upload.kinds)


def events_say_whose_and_when(run):
    process = {"process_id": str(run.pid)}
    for at, upload in enumerate(run.uploads):
        event, tags = upload.event, dict(upload.tags())
        judge("no tag is there twice", len(tags) == len(upload.tags()), event)
        wrong = differences({**TAGS, **process, "profile_seq": str(at)}, {key: tags[key] for key in tags if key not in TAGS_OF_ANY_VALUE})
        judge("the tags say whose profile it is, and which", not wrong and all(tags.get(key) for key in TAGS_OF_ANY_VALUE), [wrong, tags])
        named = [name for _, name in upload.names if name != "event.json"]
        judge("every attachment is named, and no other", event["attachments"] == named, event["attachments"])
        times = [event["start"], event["end"]]
        exact = all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", time) for time in times)
        judge("its times have nine digits and an order", exact and times[0] < times[1], times)
    runtime_ids = {upload.tag("runtime-id") for upload in run.uploads}
    traced = {span["meta"]["runtime-id"] for span in run.spans.values() if "runtime-id" in span["meta"]}
    judge("the runtime id is the one of the traces", runtime_ids == traced, [runtime_ids, traced])
    ends = [upload.event["end"] for upload in run.uploads]
    judge("each begins where the one before ended", [upload.event["start"] for upload in run.uploads[1:]] == ends[:-1], ends)
    counted = sum((Counter(upload.event["endpoint_counts"]) for upload in run.uploads), Counter())
    judge("the endpoints were asked for as often as it was asked", counted == run.asked, differences(run.asked, counted))


def google_reads_them(profiles):
    for profile in profiles:
        judge("every id and every string resolves", not profile["faults"], profile["faults"])
        judge("the sample types are Datadog's", profile["types"] == TYPES, profile["types"])
        period = (profile["period_type"], profile["period"])
        judge("a sample stands for a hundredth of a second", period == (TYPES[CPU_TIME], 1_000_000_000 // 99), period)
        bare = [row for row in profile["mappings"] if not row["file"] or (row["file"].startswith("/") and not re.fullmatch("[0-9a-f]{40}", row["build_id"]))]
        judge("every mapping is named, and those of files have their build ids", not bare, bare)
        own = [row for row in profile["mappings"] if row["file"].endswith("/release/testapi")]
        judge("the program's has functions, files, lines and inlined frames", [row["flags"] for row in own] == [[True] * 4], own)
    [line] = [at for at, text in enumerate(Path(SOURCE).read_text().splitlines(), 1) if "fn burn_cpu(" in text]
    seen = Counter()
    for sample in all_samples(profiles):
        for name, file, at, _ in sample["frames"]:
            if name == BURN:
                seen[file == SOURCE and line <= at < line + 16] += sample["values"][CPU_SAMPLES]
    judge("the busy function has its file, and lines of its own", seen[True] > 100 and not seen[False], seen)
    own = Counter()
    for sample in all_samples(profiles):
        own[sample["frames"][0][0]] += sample["values"][CPU_TIME]
    judge("it has the most CPU time of its own", own.most_common(1)[0][0] == BURN, own.most_common(5))


def all_samples(profiles):
    return [sample for profile in profiles for sample in profile["samples"]]


def totals(profile):
    return [sum(column) for column in zip(*(sample["values"] for sample in profile["samples"]))]


def go(*arguments):
    command = ["go", "tool", "pprof", "-symbolize=none", *map(str, arguments)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    judge(f"go tool pprof takes it with {arguments[0]}", said.returncode == 0, said.stderr)
    return said.stdout


def go_reads_them(files, profiles):
    for file, profile in zip(files, profiles):
        raw = go("-raw", file)
        rows = re.findall(r"^ +(\d+) +(\d+) +(\d+): [\d ]+$", raw, re.M)
        judge("go finds the same samples", len(rows) == len(profile["samples"]), len(rows))
        sums = [sum(map(int, column)) for column in zip(*rows)]
        judge("and the same sums", sums == totals(profile), [sums, totals(profile)])
        head = f"PeriodType: cpu-time nanoseconds\nPeriod: {profile['period']}\n"
        judge("and the same period", raw.startswith(head), raw[:200])
        judge("and the same types", f"\n{' '.join(TYPES)}\n" in raw, raw[:400])
    top = go("-top", "-nodecount=20", "-sample_index=cpu-time", *files)
    rows = top.split("cum%\n", 1)[1].splitlines()
    judge("go's first function of all files is the busy one", rows[0].split()[-1] == BURN, top)
    lines = go("-top", "-lines", "-nodecount=5", "-sample_index=cpu-time", *files)
    judge("by lines too, in its file", re.search(rf"{BURN} {SOURCE}:\d+", lines), lines)
    tags = go("-tags", *files)
    wanted = ("thread id:", "thread name:", "span id:", "local root span id:", "trace endpoint:")
    judge("go finds every label", all(f" {label}" in tags for label in wanted), tags)


def our_agent_reads_them(run, profiles):
    with OurAgent() as agent:
        statuses = [upload.send_to(agent.base) for upload in run.uploads]
        judge("our agent takes what the test agent took", set(statuses) == {200}, statuses)
        rows = {row["id"]: row for row in agent.ask("/api/profiles")["rows"]}
        judge("it holds each", sorted(rows) == list(range(1, len(profiles) + 1)), list(rows))
        for at, profile in enumerate(profiles, 1):
            row = rows[at]
            sums = [(value["name"] + "/" + value["unit"], value["total"]) for value in row["values"]]
            judge("its sums are those of Google's classes", sums == list(zip(TYPES, totals(profile))), sums)
            judge("it counts as many samples", row["samples"] == len(profile["samples"]), row["samples"])
            judge("it finds nothing wrong, and a native program", (row["findings"], row["family"]) == ([], "native"), row)
            flame = agent.ask(f"/api/profiles/{at}?value=cpu-time")
            judge("its flame graph has all of the CPU time", flame["root"]["total"] == totals(profile)[CPU_TIME], flame["value"])
            own = Counter()
            for sample in profile["samples"]:
                own[sample["frames"][0][0]] += sample["values"][CPU_TIME]
            listed = {row["name"]: row["own"] for row in flame["functions"]}
            judge("its first function is the busy one, with the same time", listed[BURN] == own[BURN] == max(listed.values()), flame["functions"][:3])


def labels_are_of_the_trace_and_of_the_kernel(run, profiles):
    wrong = [sample["labels"] for sample in all_samples(profiles) if not thread_is_known(run, sample["labels"])]
    judge("every thread has the number and the name that the kernel knows", not wrong, wrong)
    strays, routes, burnt = [], Counter(), 0
    for sample in all_samples(profiles):
        labels = sample["labels"]
        span_id, root_id = (labels.get(key, 0) % 2**64 for key in ("span id", "local root span id"))
        span, root = run.spans.get(span_id), run.spans.get(root_id)
        endpoint = labels.get("trace endpoint")
        if (span_id and not span) or (root_id and not root) or bool(span) != bool(root):
            strays.append(labels)
        elif endpoint and root["resource"] != endpoint:
            strays.append([labels, root["resource"]])
        elif span and (span["trace_id"], root["parent_id"]) != (root["trace_id"], 0):
            strays.append([labels, span, root])
        if endpoint:
            routes[endpoint] += sample["values"][CPU_SAMPLES]
        if any(frame[0] == BURN for frame in sample["frames"]) and sample["values"][CPU_SAMPLES]:
            burnt += 1
            if span and span["name"] != "testapi.burn":
                strays.append([labels, span["name"]])
    judge("each span and each local root is one that the test agent has, with that endpoint", not strays, strays)
    judge("the busy function was seen in spans of the busy work", burnt > 50, burnt)
    judge("the busy route has the most samples of all", routes and routes.most_common(1)[0][0] == BUSY_ENDPOINT, routes)
    tied = Counter()
    for sample in all_samples(profiles):
        if any(frame[0] == BURN for frame in sample["frames"]):
            tied[sample["labels"].get("trace endpoint")] += sample["values"][CPU_SAMPLES]
    share = tied[BUSY_ENDPOINT] / tied.total()
    judge("19 of 20 samples of the busy function have its endpoint", share >= 0.95, tied)


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
            handled += samples * any(frame[0] == HANDLER for frame in frames)
    judge("19 of 20 stacks of the pool go back to the thread's start", seen > 200 and whole / seen >= 0.95, [whole, seen, cut.most_common(10)])
    judge("19 of 20 stacks of the busy route have its handler", busy > 200 and handled / busy >= 0.95, [handled, busy])
    print(f"    whole: {whole} of {seen}; with the handler: {handled} of {busy}")


def begins_with_a_thread(frames):
    """The C library calls what Rust's own start of a thread is."""
    *_, started, outermost = frames if len(frames) > 1 else [["", "", 0, ""]] * 2
    return started[0].endswith("thread_start") and "/libc.so" in outermost[3]


def time_is_the_kernels(run, profiles):
    kernel = run.kernel
    cpu = [totals(profile)[CPU_TIME] for profile in profiles]
    judge("the CPU time of all uploads is that of the process, within 5 %", is_near(sum(cpu), kernel.cpu_ns[-1], 0.05), [sum(cpu), kernel.cpu_ns[-1]])
    for own, upload in zip(cpu[:-1], run.uploads):
        start, end = (kernel.cpu_at(time) for time in upload.window())
        judge("and that of each is the kernel's between its start and its end", is_near(own, end - start, 0.05), [own, end - start])
    wall, seconds = defaultdict(int), []
    for sample in all_samples(profiles):
        wall[sample["labels"].get("thread id")] += sample["values"][WALL_TIME]
    for number, (name, first, last) in kernel.threads.items():
        if re.match("api-|dd-", name):
            seconds.append((name, wall[number] / 1e9, (last - first) / 1e9))
    wrong = [row for row in seconds if not is_near(row[1], row[2], 0.1)]
    judge("the wall time of each thread is its life, within 10 %", len(seconds) > 8 and not wrong, wrong)
    print(f"    CPU: {sum(cpu) / 1e9:.3f} s of {kernel.cpu_ns[-1] / 1e9:.3f} s")


def is_near(seen, expected, share):
    return abs(seen - expected) <= expected * share


def the_program_is_the_first_mapping(files, profiles):
    """As profile.proto says; pprof's tools name a profile by it."""
    first = [profile["mappings"][0]["file"] for profile in profiles]
    judge("the first mapping is the program's own", all(name.endswith("/release/testapi") for name in first), first)
    head = go("-top", files[0]).splitlines()[0]
    judge("so go says whose profile it is", head == "File: testapi", head)


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
