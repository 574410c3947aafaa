#!/usr/bin/env bash
# Judges that nobody here wrote, on the release build: Datadog's APM test agent, ddtrace and datadogpy for
# Python, the Python parser of Prometheus text, promtool. Installs what it can; says aloud what is missing,
# and fails for it where CI is set.
set -euo pipefail
cd "$(dirname "$0")/../.."
venvs=target/oracles

missing() {
    echo "missing: $1"
    [ -z "${CI:-}" ] || exit 1
    exit 0
}

command -v python3 >/dev/null || missing 'python3'
# The two pin different versions of one library, so each has an environment of its own.
for name in test_agent clients; do
    requirements=tests/oracles/$name.txt
    if ! cmp -s "$requirements" "$venvs/$name/installed.txt"; then
        python3 -m venv --clear "$venvs/$name"
        "$venvs/$name/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" ||
            missing "the packages of $requirements"
        cp "$requirements" "$venvs/$name/installed.txt"
    fi
done
if ! command -v promtool >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y prometheus) >/dev/null 2>&1 || true
fi
command -v promtool >/dev/null || missing 'promtool (the Debian package prometheus has it)'

exec "$venvs/clients/bin/python" tests/oracles/judge.py "$venvs/test_agent/bin/ddapm-test-agent"
