"""Runs a check class of Datadog's Agent as a file of agent_conf says, and prints what it hands the Agent as JSON.

Has an environment of its own (checks.txt); called by openmetrics.py and by hostile.py:
agent_check.py CLASS FILE '{"endpoint": URL, "options": {}, "agent_started": seconds, "runs": 2}'
agent_check.py yaml FILE [prints the file, or the YAML blocks of a page, as JSON]
"""

import json
import logging
import os
import re
import sys
from pathlib import Path

# The stand-in for the Agent refuses `service` as a tag, which is a rule for Datadog's own checks alone.
os.environ["DDEV_SKIP_GENERIC_TAGS_CHECK"] = "true"

import yaml
from datadog_checks.base import OpenMetricsBaseCheck, OpenMetricsBaseCheckV2
from datadog_checks.base.checks.prometheus import GenericPrometheusCheck
from datadog_checks.base.stubs import aggregator, datadog_agent

# What stands behind openmetrics.d with openmetrics_endpoint, with prometheus_url, and behind prometheus.d.
CLASSES = {"v2": OpenMetricsBaseCheckV2, "v1": OpenMetricsBaseCheck, "prometheus": GenericPrometheusCheck}


class Warnings(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def blocks(path):
    text = Path(path).read_text()
    if path.endswith(".md"):
        return [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.M | re.S)]
    return yaml.safe_load(text)


def handed_over():
    """Everything since the last call, in the order of names."""
    metrics = [
        {"name": one.name, "kind": aggregator.METRIC_ENUM_MAP_REV[one.type], "value": one.value,
         "tags": sorted(one.tags), "first": bool(one.flush_first_value)}
        for name in aggregator.metric_names for one in aggregator.metrics(name)
    ]
    buckets = [
        {"name": one.name, "kind": "distribution", "value": one.value, "tags": sorted(one.tags),
         "first": bool(one.flush_first_value), "bounds": [one.lower_bound, one.upper_bound], "monotonic": one.monotonic}
        for several in aggregator._histogram_buckets.values() for one in several
    ]
    states = [
        {"name": one.name, "status": int(one.status), "tags": sorted(one.tags), "message": one.message}
        for name in aggregator.service_check_names for one in aggregator.service_checks(name)
    ]
    aggregator.reset()
    return {"metrics": metrics + buckets, "states": states}


def run(kind, path, asked):
    conf = blocks(path)
    url = "openmetrics_endpoint" if kind == "v2" else "prometheus_url"
    [instance] = [{**instance, url: asked["endpoint"], **asked.get("options", {})} for instance in conf["instances"]]
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    datadog_agent.set_process_start_time(asked["agent_started"])
    # The old class takes the Agent's own configuration between the two.
    middle = [{}] if kind == "prometheus" else []
    check = CLASSES[kind]("judged", conf["init_config"] or {}, *middle, [instance])
    check.check_id = "judged"
    runs = []
    for _ in range(asked.get("runs", 1)):
        # What the Agent calls: initialisation first, and any exception comes back as text.
        error = check.run()
        runs.append({"error": error, **handed_over()})
    return {"runs": runs, "warnings": warnings.lines + check.warnings}


if __name__ == "__main__":
    said = blocks(sys.argv[2]) if sys.argv[1] == "yaml" else run(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    print(json.dumps(said))
