//! What the Agent makes of a DogStatsD line, a row a rule: what it takes, what it refuses and why, and what it
//! passes over.
//!
//! Source of the rules: datadog-agent, `comp/dogstatsd/server/impl` (`parse.go`, `parse_metrics.go`,
//! `parse_events.go`, `parse_service_checks.go`, the reading of lines in `server.go`), `pkg/metrics`, and
//! the documentation of Go's `strconv`.

use testapi::agent::decode::{Event, Message, Metric, ServiceCheck, Values, datagram};

/// All that a line says and is not as usual, in the order of the protocol's own fields.
fn shown(message: &Message<'_>) -> String {
    match message {
        Message::Metric(metric) => metric_shown(metric),
        Message::Event(event) => event_shown(event),
        Message::Check(check) => check_shown(check),
    }
}

/// The fields that are there.
fn joined(start: String, fields: &[(&str, String)]) -> String {
    let fields = fields.iter().filter(|(_, value)| !value.is_empty());
    fields.fold(start, |all, (key, value)| format!("{all} {key}{value}"))
}

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn metric_shown(metric: &Metric<'_>) -> String {
    let values = match &metric.values {
        Values::Numbers(numbers) => format!("{numbers:?}"),
        Values::Member(member) => format!("{member:?}"),
    };
    let rate = Some(metric.rate).filter(|rate| *rate != 1.0);
    let start = format!("{} {}={values}", metric.kind.name(), metric.name);
    joined(
        start,
        &[
            ("@", optional(rate)),
            ("#", metric.tags.join(",")),
            ("c:", optional(metric.container)),
            ("e:", optional(metric.external)),
            ("T", optional(metric.timestamp)),
            ("card:", optional(metric.cardinality)),
        ],
    )
}

fn event_shown(event: &Event<'_>) -> String {
    let usual = |value: &str, usual| if value == usual { "" } else { value }.to_string();
    joined(
        format!("event {:?} {:?}", event.title, event.text),
        &[
            ("d:", optional(event.timestamp)),
            ("h:", event.hostname.to_string()),
            ("k:", event.aggregation_key.to_string()),
            ("p:", usual(event.priority, "normal")),
            ("s:", event.source.to_string()),
            ("t:", usual(event.alert_type, "info")),
            ("#", event.tags.join(",")),
        ],
    )
}

fn check_shown(check: &ServiceCheck<'_>) -> String {
    joined(
        format!("check {} {}", check.name, check.status.name()),
        &[
            ("d:", optional(check.timestamp)),
            ("h:", check.hostname.to_string()),
            ("#", check.tags.join(",")),
            ("m:", check.message.to_string()),
        ],
    )
}

/// A row: the rule, the bytes, and what becomes of them: messages, and `no: ` with the reason.
type Row = (&'static str, &'static [u8], &'static [&'static str]);

#[track_caller]
fn check(rows: &[Row]) {
    for (rule, bytes, expected) in rows {
        let read: Vec<String> = datagram(bytes)
            .map(|read| match read {
                Ok(message) => shown(&message),
                Err(error) => {
                    let text = error.to_string();
                    let (reason, _) = text.rsplit_once(" in `").expect("it quotes the line");
                    format!("no: {reason}")
                }
            })
            .collect();
        assert_eq!(read, *expected, "{rule}: {}", bytes.escape_ascii());
    }
}

const SHORT: &str = "no: an event is shorter than its lengths say";
const NOT_FINITE: &str = "is refused by the Agent";

#[test]
fn lines() {
    check(&[
        ("nothing", b"", &[]),
        ("blank lines", b"\n\r\n\n", &[]),
        ("one line", b"a:1|c\n", &["count a=[1.0]"]),
        ("no newline at the end", b"a:1|c", &["count a=[1.0]"]),
        ("CR before the newline", b"a:1|c\r\n", &["count a=[1.0]"]),
        ("CR at the end", b"a:1|c\r", &["count a=[1.0]"]),
        (
            "one CR and no more",
            b"a:1|c\r\r\n",
            &["no: type `c\u{fffd}` is none of c g ms h d s"],
        ),
        (
            "CR elsewhere",
            b"a:1\r|c",
            &["no: value `1\u{fffd}` is not a number"],
        ),
        ("spaces stay", b" a:1|c", &["count  a=[1.0]"]),
        (
            "two lines",
            b"a:1|c\nb:2|g\n",
            &["count a=[1.0]", "gauge b=[2.0]"],
        ),
        (
            "a torn last line is read as far as it goes",
            b"a:1|c\nb:12|ms|#env:d",
            &["count a=[1.0]", "timing b=[12.0] #env:d"],
        ),
        (
            "or refused",
            b"a:1|c\nb:12|m",
            &["count a=[1.0]", "no: type `m` is none of c g ms h d s"],
        ),
        (
            "a bad line between good ones",
            b"a:1|c\nbad\nb:2|g",
            &[
                "count a=[1.0]",
                "no: no `:` between name and value",
                "gauge b=[2.0]",
            ],
        ),
        ("bytes that are no text", b"a\xff:1|c", &["no: not UTF-8"]),
        ("a NUL is a character", b"a\0b:1|c", &["count a\0b=[1.0]"]),
    ]);
}

#[test]
fn names_and_types() {
    check(&[
        (
            "any name",
            "\u{e9} /\u{1f980}:1|c".as_bytes(),
            &["count \u{e9} /\u{1f980}=[1.0]"],
        ),
        ("no name", b":1|c", &["no: empty name"]),
        (
            "a pipe ends the name",
            b"a|b:1|c",
            &["no: no `:` between name and value"],
        ),
        ("no value", b"a:|c", &["no: empty value"]),
        ("no member", b"a:|s", &["no: empty value"]),
        ("no type", b"a:1", &["no: no `|` before a type"]),
        (
            "an empty type",
            b"a:1|",
            &["no: type `` is none of c g ms h d s"],
        ),
        ("gauge", b"a:1|g", &["gauge a=[1.0]"]),
        ("timing", b"a:1|ms", &["timing a=[1.0]"]),
        ("histogram", b"a:1|h", &["histogram a=[1.0]"]),
        ("distribution", b"a:1|d", &["distribution a=[1.0]"]),
        ("set", b"a:1|s", &["set a=\"1\""]),
        (
            "a meter",
            b"a:1|m",
            &["no: type `m` is none of c g ms h d s"],
        ),
        ("ts", b"a:1|ts", &["no: type `ts` is none of c g ms h d s"]),
        (
            "a capital",
            b"a:1|C",
            &["no: type `C` is none of c g ms h d s"],
        ),
    ]);
}

#[test]
fn numbers() {
    check(&[
        ("a sign", b"a:+1|g", &["gauge a=[1.0]"]),
        (
            "a negative gauge is a value, no step",
            b"a:-1|g",
            &["gauge a=[-1.0]"],
        ),
        ("an exponent", b"a:1e+06|g", &["gauge a=[1000000.0]"]),
        ("hexadecimal", b"a:0x1p-2|g", &["gauge a=[0.25]"]),
        (
            "hexadecimal without a power",
            b"a:0x1|g",
            &["no: value `0x1` is not a number"],
        ),
        (
            "points at the ends",
            b"a:.5:5.|d",
            &["distribution a=[0.5, 5.0]"],
        ),
        (
            "underscores between digits",
            b"a:1_000|g",
            &["gauge a=[1000.0]"],
        ),
        (
            "underscores elsewhere",
            b"a:1_|g",
            &["no: value `1_` is not a number"],
        ),
        ("a word", b"a:one|g", &["no: value `one` is not a number"]),
        ("a comma", b"a:1,5|g", &["no: value `1,5` is not a number"]),
        ("a space", b"a: 1|g", &["no: value ` 1` is not a number"]),
        (
            "too great",
            b"a:1e400|g",
            &["no: value `1e400` is not a number"],
        ),
        ("too small is 0", b"a:1e-400|g", &["gauge a=[0.0]"]),
    ]);
    let refused = |value: &str| format!("no: value `{value}` {NOT_FINITE}");
    for value in ["NaN", "nan", "Inf", "+Inf", "-inf", "Infinity"] {
        let line = format!("a:{value}|g");
        let read: Vec<_> = datagram(line.as_bytes()).collect();
        let [Err(error)] = &read[..] else {
            panic!("{read:?}")
        };
        assert_eq!(
            format!("no: {error}"),
            format!("{} in `{line}`", refused(value))
        );
    }
    check(&[(
        "NaN has no sign",
        b"a:+NaN|g",
        &["no: value `+NaN` is not a number"],
    )]);
}

#[test]
fn packed_values() {
    check(&[
        (
            "several",
            b"a:1:2:32|d",
            &["distribution a=[1.0, 2.0, 32.0]"],
        ),
        ("of any type", b"a:1:2|c", &["count a=[1.0, 2.0]"]),
        (
            "empty items are skipped",
            b"a::1::2:|d",
            &["distribution a=[1.0, 2.0]"],
        ),
        ("colons alone", b"a::|d", &["no: empty value"]),
        (
            "one bad of many",
            b"a:1:x:2|d",
            &["no: value `x` is not a number"],
        ),
        ("a set has one member", b"a:b:c|s", &["set a=\"b:c\""]),
        (
            "which may be empty but for colons",
            b"a::|s",
            &["set a=\":\""],
        ),
        (
            "each that is not finite is dropped alone",
            b"a:1:NaN:2:Inf|d",
            &[
                "distribution a=[1.0, 2.0]",
                "no: value `NaN` is refused by the Agent",
            ],
        ),
        (
            "all of them",
            b"a:NaN:Inf|d",
            &["no: value `NaN` is refused by the Agent"],
        ),
    ]);
}

#[test]
fn rates() {
    const NOT_ABOVE: &str = ": the Agent multiplies by 1/rate, which is no number above 0";
    check(&[
        ("a half", b"a:1|c|@0.5", &["count a=[1.0] @0.5"]),
        ("more than all", b"a:1|c|@2", &["count a=[1.0] @2"]),
        ("hexadecimal", b"a:1|c|@0x1p-1", &["count a=[1.0] @0.5"]),
        (
            "0 is 1 for a histogram",
            b"a:1|h|@0",
            &["histogram a=[1.0]"],
        ),
        ("for a timing", b"a:1|ms|@0", &["timing a=[1.0]"]),
        (
            "the last one counts",
            b"a:1|c|@0.1|@0.5",
            &["count a=[1.0] @0.5"],
        ),
        (
            "no number",
            b"a:1|c|@x",
            &["no: sample rate `x` is not a number"],
        ),
        (
            "nothing",
            b"a:1|c|@",
            &["no: sample rate `` is not a number"],
        ),
        (
            "even of a gauge",
            b"a:1|g|@x",
            &["no: sample rate `x` is not a number"],
        ),
        ("a gauge takes none", b"a:1|g|@-1", &["gauge a=[1.0]"]),
        ("nor does a set", b"a:1|s|@0", &["set a=\"1\""]),
        (
            "nor a count with its time",
            b"a:1|c|@0|T5",
            &["count a=[1.0] T5"],
        ),
    ]);
    for (kind, rates) in [
        ("c", &["0", "-0", "-1", "NaN", "Inf", "1e-320"][..]),
        ("h", &["-1", "NaN", "+Inf"]),
        ("d", &["-0.5"]),
    ] {
        for rate in rates {
            let line = format!("a:1|{kind}|@{rate}");
            let read: Vec<_> = datagram(line.as_bytes()).collect();
            let [Err(error)] = &read[..] else {
                panic!("{line}: {read:?}")
            };
            let expected = format!("sample rate `{rate}`{NOT_ABOVE} in `{line}`");
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[test]
fn fields() {
    check(&[
        (
            "tags",
            b"a:1|c|#env:dev,b,u:http://x:1",
            &["count a=[1.0] #env:dev,b,u:http://x:1"],
        ),
        (
            "split at commas alone",
            b"a:1|c|#a b;c,d",
            &["count a=[1.0] #a b;c,d"],
        ),
        ("no tags", b"a:1|c|#", &["count a=[1.0]"]),
        (
            "empty tags say nothing",
            b"a:1|c|#,a,,b,",
            &["count a=[1.0] #a,b"],
        ),
        (
            "the last list counts",
            b"a:1|c|#a|#b",
            &["count a=[1.0] #b"],
        ),
        ("and takes all away", b"a:1|c|#a|#", &["count a=[1.0]"]),
        (
            "a pipe cuts the list",
            b"a:1|c|#a:x|y,b",
            &["count a=[1.0] #a:x"],
        ),
        (
            "or ruins the line",
            b"a:1|c|#a:x|@z",
            &["no: sample rate `z` is not a number"],
        ),
        ("or dates it", b"a:1|c|#a:x|T1", &["count a=[1.0] #a:x T1"]),
        (
            "unknown fields",
            b"a:1|c|x:y||z|C:1|E:2|t1",
            &["count a=[1.0]"],
        ),
        ("a container", b"a:1|c|c:ci-0f", &["count a=[1.0] c:ci-0f"]),
        ("an inode", b"a:1|c|c:in-42", &["count a=[1.0] c:in-42"]),
        (
            "both",
            b"a:1|c|c:ci-0f,in-42",
            &["count a=[1.0] c:ci-0f,in-42"],
        ),
        ("the old form", b"a:1|c|c:0f", &["count a=[1.0] c:0f"]),
        (
            "external data",
            b"a:1|c|e:it-false,cn-w,pu-1",
            &["count a=[1.0] e:it-false,cn-w,pu-1"],
        ),
        (
            "cardinality",
            b"a:1|c|card:low",
            &["count a=[1.0] card:low"],
        ),
        ("of any word", b"a:1|c|card:x", &["count a=[1.0] card:x"]),
        (
            "any order",
            b"a:1|c|card:low|T9|e:x|c:y|#t|@0.5",
            &["count a=[1.0] @0.5 #t c:y e:x T9 card:low"],
        ),
    ]);
}

#[test]
fn times() {
    check(&[
        (
            "a count",
            b"a:1|c|T1656581400",
            &["count a=[1.0] T1656581400"],
        ),
        ("a gauge", b"a:1|g|T+5", &["gauge a=[1.0] T5"]),
        (
            "0",
            b"a:1|c|T0",
            &["no: timestamp `0` is not a whole number above 0"],
        ),
        (
            "negative",
            b"a:1|c|T-1",
            &["no: timestamp `-1` is not a whole number above 0"],
        ),
        (
            "a part",
            b"a:1|c|T1.5",
            &["no: timestamp `1.5` is not a whole number above 0"],
        ),
        (
            "nothing",
            b"a:1|c|T",
            &["no: timestamp `` is not a whole number above 0"],
        ),
        (
            "over 64 bits",
            b"a:1|c|T9223372036854775808",
            &["no: timestamp `9223372036854775808` is not a whole number above 0"],
        ),
        (
            "a timing",
            b"a:1|ms|T1",
            &["no: only counts and gauges take a timestamp"],
        ),
        (
            "a histogram",
            b"a:1|h|T1",
            &["no: only counts and gauges take a timestamp"],
        ),
        (
            "a distribution",
            b"a:1|d|T1",
            &["no: only counts and gauges take a timestamp"],
        ),
        (
            "a set",
            b"a:1|s|T1",
            &["no: only counts and gauges take a timestamp"],
        ),
    ]);
}

#[test]
fn events() {
    check(&[
        ("title and text", b"_e{1,1}:a|b", &["event \"a\" \"b\""]),
        ("no text", b"_e{1,0}:a|", &["event \"a\" \"\""]),
        ("not even its pipe", b"_e{1,0}:a", &[SHORT]),
        (
            "pipes inside",
            b"_e{3,3}:a|b|c|d|t:error",
            &["event \"a|b\" \"c|d\" t:error"],
        ),
        (
            "bytes, not characters",
            "_e{2,3}:\u{e9}|\u{20ac}".as_bytes(),
            &["event \"\u{e9}\" \"\u{20ac}\""],
        ),
        (
            "breaks restored",
            b"_e{4,4}:a\\nb|c\\nd",
            &["event \"a\\nb\" \"c\\nd\""],
        ),
        (
            "every field",
            b"_e{1,1}:a|b|d:7|h:web|k:key|p:low|s:src|t:success|#x,y|c:z|zz",
            &["event \"a\" \"b\" d:7 h:web k:key p:low s:src t:success #x,y"],
        ),
        (
            "bad fields cost nothing",
            b"_e{1,1}:a|b|d:x|p:high|t:fatal|h:w",
            &["event \"a\" \"b\" h:w"],
        ),
        (
            "nor what was there",
            b"_e{1,1}:a|b|d:7|d:x|t:error|t:x",
            &["event \"a\" \"b\" d:7 t:error"],
        ),
        ("time 0 is now", b"_e{1,1}:a|b|d:0", &["event \"a\" \"b\""]),
        ("another prefix is a metric", b"_e:1|c", &["count _e=[1.0]"]),
    ]);
}

#[test]
fn lengths_of_events() {
    const HEAD: &str = "no: an event begins `_e{title bytes,text bytes}:`";
    check(&[
        ("no title", b"_e{0,1}:|b", &["no: an event needs a title"]),
        (
            "whatever else is wrong",
            b"_e{0,9}:",
            &["no: an event needs a title"],
        ),
        ("title too long", b"_e{9,1}:a|b", &[SHORT]),
        ("text too long", b"_e{1,2}:a|b", &[SHORT]),
        (
            "text too long, fields eaten",
            b"_e{1,3}:a|b|#x",
            &["event \"a\" \"b|#\""],
        ),
        ("title too short", b"_e{1,2}:ab|cd", &["event \"a\" \"|c\""]),
        (
            "text too short",
            b"_e{1,1}:a|bcd|t:error",
            &["event \"a\" \"b\" t:error"],
        ),
        ("any byte between", b"_e{1,1}:a#b", &["event \"a\" \"b\""]),
        (
            "cut inside a character",
            "_e{1,1}:\u{e9}|\u{e9}|h:x".as_bytes(),
            &["event \"\u{fffd}\" \"|\" h:x"],
        ),
        (
            "any byte for the brace",
            b"_e{1,1]:a|b",
            &["event \"a\" \"b\""],
        ),
        ("a sign", b"_e{+1,1}:a|b", &["event \"a\" \"b\""]),
        ("one length", b"_e{1}:a|b", &[HEAD]),
        ("no colon", b"_e{1,1}a|b", &[HEAD]),
        ("no lengths", b"_e{:a|b", &[HEAD]),
        ("negative", b"_e{-1,1}:a|b", &[HEAD]),
        ("words", b"_e{x,1}:a|b", &[HEAD]),
        ("a third", b"_e{1,1,1}:a|b", &[HEAD]),
        ("far too long", b"_e{1,18446744073709551616}:a|b", &[HEAD]),
        (
            "as long as can be",
            b"_e{1,18446744073709551615}:a|b",
            &[SHORT],
        ),
    ]);
}

#[test]
fn checks() {
    const FORM: &str = "no: a service check is `_sc|name|status`";
    check(&[
        ("ok", b"_sc|a|0", &["check a ok"]),
        ("warning", b"_sc|a|1", &["check a warning"]),
        ("critical", b"_sc|a|2", &["check a critical"]),
        ("unknown", b"_sc|a|3", &["check a unknown"]),
        ("4", b"_sc|a|4", &["no: status `4` is none of 0 1 2 3"]),
        (
            "negative",
            b"_sc|a|-1",
            &["no: status `-1` is none of 0 1 2 3"],
        ),
        (
            "two digits",
            b"_sc|a|00",
            &["no: status `00` is none of 0 1 2 3"],
        ),
        ("none", b"_sc|a|", &["no: status `` is none of 0 1 2 3"]),
        ("no status", b"_sc|a", &[FORM]),
        ("no name", b"_sc||0", &["no: a service check needs a name"]),
        ("nothing", b"_sc", &[FORM]),
        (
            "every field",
            b"_sc|a|2|d:7|h:web|#x,y|m:down: b|c:ci-1|zz",
            &["check a critical d:7 h:web #x,y m:down: b"],
        ),
        (
            "a pipe ends the message",
            b"_sc|a|0|m:x|h:y",
            &["check a ok h:y m:x"],
        ),
        (
            "which stays as it came",
            b"_sc|a|0|m:m\\: x\\ny",
            &["check a ok m:m\\: x\\ny"],
        ),
        (
            "bad fields cost nothing",
            b"_sc|a|0|d:7|d:x",
            &["check a ok d:7"],
        ),
        ("time 0 is now", b"_sc|a|0|d:0", &["check a ok"]),
        ("any byte for the first pipe", b"_sc-a|0|", &["check a ok"]),
        ("so it is no metric", b"_sc:1|c", &[FORM]),
    ]);
}
