//! What is wrong with an upload of profiles that could be read.

use crate::agent::decode::{Profile, ProfileEvent};

/// What a pprof's times and the event's may differ by.
const APART_US: u64 = 1_000_000;

/// Sample types that Datadog shows, by the names that its profilers give them: those of libdatadog's
/// `sample_type.rs`, and of Go's runtime.
const KNOWN_TYPES: [&str; 38] = [
    "alloc-samples",
    "alloc-samples-unscaled",
    "alloc-size",
    "alloc-space",
    "alloc_objects",
    "alloc_space",
    "contentions",
    "cpu",
    "cpu-samples",
    "cpu-time",
    "cpu_samples",
    "delay",
    "exception",
    "exception-samples",
    "file-io-read-size",
    "file-io-read-time",
    "file-io-write-size",
    "file-io-write-time",
    "goroutine",
    "goroutines",
    "gpu-alloc-samples",
    "gpu-flops",
    "gpu-space",
    "gpu-time",
    "heap-live-samples",
    "heap-live-size",
    "heap-space",
    "inuse_objects",
    "inuse_space",
    "lock-acquire",
    "lock-acquire-wait",
    "lock-release",
    "lock-release-hold",
    "sample",
    "samples",
    "timeline",
    "wall-samples",
    "wall-time",
];

/// An upload as it was read.
#[derive(Clone, Copy, Debug)]
pub struct ProfileUpload<'u> {
    /// What it says of itself.
    pub event: &'u ProfileEvent,
    /// Names of all attachments.
    pub attached: &'u [&'u str],
    /// Those that are pprof, with their names.
    pub profiles: &'u [(&'u str, &'u Profile)],
}

/// What is wrong with it, a sentence each.
pub fn lint_profile(upload: &ProfileUpload<'_>) -> Vec<String> {
    let event = upload.event;
    let mut found = Vec::new();
    let named = |name: &str| event.attachments.iter().any(|known| known == name);
    for name in event.attachments.iter() {
        if !upload.attached.contains(&&**name) {
            found.push(format!(
                "{} is named in event.json and not attached",
                short(name)
            ));
        }
    }
    for name in upload.attached.iter().filter(|name| !named(name)) {
        found.push(format!(
            "{} is attached and not named in event.json",
            short(name)
        ));
    }
    if upload.profiles.is_empty() {
        found.push("no attachment is pprof: none is named *.pprof".to_string());
    }
    if event.tag("service").is_empty() {
        found.push("tags_profiler has no service".to_string());
    }
    if event.start_unix_us > event.end_unix_us {
        found.push("start is after end".to_string());
    }
    if event.left_out > 0 {
        found.push(format!(
            "{} tags and endpoints over 1000 are not shown",
            event.left_out
        ));
    }
    for (name, profile) in upload.profiles {
        let of_profile = lint_pprof(event, profile);
        found.extend(
            of_profile
                .into_iter()
                .map(|what| format!("{}: {what}", short(name))),
        );
    }
    found
}

fn lint_pprof(event: &ProfileEvent, profile: &Profile) -> Vec<String> {
    let mut found = times(event, profile);
    if profile.mismatched > 0 {
        let (samples, types) = (profile.mismatched, profile.sample_types.len());
        found.push(format!(
            "{samples} samples have another number of values than the {types} sample types: left out"
        ));
    }
    if profile.unmapped > 0 {
        let locations = profile.unmapped;
        found.push(format!(
            "{locations} locations name a mapping that is not there"
        ));
    }
    for (count, what) in [
        (profile.texts_cut, "texts over 4096 bytes: cut there"),
        (
            profile.lines_left_out,
            "lines over 64 of a location: left out",
        ),
        (
            profile.places_left_out,
            "places over 4096 of a stack: left out",
        ),
    ] {
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    }
    let types = profile.sample_types.iter();
    if !types
        .map(|value| profile.text(value.name))
        .any(|name| KNOWN_TYPES.contains(&name))
    {
        let types = profile.sample_types.iter().take(5);
        let names: Vec<String> = types.map(|value| short(profile.text(value.name))).collect();
        found.push(format!("no sample type is known: {:?}", names.join(", ")));
    }
    for key in ["span id", "local root span id"] {
        let is_bad = |text: &str| !text.is_empty() && text.parse::<u64>().is_err();
        let labels = profile.samples().flat_map(|sample| sample.labels);
        let of_key = labels.filter(|label| profile.text(label.key) == key);
        let bad = of_key
            .filter(|label| is_bad(profile.text(label.text)))
            .count();
        if bad > 0 {
            found.push(format!("{bad} labels `{key}` are not numbers"));
        }
    }
    found
}

/// A profile that does not say when it began has no time to compare.
fn times(event: &ProfileEvent, profile: &Profile) -> Vec<String> {
    let mut found = Vec::new();
    let micros = |nanos: i64| u64::try_from(nanos / 1_000).unwrap_or(0);
    let start_us = micros(profile.time_nanos);
    if profile.time_nanos != 0 && start_us.abs_diff(event.start_unix_us) > APART_US {
        let apart = seconds(start_us.abs_diff(event.start_unix_us));
        found.push(format!("time_nanos is {apart} s from the event's start"));
    }
    let covered_us = event.end_unix_us.saturating_sub(event.start_unix_us);
    let lasted_us = micros(profile.duration_nanos);
    if profile.duration_nanos != 0 && lasted_us.abs_diff(covered_us) > APART_US {
        let (lasted, covered) = (seconds(lasted_us), seconds(covered_us));
        found.push(format!(
            "duration_nanos is {lasted} s, the event covers {covered} s"
        ));
    }
    found
}

fn seconds(micros: u64) -> String {
    format!("{}.{:03}", micros / 1_000_000, micros / 1_000 % 1_000)
}

/// A peer's own word, as it is quoted.
fn short(text: &str) -> String {
    text[..text.floor_char_boundary(100)].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::made::{EVENT, Made, bytes, int, made};
    use crate::agent::decode::{pprof, profile_event};

    const CPU: &[(&str, &str)] = &[("cpu-time", "nanoseconds")];
    /// Begin of what [`EVENT`] covers, in nanoseconds; it covers 4.738592 seconds.
    const START: i64 = 1_795_344_501_237_265_334;

    #[track_caller]
    fn check(rule: &str, (event, attached, profile): (&str, &[&str], &[u8]), expected: &[&str]) {
        let event = profile_event(event.as_bytes()).unwrap();
        let profile = (!profile.is_empty()).then(|| pprof(profile).unwrap());
        let profiles: Vec<_> = profile
            .iter()
            .map(|profile| ("profile.pprof", profile))
            .collect();
        let found = lint_profile(&ProfileUpload {
            event: &event,
            attached,
            profiles: &profiles,
        });
        assert_eq!(found, expected, "{rule}");
    }

    #[test]
    fn what_is_wrong_with_an_upload_is_told() {
        let good = made(CPU, &[]);
        let named = &["profile.pprof"];
        check("in order", (EVENT, named, &good), &[]);
        let absent = [
            "profile.pprof is named in event.json and not attached",
            "no attachment is pprof: none is named *.pprof",
        ];
        check("not attached", (EVENT, &[], b""), &absent);
        let more = &["profile.pprof", "x.json"];
        check(
            "not named",
            (EVENT, more, &good),
            &["x.json is attached and not named in event.json"],
        );
        let nameless = EVENT.replace("service:web,", "");
        check(
            "no service",
            (&nameless, named, &good),
            &["tags_profiler has no service"],
        );
        let late = EVENT.replace("10:48:21", "10:48:26");
        check(
            "the wrong way around",
            (&late, named, &good),
            &["start is after end"],
        );
    }

    #[test]
    fn what_is_wrong_with_a_profile_is_told() {
        let of = |rule, more: &[u8], expected: &[&str]| {
            let profile = [&*made(CPU, &[]), more].concat();
            check(rule, (EVENT, &["profile.pprof"], &profile), expected);
        };
        of("the same start", &int(9, START), &[]);
        of("a second off", &int(9, START - 1_000_000_000), &[]);
        let apart = ["profile.pprof: time_nanos is 1.001 s from the event's start"];
        of("more", &int(9, START - 1_001_000_000), &apart);
        of("later", &int(9, START + 1_001_000_000), &apart);
        of(
            "negative",
            &int(9, -1),
            &["profile.pprof: time_nanos is 1795344501.237 s from the event's start"],
        );
        of("the same length", &int(10, 5_000_000_000), &[]);
        let long = ["profile.pprof: duration_nanos is 60.000 s, the event covers 4.738 s"];
        of("another", &int(10, 60_000_000_000), &long);
        let with = |rule, (types, samples): (&[(&str, &str)], &[Made<'_>]), expected: &[&str]| {
            check(
                rule,
                (EVENT, &["profile.pprof"], &made(types, samples)),
                expected,
            );
        };
        let unknown = ["profile.pprof: no sample type is known: \"x, y\""];
        with(
            "types of nobody",
            (&[("x", "a"), ("y", "b")], &[]),
            &unknown,
        );
        with("one that is known", (&[("x", "a"), ("cpu", "b")], &[]), &[]);
        let labels = |labels| Made {
            stack: &[],
            values: &[1],
            labels,
        };
        let ids: &[_] = &[
            labels(&[("span id", "#1"), ("local root span id", "#2")]),
            labels(&[("span id", "3")]),
        ];
        with("ids", (CPU, ids), &[]);
        let words: &[_] = &[
            labels(&[("span id", "a"), ("local root span id", "b")]),
            labels(&[("span id", "-1")]),
        ];
        with(
            "no ids",
            (CPU, words),
            &[
                "profile.pprof: 2 labels `span id` are not numbers",
                "profile.pprof: 1 labels `local root span id` are not numbers",
            ],
        );
        let two = Made {
            stack: &[],
            values: &[1, 2],
            labels: &[],
        };
        with(
            "too many values",
            (CPU, &[two]),
            &[
                "profile.pprof: 1 samples have another number of values than the 1 sample types: left out",
            ],
        );
    }

    #[test]
    fn what_was_cut_of_a_profile_is_told() {
        let of = |rule, more: &[u8], expected: &[&str]| {
            let profile = [&*made(CPU, &[]), more].concat();
            check(rule, (EVENT, &["profile.pprof"], &profile), expected);
        };
        let long = bytes(6, &[b'a'; 4_097]);
        let cut = ["profile.pprof: 1 texts over 4096 bytes: cut there"];
        of("a long text", &long, &cut);
        let line = bytes(4, &int(1, 7));
        let place = bytes(4, &[int(1, 7), line.repeat(66)].concat());
        let inlined = [bytes(5, &int(1, 7)), place].concat();
        of(
            "many lines",
            &inlined,
            &["profile.pprof: 2 lines over 64 of a location: left out"],
        );
        let sample = [bytes(1, &[7; 4_099]), int(2, 1)].concat();
        let deep = [bytes(4, &int(1, 7)), bytes(2, &sample)].concat();
        of(
            "a deep stack",
            &deep,
            &["profile.pprof: 3 places over 4096 of a stack: left out"],
        );
    }
}
