"""Runs the release build against judges that nobody here wrote. Called by run.sh."""

import sys
import tempfile
import time
import traceback
from pathlib import Path

import court
from clients import others_clients_please_our_agent
from formats import both_formats_are_read_by_others
from hostile import no_label_breaks_the_page
from logs import every_line_has_the_level_that_was_logged, standard_error_is_lines_of_json
from openmetrics import agent_files_yield_what_they_promise
from others_profiles import python_profiles_please_our_agent
from profiles import profiles_please_others, unprofiled_is_left_alone
from scraper import prometheus_scrapes_it_each_second
from traces import traces_please_datadogs_test_agent


def main():
    failed = []
    with tempfile.TemporaryDirectory(prefix="testapi-judge-") as made, court.TestAgent() as agent:
        folder = Path(made)
        subjects = (
            ("traces, by Datadog's APM test agent", traces_please_datadogs_test_agent, (agent, folder)),
            ("our agent, by ddtrace and datadogpy", others_clients_please_our_agent, (folder,)),
            ("the files of agent_conf, by the Agent's checks", agent_files_yield_what_they_promise, ()),
            ("both formats of the page, by Python's parsers and promtool", both_formats_are_read_by_others, (agent,)),
            ("hostile labels, by every parser", no_label_breaks_the_page, ()),
            ("Prometheus itself", prometheus_scrapes_it_each_second, (agent, folder)),
            ("lines of the log, by Datadog's rules", every_line_has_the_level_that_was_logged, (folder,)),
            ("standard error, by the same", standard_error_is_lines_of_json, ()),
            ("profiles, by Google's classes, go tool pprof and the test agent", profiles_please_others, (folder,)),
            ("no profiles where none are asked for", unprofiled_is_left_alone, (agent,)),
            ("profiles of ddtrace, by our agent", python_profiles_please_our_agent, (folder,)),
        )
        only = sys.argv[1:]
        for title, subject, arguments in subjects:
            if only and not any(word in title for word in only):
                continue
            print(title, flush=True)
            began = time.monotonic()
            try:
                subject(*arguments)
            except court.DoesNotHold as error:
                print(f"  does not hold: {error}", flush=True)
                failed.append(title)
            except Exception:
                traceback.print_exc(file=sys.stdout)
                failed.append(title)
            print(f"  {time.monotonic() - began:.1f} s", flush=True)
    print(f"{court.passed} passed, {len(failed)} failed" + "".join(f"\n  {title}" for title in failed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
