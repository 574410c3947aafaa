"""Prometheus itself, which scrapes the API each second."""

import json
import math
import re
import urllib.parse

from court import Api, DoesNotHold, differences, free_port, get, judge, start, stop, until
from formats import ASK_OPENMETRICS, openmetrics_families, trace_ids

SCRAPES = 30
CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: testapi
    static_configs: [{{targets: ["{target}"]}}]
"""
# A few of those that hostile.py has in full.
LABELS = ('a"b', "a\\b", "a\nb", "é", 'x"} 1\n')


class Prometheus:
    def __init__(self, folder, target):
        configuration = folder / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(target=target))
        address = f"127.0.0.1:{free_port()}"
        self.base = f"http://{address}/api/v1"
        self.process = start(
            "prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={address}", "--enable-feature=exemplar-storage", "--log.level=info",
        )

    def asked(self, path, **parameters):
        answer = json.loads(get(f"{self.base}/{path}?{urllib.parse.urlencode(parameters)}")[1])
        if answer["status"] != "success":
            raise DoesNotHold(f"{path} is answered\n  seen: {answer}")
        return answer["data"]

    def query(self, expression):
        """Labels and value of each series."""
        return [(row["metric"], float(row["value"][1])) for row in self.asked("query", query=expression)["result"]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            stop(self.process)


def prometheus_scrapes_it_each_second(agent, folder):
    with Api(agent.base) as api, Prometheus(folder, api.base.removeprefix("http://")) as prometheus:
        until("Prometheus", lambda: get(prometheus.base.replace("/api/v1", "/-/ready"))[0] == 200)
        until("the first scrape", lambda: prometheus.query("up == 1"))
        for number, label in enumerate(LABELS, 1):
            api.ask(f"/prometheus_counter_inc/{urllib.parse.quote(label, safe='')}/{number}")
        asked = light_load(api, prometheus)
        every_scrape_was_good(prometheus)
        last = lambda: prometheus.query('request_count_total{route="/status/{code}"}')
        until("the last request in Prometheus", lambda: [value for _, value in last()] == [asked])
        judge("it has counted as many requests as were made", True)
        kept = {labels["count_type"]: value for labels, value in prometheus.query("custom_metric_total")}
        unequal = differences({label: number for number, label in enumerate(LABELS, 1)}, kept)
        judge("label values came through as they were", not unequal, unequal)
        questions_are_answered(prometheus)
        types_are_known(api, prometheus)
        exemplars_are_kept(agent, prometheus)
        _, log = stop(prometheus.process)
    complaints = [line for line in log.splitlines() if re.search(r"level=(warn|error)", line, re.I)]
    about = [line for line in complaints if re.search(r"scrape|target|append|sample|exemplar", line, re.I)]
    judge("its log has no complaint of the target", not about, about)


def light_load(api, prometheus):
    """Some requests between looks, until there are enough scrapes; how many requests of one route."""
    asked = 0

    def enough():
        nonlocal asked
        api.ask("/status/204")
        api.ask("/slow/5")
        asked += 1
        return [value for _, value in prometheus.query("count_over_time(up[5m])") if value >= SCRAPES]

    until(f"{SCRAPES} scrapes", enough, seconds=SCRAPES + 15)
    return asked


def every_scrape_was_good(prometheus):
    lowest = prometheus.query("min_over_time(up[5m])")
    judge("up was always 1", [value for _, value in lowest] == [1], lowest)
    samples = prometheus.query("min_over_time(scrape_samples_scraped[5m])")
    judge("each scrape had samples", [value > 0 for _, value in samples] == [True], samples)
    lost = prometheus.query("max_over_time((scrape_samples_scraped - scrape_samples_post_metric_relabeling)[5m:1s])")
    judge("and none was left out", [value for _, value in lost] == [0], lost)
    [target] = prometheus.asked("targets")["activeTargets"]
    judge("the target is up without an error", (target["health"], target["lastError"]) == ("up", ""), target)


def questions_are_answered(prometheus):
    rate = prometheus.query('rate(request_count_total{route="/status/{code}"}[20s])')
    judge("rate() sees the load", len(rate) == 1 and 0.5 < rate[0][1] < 100, rate)
    median = prometheus.query('histogram_quantile(0.5, rate(request_latency_seconds_bucket{route="/slow/{ms}"}[20s]))')
    judge("histogram_quantile() sees its 5 ms", len(median) == 1 and 0.005 <= median[0][1] < 1, median)
    mean = prometheus.query('sum(rate(request_latency_seconds_sum[20s])) / sum(rate(request_latency_seconds_count[20s]))')
    judge("sum over count is a number", len(mean) == 1 and math.isfinite(mean[0][1]) and mean[0][1] > 0, mean)


def types_are_known(api, prometheus):
    page = openmetrics_families(api.ask("/metrics", Accept=ASK_OPENMETRICS).text)
    expected = {family.name: (family.type, family.documentation) for family in page}
    known = {name: {(one["type"], one["help"]) for one in several} for name, several in prometheus.asked("metadata").items()}
    unequal = differences({name: {told} for name, told in expected.items()}, known)
    judge("type and help of every family are as the page says", not unequal, unequal)


def exemplars_are_kept(agent, prometheus):
    whole = {"query": "request_latency_seconds_bucket", "start": 0, "end": 9999999999}
    series = until("exemplars", lambda: prometheus.asked("query_exemplars", **whole))
    wanted = {one["labels"].get("trace_id") for row in series for one in row["exemplars"]}
    until("the traces of all exemplars at the test agent", lambda: wanted <= trace_ids(agent))
    judge("it keeps exemplars, and each names a trace that the test agent has", len(wanted) > 3, wanted)
