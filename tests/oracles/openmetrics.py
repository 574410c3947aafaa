"""The Agent's own checks, as the files of agent_conf set them up."""

import json
import math
import subprocess
import time
from collections import Counter

from court import VENVS, Api, differences, judge, until
from formats import text_families

INC = "/prometheus_counter_inc/{count_type}/{value}"
# path, route, status, how often
WORK = (
    ("/status/404", "/status/{code}", 404, 3),
    ("/status/200", "/status/{code}", 200, 1),
    ("/prometheus_counter_inc/apples/3", INC, 200, 2),
    ("/prometheus_counter_inc/pears/5", INC, 200, 1),
    # A line break that no format can escape: no series of its own.
    ("/prometheus_counter_inc/a%0Db/7", INC, 200, 1),
    ("/server_error/", "/server_error/", 500, 1),
    ("/panic/", "/panic/", 500, 1),
    ("/slow/30", "/slow/{ms}", 200, 1),
    ("/nowhere", "none", 404, 1),
)
ADDED = {"apples": 6, "pears": 5, "overflow": 7}
VERSION = "4.5.6"
COUNT, GAUGE, DISTRIBUTION = "monotonic_count", "gauge", "distribution"


def agent_check(*arguments):
    """What agent_check.py prints."""
    command = [VENVS / "checks/bin/python", "tests/oracles/agent_check.py", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    judge(f"Datadog's code runs: {' '.join(arguments[:2])}", ran.returncode == 0, ran.stderr)
    return json.loads(ran.stdout)


def scrape(kind, api, agent_started=0, runs=1, **options):
    path = "agent_conf/openmetrics.d/conf.yaml" if kind == "v2" else "agent_conf/prometheus.d/conf.yaml"
    asked = {"endpoint": f"{api.base}/metrics", "agent_started": agent_started, "runs": runs, "options": options}
    said = agent_check(kind, path, json.dumps(asked))
    judge("it has no error and nothing to warn of", not said["warnings"] and not any(run["error"] for run in said["runs"]), said)
    return said["runs"]


def agent_files_yield_what_they_promise():
    the_files_are_loaded_as_they_say()
    with Api(DD_VERSION=VERSION) as api:
        for path, _, _, times in WORK:
            for _ in range(times):
                api.ask(path)
        requests = sum(times for *_, times in WORK)
        counted = lambda page: sum(sample.value for sample in page["request_count"].samples) == requests
        page = until("the last request to be counted", lambda: counted(families(api)) and families(api))
        for accept, options in (("text", {}), ("OpenMetrics", {"use_latest_spec": True})):
            the_check_takes_all_that_it_should(api, page, accept, options)
        old = scrape("v2", api, collect_histograms_as_distributions=False)[0]["metrics"]
        bounds = {tag.split(":")[0] for row in old if row["kind"] == DISTRIBUTION for tag in row["tags"]}
        judge("a check without that option tags the bounds", {"lower_bound", "upper_bound"} <= bounds, bounds)
        for kind in ("prometheus", "v1"):
            the_old_check_keeps_the_old_names(api, page, kind)


def families(api):
    return {family.name: family for family in text_families(api.ask("/metrics").text)}


def the_files_are_loaded_as_they_say():
    live, old = (agent_check("yaml", f"agent_conf/{name}.d/conf.yaml") for name in ("openmetrics", "prometheus"))
    judge("the OpenMetrics file is live", "ad_identifiers" not in live and len(live["instances"]) == 1, live)
    judge("the old one starts for containers that ask, and for none else", old.get("ad_identifiers") == ["testapi-v1"], old)
    [instance] = live["instances"]
    page = agent_check("yaml", "agent_conf/README.md")
    told = []
    for block in page:
        labels = block.get("labels") or block["metadata"]["annotations"]
        checks = [value for name, value in labels.items() if name.endswith(("ad.checks", ".checks"))]
        told += [json.loads(value)["openmetrics"] for value in checks]
    same = [{**check["instances"][0], "openmetrics_endpoint": instance["openmetrics_endpoint"]} for check in told]
    judge("labels and annotations in the page say what the file says", same == [instance, instance], same)


def the_check_takes_all_that_it_should(api, page, accept, options):
    expected = expectations(page, ("service:testapi", f"version:{VERSION}"))
    before, again = scrape("v2", api, agent_started=0, runs=2, **options)
    said = rows(before)
    unequal = differences(dict.fromkeys(expected), dict.fromkeys(said))
    judge(f"by {accept}, names, kinds and tags are these and no others", not unequal, unequal)
    wrong = {key: (said[key], value) for key, value in expected.items() if not fits(said[key], value)}
    judge(f"by {accept}, values are what was asked of the API", not wrong, wrong)
    health = [{"name": "TESTAPI.openmetrics.health", "status": 0, "tags": ["service:testapi"], "message": ""}]
    judge(f"by {accept}, the endpoint is well at each run", before["states"] == again["states"] == health, before["states"])
    first = lambda run: {row["first"] for row in run["metrics"] if row["kind"] in (COUNT, DISTRIBUTION)}
    judge(f"by {accept}, an Agent older than the process takes first values of counts", first(before) == {True}, first(before))
    late = [first(run) for run in scrape("v2", api, agent_started=time.time() + 60, runs=2, **options)]
    judge(f"by {accept}, a younger one starts from them and takes the next", late == [{False}, {True}], late)


def expectations(page, tags):
    """(name, kind, tags, bounds) to a value, or to a test of it."""
    expected = {}

    def put(name, kind, value, *own, bounds=()):
        expected[f"TESTAPI.{name}", kind, tuple(sorted(own + tags)), bounds] = value

    of_route, of_status = Counter(), Counter()
    for _, route, status, times in WORK:
        of_route[route] += times
        of_status[route, status] += times
    for (route, status), times in of_status.items():
        put("request_count.count", COUNT, times, "method:GET", f"route:{route}", f"status:{status}")
    for label, added in ADDED.items():
        put("custom_metric.count", COUNT, added, f"count_type:{label}")
    for route, times in of_route.items():
        own = ("method:GET", f"route:{route}")
        put("request_latency_seconds.count", COUNT, times, *own)
        slow = 0.03 if route == "/slow/{ms}" else 0
        total = histogram(page, route, "_sum")[0][1]
        put("request_latency_seconds.sum", COUNT, lambda value, total=total, slow=slow: value == total > slow, *own)
        below, lower = 0, 0
        for upper, up_to in histogram(page, route, "_bucket"):
            put("request_latency_seconds", DISTRIBUTION, up_to - below, *own, bounds=(lower, upper))
            below, lower = up_to, upper
    put("http_requests_in_flight", GAUGE, 0)
    put("process_cpu_seconds.count", COUNT, lambda value: 0 <= value < 60)
    put("process_resident_memory_bytes", GAUGE, lambda value: 1e6 < value < 1e9)
    put("process_open_fds", GAUGE, lambda value: 3 <= value < 1000)
    put("process_threads", GAUGE, lambda value: 1 <= value < 100)
    put("exposition_series", GAUGE, lambda value: 10 < value < 1000)
    put("exposition_series_refused.count", COUNT, 1, "family:custom_metric")
    put("exposition_observations_ignored.count", COUNT, 0)
    return expected


def histogram(page, route, suffix):
    samples = [sample for sample in page["request_latency_seconds"].samples if sample.name.endswith(suffix)]
    return [(float(one.labels.get("le", "nan")), one.value) for one in samples if one.labels["route"] == route]


def rows(run):
    found = [((row["name"], row["kind"], tuple(row["tags"]), tuple(row.get("bounds", ()))), row["value"]) for row in run["metrics"]]
    judge("nothing is handed over twice", len(dict(found)) == len(found), Counter(key for key, _ in found).most_common(3))
    return dict(found)


def fits(value, expected):
    return expected(value) if callable(expected) else value == expected


def the_old_check_keeps_the_old_names(api, page, kind):
    tags = ("service:testapi",)
    kept = {f"TESTAPI.{name}.count": f"TESTAPI.{name}" for name in ("request_count", "custom_metric")}
    expected = {
        (kept[name], *rest): value for (name, *rest), value in expectations(page, tags).items() if name in kept
    }
    for route in {route for _, route, *_ in WORK}:
        own = ("method:GET", f"route:{route}", *tags)
        name, total = "TESTAPI.request_latency_seconds", histogram(page, route, "_count")[0][1]
        expected[f"{name}.sum", GAUGE, tuple(sorted(own)), ()] = histogram(page, route, "_sum")[0][1]
        expected[f"{name}.count", GAUGE, tuple(sorted((*own, "upper_bound:none"))), ()] = total
        # One of the two classes leaves +Inf to the total.
        bounds = [row for row in histogram(page, route, "_bucket") if kind == "prometheus" or math.isfinite(row[0])]
        for upper, up_to in bounds:
            expected[f"{name}.count", GAUGE, tuple(sorted((*own, f"upper_bound:{upper}"))), ()] = up_to
    [run] = scrape(kind, api)
    unequal = differences(expected, rows(run))
    judge(f"under the old names stands what stood there ({kind})", not unequal, unequal)
    states = [(state["name"], state["status"], state["message"]) for state in run["states"]]
    judge(f"its endpoint is well ({kind})", states == [("TESTAPI.prometheus.health", 0, "")], states)
