"""The level that Datadog gives a log record: its documentation, "Pipelines", on the log status remapper."""

NAMES = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
KEYS = ("status", "severity", "level", "syslog.severity")
# What a text begins with, in any case. The first that fits.
PREFIXES = (
    ("emerg", "emergency"), ("f", "emergency"), ("a", "alert"), ("c", "critical"), ("err", "error"), ("w", "warning"),
    ("n", "notice"), ("i", "info"), ("d", "debug"), ("t", "debug"), ("v", "debug"), ("o", "ok"), ("s", "ok"),
)


def of_value(value):
    text = str(value).lower()
    if text.isascii() and text.isdigit() and int(text) < len(NAMES):
        return NAMES[int(text)]
    return next((name for prefix, name in PREFIXES if text.startswith(prefix)), "info")


def of_record(record):
    return of_value(next((record[key] for key in KEYS if key in record), ""))
