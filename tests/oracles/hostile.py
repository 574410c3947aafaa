"""Label values that want to break the page, by every parser that reads it."""

import http.client
from urllib.parse import quote, quote_from_bytes

from court import Api, differences, judge
from formats import ASK_OPENMETRICS, openmetrics_families, promtool_finds_nothing, text_families
from openmetrics import scrape

# Come back as they were sent.
KEPT = (
    "apples", 'a"b', '"', "a\\b", "\\", '\\"', "a\\nb", "a\nb", "\n", '"} 9\ncustom_metric_total{count_type="apples"} 9',
    "{a=\"b\"}", "} 1", "# EOF", "a # {trace_id=\"1\"} 1", "a,b=c", " a ", "a\tb", "a/b", "é", "日本", "🍎", "+Inf", "le", "x" * 1024,
)
# Stand for a line break somewhere, or are too long: no series of their own.
REFUSED = (
    "a\rb", "a\vb", "a\fb", "a\x1cb", "a\x1db", "a\x1eb", "a\x85b", "a\u2028b", "a\u2029b", "x" * 1025, "x" * 2000,
)
INVALID = b"a\xff\xfeb\xc3"
DISTINCT = 3000


def no_label_breaks_the_page():
    with Api(TESTAPI_LOG_LEVEL="critical") as api:
        asked = ask_all(api)
        pages = {
            "the text parser": text_families(api.ask("/metrics").text),
            "the OpenMetrics parser": openmetrics_families(api.ask("/metrics", Accept=ASK_OPENMETRICS).text),
        }
        for who, families in pages.items():
            seen = {sample.labels["count_type"]: sample.value for family in families if family.name == "custom_metric" for sample in family.samples}
            refused = the_series_are_right(who, asked, seen)
            [told] = [sample.value for family in families if family.name == "exposition_series_refused" for sample in family.samples] or [None]
            judge(f"each refusal is counted, says {who}", told == refused, (told, refused))
        promtool_finds_nothing(api.ask("/metrics").text)
        for who, kind, options in (("V2 by text", "v2", {}), ("V2 by OpenMetrics", "v2", {"use_latest_spec": True}), ("the old check", "prometheus", {})):
            name = "TESTAPI.custom_metric.count" if kind == "v2" else "TESTAPI.custom_metric"
            [run] = scrape(kind, api, **options)
            tagged = [(tag, row["value"]) for row in run["metrics"] if row["name"] == name for tag in row["tags"] if tag.startswith("count_type:")]
            seen = {tag.removeprefix("count_type:"): value for tag, value in tagged}
            the_series_are_right(who, asked, seen)


def ask_all(api):
    """Each value its own number, so that no two can be mistaken for each other."""
    connection = http.client.HTTPConnection(api.base.removeprefix("http://"))
    asked, other = {}, {}
    words = [(word, quote(word, safe="")) for word in KEPT + REFUSED] + [("a\ufffd\ufffdb\ufffd", quote_from_bytes(INVALID, safe=""))]
    words += [(f"distinct-{number}", f"distinct-{number}") for number in range(DISTINCT)]
    for number, (word, path) in enumerate(words, 1):
        asked[word] = number
        connection.request("GET", f"/prometheus_counter_inc/{path}/{number}")
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            other[word] = (reply.status, body)
    connection.close()
    judge(f"all {len(words)} are taken", not other, other)
    return asked


def the_series_are_right(who, asked, seen):
    """Returns how many were refused."""
    shown = {word: value for word, value in seen.items() if word != "overflow"}
    unequal = differences({word: asked.get(word) for word in shown}, shown)
    judge(f"every series has its own number, says {who}", not unequal, unequal)
    lost = [word for word in (*KEPT, "a\ufffd\ufffdb\ufffd") if word not in shown]
    judge(f"what can be escaped comes back as it was, says {who}", not lost, lost)
    wrong = [word for word in REFUSED if word in shown]
    judge(f"what cannot has no series, says {who}", not wrong, wrong)
    judge(f"a family is bounded, says {who}", 1900 < len(seen) <= 2001, len(seen))
    rest = [number for word, number in asked.items() if word not in shown]
    judge(f"the rest is in the overflow, says {who}", seen["overflow"] == sum(rest), (seen["overflow"], sum(rest)))
    return len(rest)
