"""Traces of every route, by Datadog's APM test agent."""

import json

from court import Api, get, judge


def traces_please_datadogs_test_agent(agent, folder):
    log = folder / "api.json"
    with Api(agent.base, TESTAPI_LOG_FILE=str(log), TESTAPI_LOG_LEVEL="debug") as api:
        routes = json.loads(api.ask("/", Accept="application/json").body)["routes"]
        for route in routes:
            api.ask(route["try"])
        code = api.stop()
    judge("the API stops with nothing left behind", code == 0, api.stderr.lines)
    status, body = get(f"{agent.base}/test/trace_check/failures?return_all=true")
    judge("no check of the test agent fails", status == 200, body)
    traces = agent.traces()
    linked = [span for trace in traces for span in trace if span.get("span_links")]
    judge("a span link arrives as one", len(linked) == 1 and linked[0]["span_links"][0]["span_id"] > 0, linked)
    first = [trace[0] for trace in traces]
    whole = all("_sampling_priority_v1" in span["metrics"] and span["meta"].get("_dd.p.tid") for span in first)
    judge("each chunk begins with its priority and the upper half of its trace id", whole, first)
    judge("every observed route has a trace", len(traces) >= len(routes) - 2, len(traces))
    failed = [span for trace in traces for span in trace if span.get("error") == 1 and "http.status_code" in span["meta"]]
    keys = ("error.type", "error.message", "error.stack")
    complete = all(span["meta"].get(key) for span in failed for key in keys)
    judge("each failed entry span has type, message and stack", failed and complete, failed)
    span_ids = {span["span_id"] for trace in traces for span in trace}
    access = [line for line in map(json.loads, log.read_text().splitlines()) if line.get("logger.name") == "testapi.access"]
    strays = [line for line in access if int(line["dd.span_id"]) not in span_ids]
    judge("each access line names a span that the test agent has", len(access) > 20 and not strays, strays)
