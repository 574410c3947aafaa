"""Both formats of /metrics, by Python's parsers of them and by promtool."""

import re
import subprocess
import time
from collections import Counter

from court import Api, DoesNotHold, differences, judge, unpacked, until
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
ASK_OPENMETRICS = "application/openmetrics-text; version=1.0.0"

# Who sends it, Accept, Content-Type of the answer.
ACCEPT = (
    ("nobody in particular", None, TEXT),
    ("one to whom all is the same", "*/*", TEXT),
    ("the Agent's check", "text/plain", TEXT),
    ("the Agent's check with use_latest_spec", "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1", OPENMETRICS),
    ("the Agent's old check", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", TEXT),
    ("Prometheus 2.42", "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPENMETRICS),
    ("Prometheus 3", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", OPENMETRICS),
    ("a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT),
    ("one who likes text better", "application/openmetrics-text;version=1.0.0;q=0.5, text/plain;version=0.0.4;q=0.9", TEXT),
    ("one who likes OpenMetrics better, named last", "text/plain;q=0.4, application/openmetrics-text;version=1.0.0;q=0.6", OPENMETRICS),
    ("one who refuses OpenMetrics", "application/openmetrics-text;version=1.0.0;q=0, text/plain", TEXT),
    ("one who wants a version that is not there", "application/openmetrics-text;version=9.0.0, text/plain;q=0.1", TEXT),
    ("one who writes in capitals", "APPLICATION/OPENMETRICS-TEXT; VERSION=1.0.0", OPENMETRICS),
    ("one who sends rubbish", ";;,q=,=;/", TEXT),
)
# Accept-Encoding, whether the answer is packed.
ENCODINGS = ((None, False), ("identity", False), ("gzip", True), ("gzip, deflate", True), ("gzip;q=0", False), ("br", False))

# Values that are another at each look, or that the look itself changes.
MOVING = re.compile(r"process_|exposition_(duration|size)")


def read(who, parse, page):
    try:
        return list(parse(page))
    except (ValueError, KeyError, IndexError) as error:
        raise DoesNotHold(f"the page is read by {who}\n  seen: {error!r}") from error


def text_families(page):
    return read("the text parser", parse_text, page)


def openmetrics_families(page):
    return read("the OpenMetrics parser", parse_openmetrics, page)


def both_formats_are_read_by_others(agent):
    began = time.time()
    with Api(agent.base) as api:
        for path in ("/status/404", "/prometheus_counter_inc/apples/3", "/prometheus_counter_inc/a%0Db/1", "/server_error/", "/slow/20", "/cpu/5"):
            api.ask(path)
        for who, accept, content_type in ACCEPT:
            reply = api.ask("/metrics", **({"Accept": accept} if accept else {}))
            sent = (reply.status, reply.headers["Content-Type"])
            judge(f"{who} gets {content_type.split(';')[0]}", sent == (200, content_type), sent)
        for accept, parse in ((None, text_families), (ASK_OPENMETRICS, openmetrics_families)):
            packing_is_as_asked(api, accept, parse)
        text = api.ask("/metrics").text
        openmetrics = api.ask("/metrics", Accept=ASK_OPENMETRICS).text
        promtool_finds_nothing(text)
        both_say_the_same(text, openmetrics)
        exemplars_lead_to_traces(agent, text, openmetrics, began)


def packing_is_as_asked(api, accept, parse):
    form = "OpenMetrics" if accept else "text"
    for encoding, packed in ENCODINGS:
        # Without the header urllib says identity.
        headers = {"Accept": accept, "Accept_Encoding": encoding}
        reply = api.ask("/metrics", **{name: value for name, value in headers.items() if value})
        said = reply.headers["Content-Encoding"]
        judge(f"{form} for Accept-Encoding {encoding}: {'packed' if packed else 'as it is'}", said == ("gzip" if packed else None), said)
        page = unpacked(reply).decode() if packed else reply.text
        judge("and the page is whole", "request_count" in {family.name for family in parse(page)}, page[-200:])


def promtool_finds_nothing(text):
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    judge("promtool finds nothing to say", checked.returncode == 0 and not checked.stderr, checked.stderr)


def values(families):
    """Sample name and labels to value, for all families."""
    number = lambda name, value: float(value) if name in ("le", "quantile") else value
    found = []
    for sample in (sample for family in families for sample in family.samples):
        labels = sorted((name, number(name, value)) for name, value in sample.labels.items())
        found.append(((sample.name, tuple(labels)), None if MOVING.match(sample.name) else sample.value))
    judge("each series stands once", len(dict(found)) == len(found), Counter(key for key, _ in found).most_common(3))
    return dict(found)


def both_say_the_same(text, openmetrics):
    plain, strict = text_families(text), openmetrics_families(openmetrics)
    types = {family.name: family.type for family in plain}
    wanted = {
        "request_count": "counter", "custom_metric": "counter", "request_latency_seconds": "histogram",
        "http_requests_in_flight": "gauge", "testapi_build_info": "gauge", "process_cpu_seconds": "counter",
        "process_start_time_seconds": "gauge", "exposition_duration_seconds": "summary",
        "exposition_size_bytes": "gauge", "exposition_series": "gauge", "exposition_series_refused": "counter",
        "exposition_observations_ignored": "counter",
    }
    missing = differences(wanted, {name: types[name] for name in wanted if name in types})
    judge("the text has the families that it should, of their types", not missing, missing)
    # The one kind that text has no word for.
    del types["testapi_build_info"]
    unequal = differences({**types, "testapi_build": "info"}, {family.name: family.type for family in strict})
    judge("OpenMetrics has the same, strictly read", not unequal, unequal)
    unequal = differences(values(plain), values(strict))
    judge("both have the same series and values", not unequal, unequal)
    untold = [family.name for family in plain + strict if not family.documentation]
    judge("each family says what it is", not untold, untold)
    units = {family.name: family.unit for family in strict if family.name.endswith(("_seconds", "_bytes"))}
    judge("a unit in a name is told as one", all(name.endswith("_" + unit) for name, unit in units.items() if unit) and any(units.values()), units)
    created = [line for line in openmetrics.splitlines() if "_created" in line]
    judge("no _created: the Agent's check would count it", not created, created)


def exemplars_lead_to_traces(agent, text, openmetrics, began):
    judge("text has no exemplar", not re.search(r"[}\d] # \{", text), re.findall(r".* # \{.*", text))
    samples = [sample for family in openmetrics_families(openmetrics) for sample in family.samples if sample.exemplar]
    judge("OpenMetrics has some", len(samples) >= 3, openmetrics[:1000])
    outside = [one for one in samples if not one.name.endswith("_bucket") or one.exemplar.value > float(one.labels["le"])]
    judge("each stands at a bucket, and below its bound", not outside, outside)
    long = [one for one in samples if sum(len(name) + len(value) for name, value in one.exemplar.labels.items()) > 128]
    judge("their labels are short enough", not long, long)
    early = [one for one in samples if not began - 1 <= float(one.exemplar.timestamp or began) <= time.time() + 1]
    judge("they were made in this run", not early, early)
    wanted = {sample.exemplar.labels.get("trace_id") for sample in samples}
    until("the traces of all exemplars at the test agent", lambda: wanted <= trace_ids(agent))
    judge("each exemplar names a trace that the test agent has", True)


def trace_ids(agent):
    """As 32 hexadecimal digits."""
    roots = [trace[0] for trace in agent.traces()]
    return {f"{span['meta'].get('_dd.p.tid', '0' * 16)}{span['trace_id'] % 2**64:016x}" for span in roots}
