#!/usr/bin/env bash
# Judges that nobody here wrote, on the release build: Datadog's APM test agent, ddtrace and datadogpy for Python, the
# Agent's own OpenMetrics and Prometheus checks, the Python parsers of both exposition formats, promtool, Prometheus,
# Google's classes for pprof, go tool pprof.
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
for name in test_agent clients checks profiles; do
    requirements=tests/oracles/$name.txt
    # Of Google's profiler only the classes for pprof are used; what it needs for its cloud is six times as much.
    with=$([ "$name" != profiles ] || echo --no-deps)
    if ! cmp -s "$requirements" "$venvs/$name/installed.txt"; then
        python3 -m venv --clear "$venvs/$name"
        "$venvs/$name/bin/pip" install --quiet --disable-pip-version-check $with -r "$requirements" ||
            missing "the packages of $requirements"
        cp "$requirements" "$venvs/$name/installed.txt"
    fi
done
unfound() {
    for tool in promtool prometheus go; do
        command -v "$tool" >/dev/null || echo "$tool"
    done
}
if [ -n "$(unfound)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    (apt-get update && apt-get install -y prometheus && apt-get install -y --no-install-recommends golang-go) \
        >/dev/null 2>&1 || true
fi
[ -z "$(unfound)" ] || missing "$(unfound | xargs) (the Debian packages prometheus and golang-go have them)"

exec "$venvs/clients/bin/python" tests/oracles/judge.py "$@"
