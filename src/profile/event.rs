//! `event.json`, which says whose profile it is and of when.
//!
//! By what Datadog's own profilers send (libdatadog, `libdd-profiling/src/exporter/profile_exporter.rs`;
//! dd-trace-go, `profiler/upload.go`).

use std::fmt::Write as _;

use serde_json::json;

use super::options::Options;
use super::period::Period;
use crate::identity::Identity;

/// The one part beside the event.
pub(super) const PROFILE_NAME: &str = "profile.pprof";

/// What an event is made of beside its period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) options: &'a Options,
    pub(super) identity: &'a Identity,
    /// Profiles made before this one.
    pub(super) seq: u64,
    /// Figures about the profiler itself.
    pub(super) internal: &'a [(String, u64)],
}

/// The JSON text.
pub(super) fn encode(context: &Context<'_>, period: &Period) -> Vec<u8> {
    let options = context.options;
    let internal: serde_json::Map<_, _> = context
        .internal
        .iter()
        .map(|(name, value)| (name.clone(), (*value).into()))
        .collect();
    let counts = &period.endpoint_counts;
    let event = json!({
        "attachments": [PROFILE_NAME],
        "tags_profiler": tags(context),
        "start": rfc3339(period.start_unix_ns),
        "end": rfc3339(period.end_unix_ns),
        // Datadog's word for what is neither a virtual machine's nor an interpreter's; libdatadog's examples in
        // C++ have it.
        "family": "native",
        "version": "4",
        // As libdatadog has it where there are none.
        "endpoint_counts": (options.endpoints && !counts.is_empty()).then_some(counts),
        "internal": internal,
        "info": { "profiler": { "activation": "manual", "settings": settings(options) } },
    });
    event.to_string().into_bytes()
}

fn settings(options: &Options) -> serde_json::Value {
    json!({
        "upload_interval_seconds": options.upload_interval.as_secs_f64(),
        "api_timeout_ms": u64::try_from(options.timeout.as_millis()).unwrap_or(u64::MAX),
        "cpu_hz": options.cpu_hz,
        "wall_hz": options.wall_hz,
        "code_hotspots": options.hotspots,
        "endpoint_collection": options.endpoints,
        "output_dir": options.output_dir.is_some(),
    })
}

/// `key:value,key:value`.
///
/// `language:native` goes with the family; `runtime:rust` tells a Rust program from one in C++. The compiler's
/// version is not known at run time, so there is no `runtime_version`. An env that is not set is left out, for the
/// Agent then adds its own.
fn tags(context: &Context<'_>) -> String {
    let identity = context.identity;
    let (process_id, seq) = (identity.process_id.to_string(), context.seq.to_string());
    let own = [
        ("service", identity.service.as_str()),
        ("env", &identity.env),
        ("version", &identity.version),
        ("host", &identity.hostname),
        ("runtime-id", &identity.runtime_id),
        ("language", "native"),
        ("runtime", "rust"),
        ("process_id", &process_id),
        ("profiler_version", env!("CARGO_PKG_VERSION")),
        ("profile_seq", &seq),
    ];
    // Tags for the Agent itself go with DogStatsD, where it takes them out.
    let global = identity.tags.iter();
    let global = global.filter(|(key, _)| !key.starts_with("dd.internal."));
    let further = global.chain(&context.options.tags);
    let further = further.map(|(key, value)| (key.as_str(), value.as_str()));
    let mut text = String::new();
    for (key, value) in own.into_iter().chain(further) {
        let (key, value) = (clean(key), clean(value));
        // libdatadog refuses a tag that begins or ends with a colon, and so one without a key or a value.
        let (key, value) = (key.trim_start_matches(':'), value.trim_end_matches(':'));
        if !key.is_empty() && !value.is_empty() {
            let comma = if text.is_empty() { "" } else { "," };
            let _ = write!(text, "{comma}{key}:{value}");
        }
    }
    text
}

/// A comma ends a tag and cannot be escaped; libdatadog lets it through, and its tag then ends there. Here it
/// becomes `_`, as does a control character.
fn clean(text: &str) -> String {
    let replaced = |c: char| if c == ',' || c.is_control() { '_' } else { c };
    text.trim().chars().map(replaced).collect()
}

/// `2026-11-22T10:48:21.237265334Z`.
fn rfc3339(unix_ns: u64) -> String {
    let (seconds, ns) = (unix_ns / 1_000_000_000, unix_ns % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ns:09}Z")
}

/// Of a day since 1970-01-01, counted in years that begin with March: the odd day is then the last.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let leap_days = day / 1_460 + day / 146_096 - day / 36_524;
    let year = (day - leap_days) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    // Five months have 153 days, from March and from August on.
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (year, month + 3),
        _ => (year + 1, month - 9),
    };
    (era * 400 + year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check_time(rule: &str, unix_ns: u64, expected: &str) {
        assert_eq!(rfc3339(unix_ns), expected, "{rule}");
    }

    #[test]
    fn times_have_nine_digits() {
        const S: u64 = 1_000_000_000;
        check_time("the first", 0, "1970-01-01T00:00:00.000000000Z");
        check_time("one", 1, "1970-01-01T00:00:00.000000001Z");
        check_time(
            "before midnight",
            86_400 * S - 1,
            "1970-01-01T23:59:59.999999999Z",
        );
        check_time("midnight", 86_400 * S, "1970-01-02T00:00:00.000000000Z");
        check_time(
            "28 February",
            951_695_999 * S,
            "2000-02-27T23:59:59.000000000Z",
        );
        check_time(
            "a leap day",
            951_782_400 * S,
            "2000-02-29T00:00:00.000000000Z",
        );
        check_time(
            "after it",
            951_868_800 * S,
            "2000-03-01T00:00:00.000000000Z",
        );
        check_time(
            "no leap day",
            4_107_542_400 * S,
            "2100-03-01T00:00:00.000000000Z",
        );
        check_time(
            "as a profiler sends it",
            1_795_344_501_237_265_334,
            "2026-11-22T10:48:21.237265334Z",
        );
        check_time(
            "the last day of a year",
            1_798_761_599 * S,
            "2026-12-31T23:59:59.000000000Z",
        );
        check_time("the last", u64::MAX, "2554-07-21T23:34:33.709551615Z");
    }

    #[track_caller]
    fn check_tags(rule: &str, tags_given: &[(&str, &str)], expected: &str) {
        let tag = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        let identity = Identity {
            tags: tags_given.iter().map(tag).collect(),
            ..Identity::default()
        };
        let context = Context {
            options: &Options::default(),
            identity: &identity,
            seq: 0,
            internal: &[],
        };
        let own = "language:native,runtime:rust,process_id:0,profiler_version:";
        let own = format!("{own}{},profile_seq:0", env!("CARGO_PKG_VERSION"));
        assert_eq!(tags(&context), format!("{own}{expected}"), "{rule}");
    }

    #[test]
    fn no_tag_can_end_another() {
        check_tags("none", &[], "");
        check_tags("two", &[("a", "b"), ("c", "d")], ",a:b,c:d");
        check_tags("a comma", &[("a,x", "b,c:d")], ",a_x:b_c:d");
        check_tags("colons inside", &[("a", "b:c")], ",a:b:c");
        check_tags("colons outside", &[(":a", "b:")], ",a:b");
        check_tags("no value", &[("a", "")], "");
        check_tags("no key", &[("", "b")], "");
        check_tags("nothing but separators", &[(":", ":"), (" ", " ")], "");
        check_tags("a line's end", &[("a", " b\nc ")], ",a:b_c");
        check_tags(
            "for the Agent",
            &[("dd.internal.card", "none"), ("a", "b")],
            ",a:b",
        );
        check_tags("unicode and quotes", &[("a", "é\"🦀")], ",a:é\"🦀");
    }

    #[test]
    fn an_event_is_this_text() {
        let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
        let identity = Identity {
            service: "shop".to_string(),
            env: "dev".to_string(),
            version: "1.2".to_string(),
            hostname: "box".to_string(),
            runtime_id: "r-1".to_string(),
            process_id: 42,
            tags: vec![pair("team", "a")],
            ..Identity::default()
        };
        let mut options = Options {
            tags: vec![pair("zone", "b")],
            timeout: Duration::from_secs(3),
            output_dir: Some(PathBuf::from("/tmp")),
            ..Options::default()
        };
        let mut period = Period {
            start_unix_ns: 1_795_344_501_237_265_334,
            end_unix_ns: 1_795_344_505_975_857_308,
            ..Period::default()
        };
        let counts = [("GET /b".to_string(), 2), ("GET \"/a\"".to_string(), 1)];
        period.endpoint_counts.extend(counts);
        let text = |options: &Options, period: &Period| {
            let context = Context {
                options,
                identity: &identity,
                seq: 7,
                internal: &[("addresses".to_string(), 3)],
            };
            String::from_utf8(encode(&context, period)).unwrap()
        };
        let version = env!("CARGO_PKG_VERSION");
        let expected = |counts: &str, collected: bool| {
            format!(
                "{{\"attachments\":[\"profile.pprof\"],\"end\":\"2026-11-22T10:48:25.975857308Z\",\
                \"endpoint_counts\":{counts},\"family\":\"native\",\"info\":{{\"profiler\":{{\
                \"activation\":\"manual\",\"settings\":{{\"api_timeout_ms\":3000,\"code_hotspots\":true,\
                \"cpu_hz\":99,\"endpoint_collection\":{collected},\"output_dir\":true,\
                \"upload_interval_seconds\":60.0,\"wall_hz\":20}}}}}},\"internal\":{{\"addresses\":3}},\
                \"start\":\"2026-11-22T10:48:21.237265334Z\",\"tags_profiler\":\"service:shop,env:dev,\
                version:1.2,host:box,runtime-id:r-1,language:native,runtime:rust,process_id:42,\
                profiler_version:{version},profile_seq:7,team:a,zone:b\",\"version\":\"4\"}}"
            )
        };
        let both = "{\"GET \\\"/a\\\"\":1,\"GET /b\":2}";
        assert_eq!(text(&options, &period), expected(both, true));
        options.endpoints = false;
        assert_eq!(text(&options, &period), expected("null", false));
        options.endpoints = true;
        period.endpoint_counts.clear();
        assert_eq!(text(&options, &period), expected("null", true));
    }
}
