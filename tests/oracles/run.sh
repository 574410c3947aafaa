#!/usr/bin/env bash
# Judges that nobody here wrote, on the release build: Datadog's APM test agent, ddtrace and datadogpy for Python, the
# Agent's own OpenMetrics and Prometheus checks, the Python parsers of both exposition formats, promtool, Prometheus.
# Installs what it can; says aloud what is missing, and fails for it where CI is set.
# Words as arguments run only the subjects whose titles have one of them.
set -euo pipefail
cd "$(dirname "$0")/../.."
venvs=target/oracles

missing() {
    echo "missing: $1"
    [ -z "${CI:-}" ] || exit 1
    exit 0
}

command -v python3 >/dev/null || missing 'python3'
# They pin different versions of the same libraries, so each has an environment of its own.
for name in test_agent clients checks; do
    requirements=tests/oracles/$name.txt
    if ! cmp -s "$requirements" "$venvs/$name/installed.txt"; then
        python3 -m venv --clear "$venvs/$name"
        "$venvs/$name/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" ||
            missing "the packages of $requirements"
        cp "$requirements" "$venvs/$name/installed.txt"
    fi
done
both() { command -v promtool >/dev/null && command -v prometheus >/dev/null; }
if ! both && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y prometheus) >/dev/null 2>&1 || true
fi
both || missing 'prometheus and promtool (the Debian package prometheus has both)'

exec "$venvs/clients/bin/python" tests/oracles/judge.py "$@"
