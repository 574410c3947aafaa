//! Pairs of text to settings.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::settings::{DOGSTATSD_SOCKET, TRACE_SOCKET};
use super::vars::MAY_BE_EMPTY;
use super::{Settings, VARS};
use crate::trace::web::repository_url;

/// A value that was not taken, or a name that nobody reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Name, value, what it takes, what holds instead.
    Value(&'static str, String, &'static str, &'static str),
    /// A name, and what is wrong with a part of its value; the rest holds.
    Part(&'static str, String),
    /// A name that looks like one of ours, and the nearest that is.
    Name(String, &'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Value(name, value, takes, kept) => {
                let kept = if kept.is_empty() { "it unset" } else { kept };
                write!(f, "{name}={value:?}: takes {takes}; kept {kept}")
            }
            Problem::Part(name, why) => write!(f, "{name}: {why}"),
            Problem::Name(name, nearest) => {
                write!(f, "{name} is not read here; did you mean {nearest}?")
            }
        }
    }
}

/// Reads every pair whose name stands in the table. An empty value counts as unset. `exists` is asked
/// whether the Agent's default sockets are there.
pub fn parse<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    exists: &dyn Fn(&Path) -> bool,
) -> (Settings, Vec<Problem>) {
    let pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
    let mut settings = Settings {
        trace_socket_exists: exists(Path::new(TRACE_SOCKET)),
        dogstatsd_socket_exists: exists(Path::new(DOGSTATSD_SOCKET)),
        ..Settings::default()
    };
    let mut problems = Vec::new();
    // In the table's order, not the environment's: the result must not depend on the latter.
    for var in VARS {
        let said = pairs
            .iter()
            .find(|(name, value)| *name == var.name && is_said(name, value));
        if let Some((_, value)) = said
            && !(var.read)(&mut settings, value)
        {
            problems.push(Problem::Value(
                var.name,
                // Whoever reads of it need not read a password.
                repository_url(value),
                var.takes,
                var.default,
            ));
        }
    }
    settings.read_files();
    let notes = settings.notes.drain(..);
    problems.extend(notes.map(|(name, why)| Problem::Part(name, why)));
    for (name, _) in pairs {
        if let Some(nearest) = nearest(name) {
            problems.push(Problem::Name(name.to_string(), nearest));
        }
    }
    settings.problems.clone_from(&problems);
    (settings, problems)
}

fn is_said(name: &str, value: &str) -> bool {
    !value.is_empty() || MAY_BE_EMPTY.contains(&name)
}

/// Longest file of rules that is read.
const RULES_BYTES_MAX: u64 = 1 << 20;

impl Settings {
    /// Reads what is kept in a file of its own.
    fn read_files(&mut self) {
        const NAME: &str = "DD_SPAN_SAMPLING_RULES_FILE";
        let Some(path) = self.span_rules_file.clone() else {
            return;
        };
        let mut json = String::new();
        let read = File::open(&path)
            .and_then(|file| file.take(RULES_BYTES_MAX + 1).read_to_string(&mut json));
        match read {
            Ok(_) if json.len() as u64 > RULES_BYTES_MAX => {
                let why = format!("{}: over {RULES_BYTES_MAX} bytes", path.display());
                self.note(NAME, vec![why]);
            }
            Ok(_) => self.say_span_rules(NAME, &json),
            Err(error) => self.note(NAME, vec![format!("{}: {error}", path.display())]),
        }
    }

    /// Takes a value as though the environment had said it, and wins over what did.
    ///
    /// # Errors
    /// What the setting takes, where this value is none.
    pub fn say(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match VARS.iter().find(|var| var.name == name) {
            Some(var) if (var.read)(self, value) => Ok(()),
            Some(var) => Err(var.takes),
            None => Err("no value: there is no such setting"),
        }
    }
}

/// The name in the table that differs in a few letters: two, or one in eight of a long name. Others' names
/// are none of our business: the environment is full of settings for the Agent and for other tracers.
fn nearest(name: &str) -> Option<&'static str> {
    let ours = name.starts_with("DD_") || name.starts_with("TESTAPI_");
    if !ours || VARS.iter().any(|var| var.name == name) {
        return None;
    }
    VARS.iter()
        .map(|var| (distance(name, var.name), var.name))
        .min()
        .filter(|(distance, _)| *distance <= (name.len() / 8).max(2))
        .map(|(_, nearest)| nearest)
}

/// Letters to change, add or remove (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dogstatsd::{Address, Cardinality};
    use crate::http::Target;
    use crate::log::Level;
    use crate::profile;
    use crate::trace::Style;
    use crate::trace::web::QueryTag;

    fn read(pairs: &[(&str, &str)]) -> Settings {
        let (settings, problems) = parse(pairs.iter().copied(), &|_| false);
        assert_eq!(problems, [], "{pairs:?}");
        settings
    }

    #[track_caller]
    fn addresses(rule: &str, pairs: &[(&str, &str)], traces: &str, metrics: &str) {
        let settings = read(pairs);
        assert_eq!(settings.trace().agent.to_string(), traces, "{rule}");
        assert_eq!(settings.dogstatsd().address.to_string(), metrics, "{rule}");
    }

    #[test]
    fn every_way_to_name_the_agent_has_its_rank() {
        let (http, udp) = ("http://127.0.0.1:8126", "udp://127.0.0.1:8125");
        addresses("nothing said", &[], http, udp);
        addresses(
            "empty is unset",
            &[("DD_AGENT_HOST", ""), ("DD_TRACE_AGENT_URL", "")],
            http,
            udp,
        );
        addresses(
            "a host serves both",
            &[("DD_AGENT_HOST", "agent")],
            "http://agent:8126",
            "udp://agent:8125",
        );
        addresses(
            "an IPv6 host gets brackets",
            &[("DD_AGENT_HOST", "::1")],
            "http://[::1]:8126",
            "udp://[::1]:8125",
        );
        addresses(
            "ports",
            &[("DD_TRACE_AGENT_PORT", "1"), ("DD_DOGSTATSD_PORT", "2")],
            "http://127.0.0.1:1",
            "udp://127.0.0.1:2",
        );
        addresses(
            "its own host for DogStatsD",
            &[("DD_AGENT_HOST", "a"), ("DD_DOGSTATSD_HOST", "b")],
            "http://a:8126",
            "udp://b:8125",
        );
        addresses(
            "URLs win",
            &[
                ("DD_AGENT_HOST", "a"),
                ("DD_TRACE_AGENT_URL", "unix:///t"),
                ("DD_DOGSTATSD_URL", "unix:///d"),
            ],
            "unix:///t",
            "unix:///d",
        );
        let socket = ("DD_DOGSTATSD_SOCKET", "/s");
        addresses("a socket's path", &[socket], http, "unix:///s");
        addresses(
            "a host wins over it",
            &[("DD_AGENT_HOST", "a"), socket],
            "http://a:8126",
            "udp://a:8125",
        );
        addresses(
            "so does a port",
            &[("DD_DOGSTATSD_PORT", "2"), socket],
            http,
            "udp://127.0.0.1:2",
        );
        addresses(
            "and so does a URL",
            &[("DD_DOGSTATSD_URL", "unixstream:///d"), socket],
            http,
            "unixstream:///d",
        );
    }

    #[test]
    fn the_sockets_are_taken_where_they_are_and_nothing_else_was_said() {
        let (settings, _) = parse([], &|_| true);
        assert_eq!(
            settings.trace().agent.to_string(),
            "unix:///var/run/datadog/apm.socket"
        );
        assert!(
            settings
                .dogstatsd()
                .address
                .to_string()
                .ends_with("/var/run/datadog/dsd.socket")
        );
        let (settings, _) = parse([("DD_DOGSTATSD_SOCKET", "/s")], &|_| true);
        assert_eq!(settings.dogstatsd().address.to_string(), "unix:///s");
        let (settings, _) = parse([("DD_AGENT_HOST", "a")], &|_| true);
        assert_eq!(settings.trace().agent.to_string(), "http://a:8126");
    }

    #[track_caller]
    fn problem(name: &str, value: &str, expected: &str) {
        let (_, problems) = parse([(name, value)], &|_| false);
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [expected]);
    }

    #[test]
    fn the_bounds_of_dogstatsd_are_settings() {
        let pairs = [
            ("TESTAPI_DOGSTATSD_WINDOW", "5"),
            ("TESTAPI_DOGSTATSD_CONTEXTS", "7"),
            ("TESTAPI_DOGSTATSD_SET_MEMBERS", "8"),
            ("TESTAPI_DOGSTATSD_VALUES", "9"),
            ("TESTAPI_DOGSTATSD_QUEUE_BYTES", "65536"),
            ("TESTAPI_DOGSTATSD_BACKLOG_BYTES", "70000"),
            ("TESTAPI_DOGSTATSD_TELEMETRY", "off"),
        ];
        let (settings, problems) = parse(pairs, &|_| false);
        assert!(problems.is_empty(), "{problems:?}");
        let options = settings.dogstatsd();
        assert_eq!(options.flush_interval.as_secs(), 5);
        let bounds = (
            options.contexts_max,
            options.set_members_max,
            options.values_max,
        );
        assert_eq!(bounds, (7, 8, 9));
        assert_eq!(
            (options.queue_bytes_max, options.backlog_bytes_max),
            (65_536, 70_000)
        );
        assert!(!options.telemetry);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn a_bad_value_is_told_with_what_is_allowed_and_what_holds() {
        problem(
            "DD_TRACE_ENABLED",
            "maybe",
            "DD_TRACE_ENABLED=\"maybe\": takes true or false; kept true",
        );
        problem(
            "DD_DOGSTATSD_PORT",
            "0",
            "DD_DOGSTATSD_PORT=\"0\": takes a port, 1 to 65535; kept 8125",
        );
        problem(
            "DD_TRACE_AGENT_URL",
            "https://a",
            "DD_TRACE_AGENT_URL=\"https://a\": takes http://host:port or unix:///path; kept it unset",
        );
        problem(
            "DD_TRACE_AGENT_TIMEOUT_SECONDS",
            "NaN",
            "DD_TRACE_AGENT_TIMEOUT_SECONDS=\"NaN\": takes seconds, 0.001 to 60; kept 2",
        );
        problem(
            "TESTAPI_DOGSTATSD_WINDOW",
            "3",
            "TESTAPI_DOGSTATSD_WINDOW=\"3\": takes 1, 2, 5 or 10 seconds; kept 2",
        );
        problem(
            "TESTAPI_WORKERS",
            "-1",
            "TESTAPI_WORKERS=\"-1\": takes 1 to 1024; kept 2 x cores, at least 4",
        );
        problem(
            "TESTAPI_BIND",
            "5000",
            "TESTAPI_BIND=\"5000\": takes address:port; kept 127.0.0.1:5000",
        );
        problem(
            "DD_AGENT_HOST",
            "a b",
            "DD_AGENT_HOST=\"a b\": takes a host name or address; kept 127.0.0.1",
        );
        problem(
            "TESTAPI_STATSD_HOST",
            "agent",
            "TESTAPI_STATSD_HOST=\"agent\": takes host:port or unix:///path; kept it unset",
        );
        problem(
            "TESTAPI_ENABLE_BACKLOG_METRIC",
            "si",
            "TESTAPI_ENABLE_BACKLOG_METRIC=\"si\": takes true or false; kept false",
        );
        problem(
            "DD_TRACE_SAMPLE_RATE",
            "1.5",
            "DD_TRACE_SAMPLE_RATE=\"1.5\": takes a number from 0 to 1; kept it unset",
        );
        problem(
            "DD_TRACE_HTTP_SERVER_ERROR_STATUSES",
            "500-600,x",
            "DD_TRACE_HTTP_SERVER_ERROR_STATUSES=\"500-600,x\": takes statuses and ranges, separated by commas; kept 500-599",
        );
        problem(
            "DD_TRACE_PROPAGATION_STYLE",
            "jaeger",
            "DD_TRACE_PROPAGATION_STYLE=\"jaeger\": takes datadog, tracecontext, b3, b3multi, baggage or none, separated by commas; kept datadog,tracecontext,baggage",
        );
        problem(
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED",
            "true",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED=\"true\": takes false alone: this tracer sends Datadog nothing about itself; kept false",
        );
        problem(
            "DD_TRACE_SAMPLNG_RULE",
            "[]",
            "DD_TRACE_SAMPLNG_RULE is not read here; did you mean DD_TRACE_SAMPLING_RULES?",
        );
        problem(
            "DD_TRACE_AGENT_PROT",
            "1",
            "DD_TRACE_AGENT_PROT is not read here; did you mean DD_TRACE_AGENT_PORT?",
        );
    }

    #[test]
    fn a_bad_part_of_a_value_is_told_and_the_rest_holds() {
        let parts = |name, value| {
            let (settings, problems) = parse([(name, value)], &|_| false);
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(
                settings.problems, problems,
                "the start-up line repeats them"
            );
            (settings.trace(), texts)
        };
        let rules = r#"[{"service":"a","sample_rate":0.5},{"service":"b","sample_rate":7}]"#;
        let (options, problems) = parts("DD_TRACE_SAMPLING_RULES", rules);
        assert_eq!((options.sampling.rules.len(), problems.len()), (1, 1));
        let told = &problems[0];
        assert!(
            told.starts_with("DD_TRACE_SAMPLING_RULES: ") && told.contains('7'),
            "{told}"
        );
        let (options, problems) = parts("DD_SERVICE_MAPPING", "a:b,c");
        assert_eq!(options.spans.service_mapping.get("a"), Some("b"));
        let expected = "DD_SERVICE_MAPPING: \"c\": takes from:to, both names of services";
        assert_eq!(problems, [expected]);
        let (_, problems) = parts("DD_SPAN_SAMPLING_RULES_FILE", "/no/such/file");
        let start = "DD_SPAN_SAMPLING_RULES_FILE: /no/such/file: ";
        assert!(
            problems.len() == 1 && problems[0].starts_with(start),
            "{problems:?}"
        );
    }

    #[test]
    fn what_concerns_one_value_has_a_rank() {
        let styles = |pairs: &[(&str, &str)]| {
            let propagation = read(pairs).trace().propagation;
            let words = |styles: &[Style]| {
                styles
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(",")
            };
            (words(&propagation.extract), words(&propagation.inject))
        };
        let pair = |extract: &str, inject: &str| (extract.to_string(), inject.to_string());
        let (otel, both) = (
            ("OTEL_PROPAGATORS", "b3"),
            ("DD_TRACE_PROPAGATION_STYLE", "datadog"),
        );
        let extract = ("DD_TRACE_PROPAGATION_STYLE_EXTRACT", "tracecontext");
        assert_eq!(styles(&[otel]), pair("b3", "b3"));
        assert_eq!(styles(&[both, otel]), pair("datadog", "datadog"));
        assert_eq!(
            styles(&[extract, both, otel]),
            pair("tracecontext", "datadog")
        );
        let query = |pairs: &[(&str, &str)]| read(pairs).trace().web.query;
        let (off, only) = (
            ("DD_TRACE_OBFUSCATION_QUERY_STRING_REGEXP", ""),
            ("DD_TRACE_HTTP_URL_QUERY_STRING_ALLOWLIST", "a, b"),
        );
        assert_eq!(query(&[]), QueryTag::Redacted);
        assert_eq!(query(&[off]), QueryTag::AsIs);
        assert_eq!(
            query(&[off, only]),
            QueryTag::Only(vec!["a".into(), "b".into()])
        );
        assert_eq!(
            query(&[only, ("DD_HTTP_SERVER_TAG_QUERY_STRING", "no")]),
            QueryTag::None
        );
        let names = [
            ("OTEL_SERVICE_NAME", "a"),
            ("DD_TAGS", "service:b"),
            ("DD_SERVICE", "c"),
        ];
        for (pairs, name) in [(&names[..1], "a"), (&names[..], "c")] {
            assert_eq!(read(pairs).identity().service, name);
        }
        let spans = |pairs: &[(&str, &str)]| read(pairs).trace().spans.partial_flush_spans;
        let few = ("DD_TRACE_PARTIAL_FLUSH_MIN_SPANS", "7");
        assert_eq!((spans(&[]), spans(&[few])), (Some(300), Some(7)));
        assert_eq!(
            spans(&[few, ("DD_TRACE_PARTIAL_FLUSH_ENABLED", "false")]),
            None
        );
        let level = |pairs: &[(&str, &str)]| read(pairs).log().level_min;
        let (debug, said) = (("DD_TRACE_DEBUG", "true"), ("TESTAPI_LOG_LEVEL", "error"));
        assert_eq!(
            (level(&[debug]), level(&[debug, said])),
            (Level::Debug, Level::Error)
        );
    }

    #[test]
    fn the_bounds_of_the_log_are_read_within_theirs() {
        let kept = Settings::default().log();
        let with = |name: &str, value: &str| read(&[(name, value)]).log();
        let aged = |seconds| {
            let mut rotation = kept.rotation;
            rotation.age_max = Duration::from_secs(seconds);
            rotation
        };
        assert_eq!(
            with("TESTAPI_LOG_FILE_BYTES_MAX", "0").rotation.bytes_max,
            0
        );
        assert_eq!(
            with("TESTAPI_LOG_FILE_BYTES_MAX", "1").rotation.bytes_max,
            1
        );
        assert_eq!(
            with("TESTAPI_LOG_FILE_AGE_MAX", "86400").rotation,
            aged(86_400)
        );
        assert_eq!(with("TESTAPI_LOG_FILES_KEPT", "100").rotation.kept, 100);
        assert_eq!(
            with("TESTAPI_LOG_QUEUE_BYTES_MAX", "131072").queue_bytes_max,
            131_072
        );
        for (name, value) in [
            ("TESTAPI_LOG_FILE_BYTES_MAX", "-1"),
            ("TESTAPI_LOG_FILE_BYTES_MAX", "64M"),
            ("TESTAPI_LOG_FILE_AGE_MAX", "1.5"),
            ("TESTAPI_LOG_FILE_AGE_MAX", "31536001"),
            ("TESTAPI_LOG_FILES_KEPT", "0"),
            ("TESTAPI_LOG_FILES_KEPT", "101"),
            ("TESTAPI_LOG_QUEUE_BYTES_MAX", "131071"),
            ("TESTAPI_LOG_QUEUE_BYTES_MAX", "1073741825"),
        ] {
            let (settings, problems) = parse([(name, value)], &|_| false);
            assert_eq!(
                (settings.log(), problems.len()),
                (kept.clone(), 1),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn the_servers_own_metrics_need_a_place_to_go() {
        let host = ("TESTAPI_STATSD_HOST", "agent:1");
        let rest = [
            ("TESTAPI_STATSD_PREFIX", "shop"),
            ("TESTAPI_DOGSTATSD_TAGS", "a:1"),
            ("TESTAPI_ENABLE_BACKLOG_METRIC", "true"),
        ];
        let settings = read(&rest);
        assert_eq!(
            (settings.gunicorn(), settings.in_vain()),
            (None, rest.map(|r| (r.0, "TESTAPI_STATSD_HOST")).to_vec())
        );
        let quiet = read(&[("TESTAPI_ENABLE_BACKLOG_METRIC", "false")]);
        assert_eq!((quiet.gunicorn(), quiet.in_vain()), (None, vec![]));
        let off = ("DD_DOGSTATSD_DISABLE", "true");
        let settings = read(&[host, rest[0], rest[1], rest[2], off]);
        let options = settings.gunicorn().unwrap();
        assert_eq!(options.statsd.address, Address::Udp("agent".into(), 1));
        assert!(options.statsd.enabled && !settings.dogstatsd().enabled);
        assert!(options.backlog && settings.in_vain().is_empty());
        assert_eq!(Ok(options.prefix), "shop".parse());
        assert_eq!(Ok(options.tags), "a:1".parse());
    }

    #[test]
    fn profiles_are_asked_for_by_many_words() {
        #[track_caller]
        fn check(value: &str, is_on: bool) {
            let settings = read(&[("DD_PROFILING_ENABLED", value)]);
            assert_eq!(settings.profile().is_some(), is_on, "{value:?}");
        }
        for value in ["true", "1", "yes", "on", "auto", "AUTO", "True"] {
            check(value, true);
        }
        for value in ["", "false", "0", "no", "off"] {
            check(value, false);
        }
        assert_eq!(read(&[]).profile(), None);
        let (settings, problems) = parse([("DD_PROFILING_ENABLED", "automatic")], &|_| false);
        assert_eq!((settings.profile(), problems.len()), (None, 1));
    }

    const PROFILES: (&str, &str) = ("DD_PROFILING_ENABLED", "true");

    #[test]
    fn each_setting_of_profiles_is_read_within_its_bounds() {
        let usual = || read(&[PROFILES]).profile().unwrap();
        assert_eq!(usual(), profile::Options::default());
        #[track_caller]
        fn check(name: &str, value: &str, change: impl FnOnce(&mut profile::Options)) {
            let mut expected = profile::Options::default();
            change(&mut expected);
            let seen = read(&[PROFILES, (name, value)]).profile();
            assert_eq!(seen, Some(expected), "{name}={value}");
        }
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        let interval = "DD_PROFILING_UPLOAD_INTERVAL";
        check(interval, "0.1", |o| o.upload_interval = ms(100));
        check(interval, "3600", |o| o.upload_interval = s(3_600));
        let timeout = "DD_PROFILING_UPLOAD_TIMEOUT";
        check(timeout, "0.001", |o| o.timeout = ms(1));
        check(timeout, "60", |o| o.timeout = s(60));
        check(timeout, "3s", |o| o.timeout = s(3));
        let url = "DD_PROFILING_URL";
        check(url, "http://[::1]:1", |o| {
            o.agent = Target::Tcp("::1".into(), 1)
        });
        check(url, "unix:///s", |o| o.agent = Target::Unix("/s".into()));
        let folder = Some("/tmp/p".into());
        check("DD_PROFILING_OUTPUT_DIR", "/tmp/p", |o| {
            o.output_dir = folder
        });
        let pair = |k: &str, v: &str| (k.to_string(), v.to_string());
        let tags = vec![pair("a", "1"), pair("b", "2:3"), pair("c", "")];
        check("DD_PROFILING_TAGS", "a:1, b:2:3,c", |o| o.tags = tags);
        let hotspots = "DD_PROFILING_CODE_HOTSPOTS_COLLECTION_ENABLED";
        check(hotspots, "no", |o| o.hotspots = false);
        let endpoints = "DD_PROFILING_ENDPOINT_COLLECTION_ENABLED";
        check(endpoints, "off", |o| o.endpoints = false);
        let allocation = "DD_PROFILING_ALLOCATION_ENABLED";
        check(allocation, "true", |o| o.heap_every_bytes = 512 << 10);
        let (cpu, wall) = ("TESTAPI_PROFILING_CPU_HZ", "TESTAPI_PROFILING_WALL_HZ");
        check(cpu, "1", |o| o.cpu_hz = 1);
        check(cpu, "1000", |o| o.cpu_hz = 1_000);
        check(wall, "0", |o| o.wall_hz = 0);
        check(wall, "100", |o| o.wall_hz = 100);
        for (name, value) in [
            (interval, "0.09"),
            (interval, "3600.1"),
            (interval, "1m"),
            (interval, "NaN"),
            (timeout, "0"),
            (timeout, "60.1"),
            (timeout, "10ms"),
            (timeout, "s"),
            (url, "https://agent"),
            (url, "http://agent:8126/profiling/v1/input"),
            (hotspots, "auto"),
            (endpoints, "2"),
            (cpu, "0"),
            (cpu, "1001"),
            (wall, "-1"),
            (wall, "101"),
            (wall, "20.5"),
        ] {
            let (settings, problems) = parse([PROFILES, (name, value)], &|_| false);
            let seen = (settings.profile(), problems.len());
            assert_eq!(seen, (Some(usual()), 1), "{name}={value}");
        }
    }

    #[test]
    fn profiles_go_to_the_agent_of_the_traces_unless_there_is_another() {
        let agent = |pairs: &[(&str, &str)]| {
            let pairs = [&[PROFILES], pairs].concat();
            read(&pairs).profile().unwrap().agent.to_string()
        };
        let (host, traces) = (("DD_AGENT_HOST", "a"), ("DD_TRACE_AGENT_URL", "unix:///t"));
        assert_eq!(agent(&[]), "http://127.0.0.1:8126");
        assert_eq!(agent(&[host]), "http://a:8126");
        assert_eq!(agent(&[host, traces]), "unix:///t");
        let own = ("DD_PROFILING_URL", "http://p:1");
        assert_eq!(agent(&[host, traces, own]), "http://p:1");
        let (receiver, statsd) = (Target::Tcp("l".into(), 2), Address::Udp("l".into(), 3));
        let local = read(&[PROFILES]).with_agent(receiver, statsd);
        assert_eq!(local.profile().unwrap().agent.to_string(), "http://l:2");
    }

    #[test]
    fn the_demo_profiles_unless_told_otherwise() {
        let seconds = |pairs: &[(&str, &str)]| {
            let options = read(pairs).with_profiling().profile();
            options.map(|options| options.upload_interval.as_secs())
        };
        let every_five = ("DD_PROFILING_UPLOAD_INTERVAL", "5");
        assert_eq!(seconds(&[]), Some(10));
        assert_eq!(seconds(&[PROFILES]), Some(10));
        assert_eq!(seconds(&[every_five]), Some(5));
        assert_eq!(seconds(&[("DD_PROFILING_ENABLED", "no"), every_five]), None);
    }

    #[test]
    fn what_is_said_of_profiles_that_nobody_makes_is_in_vain() {
        let said = [
            ("DD_PROFILING_UPLOAD_INTERVAL", "60"),
            ("DD_PROFILING_UPLOAD_TIMEOUT", "5"),
            ("DD_PROFILING_URL", "http://a:1"),
            ("DD_PROFILING_OUTPUT_DIR", "/p"),
            ("DD_PROFILING_TAGS", "a:1"),
            ("DD_PROFILING_CODE_HOTSPOTS_COLLECTION_ENABLED", "false"),
            ("DD_PROFILING_ENDPOINT_COLLECTION_ENABLED", "false"),
            ("DD_PROFILING_ALLOCATION_ENABLED", "true"),
            ("TESTAPI_PROFILING_CPU_HZ", "10"),
            ("TESTAPI_PROFILING_WALL_HZ", "0"),
        ];
        let names = said.map(|(name, _)| (name, "DD_PROFILING_ENABLED"));
        assert_eq!(read(&said).in_vain(), names);
        let uncounted = [(
            "DD_PROFILING_ALLOCATION_ENABLED",
            "--features count-allocations when it is built",
        )];
        let left = if cfg!(feature = "count-allocations") {
            &[][..]
        } else {
            &uncounted
        };
        assert_eq!(read(&[&said[..], &[PROFILES]].concat()).in_vain(), left);
        assert_eq!(read(&said).with_profiling().in_vain(), left);
        let usual = [("DD_PROFILING_CODE_HOTSPOTS_COLLECTION_ENABLED", "true")];
        assert_eq!(read(&usual).in_vain(), [], "it says what holds anyway");
    }

    #[test]
    fn what_is_said_later_wins_and_is_held_to_the_same_table() {
        let mut settings = read(&[("TESTAPI_STATSD_HOST", "a:1")]);
        assert_eq!(settings.say("TESTAPI_STATSD_HOST", "unix:///s"), Ok(()));
        let refused = settings.say("TESTAPI_STATSD_HOST", "nowhere");
        assert_eq!(refused, Err("host:port or unix:///path"));
        let address = settings.gunicorn().unwrap().statsd.address;
        assert_eq!(address, Address::Unix("/s".into()));
        assert!(settings.say("TESTAPI_STATS_HOST", "a:1").is_err());
    }

    #[test]
    fn names_of_the_agent_and_of_other_tracers_are_left_alone() {
        read(&[
            ("DD_API_KEY", "x"),
            ("DD_SITE", "x"),
            ("DD_APM_ENABLED", "true"),
            ("PATH", "x"),
        ]);
    }

    #[test]
    fn tags_are_split_as_every_tracer_does() {
        let tags = |text: &str| read(&[("DD_TAGS", text)]).identity().tags;
        let pair = |k: &str, v: &str| (k.to_string(), v.to_string());
        assert_eq!(tags("a:1,b:2"), [pair("a", "1"), pair("b", "2")]);
        assert_eq!(tags("a:1 b:2"), [pair("a", "1"), pair("b", "2")]);
        assert_eq!(tags("a:1 b,c:3:4"), [pair("a", "1 b"), pair("c", "3:4")]);
        assert_eq!(tags("a,:x, ,b:"), [pair("a", ""), pair("b", "")]);
        let both = [("DATADOG_TAGS", "a:1 b:2"), ("DD_TAGS", "b:3,c:4")];
        let both = read(&both).identity().tags;
        let both: Vec<String> = both.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        assert_eq!(both, ["b:3", "c:4", "a:1"], "DD_TAGS wins");
        let both = [("DATADOG_CARDINALITY", "low"), ("DD_CARDINALITY", "high")];
        for (pairs, seen) in [
            (&both[..], Cardinality::High),
            (&both[..1], Cardinality::Low),
        ] {
            assert_eq!(read(pairs).dogstatsd().cardinality, Some(seen));
        }
        let identity = read(&[("DD_TAGS", "env:prod,service:x"), ("DD_SERVICE", "y")]).identity();
        assert_eq!(
            (identity.env.as_str(), identity.service.as_str()),
            ("prod", "y")
        );
    }

    #[test]
    fn the_table_names_each_setting_once_and_says_what_it_does() {
        for (at, var) in VARS.iter().enumerate() {
            assert!(
                VARS[..at].iter().all(|other| other.name != var.name),
                "{}",
                var.name
            );
            assert!(
                !var.help.is_empty() && !var.takes.is_empty(),
                "{}",
                var.name
            );
            assert!(super::super::help().contains(var.name));
        }
    }

    #[test]
    fn every_default_in_the_table_that_is_a_value_is_the_one_that_holds() {
        let default = Settings::default();
        let profiles = |settings: &Settings| {
            let mut settings = settings.clone();
            settings.profiling.enabled = Some(true);
            settings.profile()
        };
        let unlike = [
            "DD_HOSTNAME",
            "DD_AGENT_HOST",
            "DD_DOGSTATSD_HOST",
            "DD_DOGSTATSD_SOCKET",
        ];
        for var in VARS.iter().filter(|var| !var.default.is_empty()) {
            let mut said = Settings::default();
            if (var.read)(&mut said, var.default) && !unlike.contains(&var.name) {
                let same = said.trace() == default.trace()
                    && said.dogstatsd() == default.dogstatsd()
                    && said.log() == default.log()
                    && said.server() == default.server()
                    && said.gunicorn == default.gunicorn
                    && profiles(&said) == profiles(&default)
                    && (said.service, said.version, said.logs_injection)
                        == (
                            default.service.clone(),
                            default.version.clone(),
                            default.logs_injection,
                        );
                assert!(same, "{}", var.name);
            }
        }
    }
}
