//! W3C Baggage: the cases of DataDog/system-tests, `tests/parametric/test_headers_baggage.py`.

#![expect(non_snake_case, reason = "named as theirs")]

use testapi::trace::{self, EntryOptions};

use super::hop::Hop;
use crate::wire::rig::{Rig, caller_of};

const WITHOUT: &[(&str, &str)] = &[("DD_TRACE_PROPAGATION_STYLE", "datadog,tracecontext")];
const ALONE: &[(&str, &str)] = &[("DD_TRACE_PROPAGATION_STYLE", "baggage")];

/// A caller by Datadog's headers, with this baggage.
fn caller(baggage: &str) -> [(&str, &str); 3] {
    [
        ("x-datadog-trace-id", "616263"),
        ("x-datadog-parent-id", "646566"),
        ("baggage", baggage),
    ]
}

/// In a span whose caller sent this baggage, or none: what the baggage is after `change`, and as a header.
#[track_caller]
fn carried(
    env: &[(&str, &str)],
    came: &str,
    change: impl FnOnce(),
) -> (Vec<(String, String)>, Option<String>) {
    let rig = Rig::of(env);
    let _entry = rig.tracer.enter(EntryOptions {
        name: "parcel.forward".into(),
        caller: caller_of(&rig.tracer, &[("baggage", came)]),
        ..EntryOptions::default()
    });
    change();
    let header = trace::headers()
        .into_iter()
        .find(|(name, _)| *name == "baggage");
    (trace::baggage(), header.map(|(_, value)| value))
}

fn set(pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        assert!(trace::set_baggage(key, value), "{key}");
    }
}

#[track_caller]
fn is(baggage: &[(String, String)], expected: &[(&str, &str)]) {
    let seen: Vec<_> = baggage
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn test_headers_baggage_default_D001() {
    let hop = Hop::of(&[], &caller("tea=green"));
    assert_eq!((hop.span.trace_id, hop.span.parent_id), (616_263, 646_566));
    assert_eq!(hop.header("baggage"), Some("tea=green"));
}

#[test]
fn test_headers_baggage_only_D002() {
    let hop = Hop::of(ALONE, &caller("tea=green"));
    assert_eq!(hop.names(), ["baggage"]);
    assert_eq!(hop.header("baggage"), Some("tea=green"));
    assert_eq!(hop.span.parent_id, 0);
}

#[test]
fn test_baggage_disable_settings_D003() {
    let hop = Hop::of(WITHOUT, &caller("tea=green"));
    assert_eq!((hop.span.trace_id, hop.span.parent_id), (616_263, 646_566));
    assert_eq!(hop.header("baggage"), None);
}

#[test]
fn test_baggage_inject_header_D004() {
    let (_, header) = carried(&[], "", || {
        set(&[
            ("tea", "green"),
            ("cup", "large"),
            ("guest", "Zo\u{eb}"),
            ("table", "A 7"),
            ("{[@(/:<=>?)]},;\\\"", "\\;,\""),
        ]);
    });
    let expected = "tea=green,cup=large,guest=Zo%C3%AB,table=A%207,\
                    %7B%5B%40%28%2F%3A%3C%3D%3E%3F%29%5D%7D%2C%3B%5C%22=%5C%3B%2C%22";
    assert_eq!(header.as_deref(), Some(expected));
}

#[test]
fn test_baggage_extract_header_D005() {
    let came = "tea=green,guest=Zo%C3%AB,table=A%207,\
                %7B%5B%40%28%2F%3A%3C%3D%3E%3F%29%5D%7D%2C%3B%5C%22=%5C%3B%2C%22";
    let (baggage, _) = carried(&[], came, || {});
    let expected = [
        ("tea", "green"),
        ("guest", "Zo\u{eb}"),
        ("table", "A 7"),
        ("{[@(/:<=>?)]},;\\\"", "\\;,\""),
    ];
    is(&baggage, &expected);
}

#[test]
fn test_baggage_set_D006() {
    let pairs = [
        ("tea", "green"),
        ("cup", "large"),
        ("guest", "Zo\u{eb}"),
        ("table", "A 7"),
    ];
    let (baggage, _) = carried(&[], "", || set(&pairs));
    is(&baggage, &pairs);
}

#[test]
fn test_baggage_set_disabled_D007() {
    let (baggage, header) = carried(WITHOUT, "", || set(&[("tea", "green"), ("cup", "large")]));
    assert_eq!((baggage.len(), header), (2, None));
}

#[test]
fn test_baggage_get_D008() {
    let came = "guest=Zo%C3%AB,table=A%207";
    let (baggage, _) = carried(&[], came, || set(&[("tea", "green"), ("cup", "large")]));
    let expected = [
        ("guest", "Zo\u{eb}"),
        ("table", "A 7"),
        ("tea", "green"),
        ("cup", "large"),
    ];
    is(&baggage, &expected);
}

#[test]
fn test_baggage_get_all_D009() {
    let (baggage, _) = carried(&[], "tea=green", || {
        set(&[("cup", "large"), ("guest", "Zo\u{eb}"), ("tea", "black")]);
    });
    is(
        &baggage,
        &[("tea", "black"), ("cup", "large"), ("guest", "Zo\u{eb}")],
    );
}

#[test]
fn test_baggage_remove_D010() {
    let all = [("cup", "large"), ("guest", "Zo\u{eb}"), ("table", "A 7")];
    let remove = |keys: &'static [&str]| {
        let (baggage, header) = carried(&[], "", || {
            set(&all);
            keys.iter().for_each(|key| trace::remove_baggage(key));
        });
        assert_eq!(header.is_none(), baggage.is_empty());
        baggage
    };
    is(&remove(&["cup", "guest"]), &all[2..]);
    is(&remove(&["cup", "guest", "table", "nobody"]), &[]);
}

#[test]
fn test_baggage_remove_all_D011() {
    let (baggage, header) = carried(&[], "tea=green", || {
        set(&[("cup", "large")]);
        trace::clear_baggage();
    });
    assert_eq!((baggage.len(), header), (0, None));
}

#[track_caller]
fn is_malformed(baggage: &str) {
    assert_eq!(
        Hop::of(&[], &[("baggage", "tea=green")]).header("baggage"),
        Some("tea=green")
    );
    assert_eq!(
        Hop::of(&[], &[("baggage", baggage)]).header("baggage"),
        None,
        "{baggage}"
    );
}

#[test]
fn test_baggage_malformed_headers_D012() {
    is_malformed("nothing-is-said,tea=thrown-away-with-it");
}

#[test]
fn test_baggage_malformed_headers_D013() {
    is_malformed("=of-nothing");
}

#[test]
fn test_baggage_malformed_headers_D014() {
    is_malformed("nothing=");
}

#[test]
fn test_baggage_malformed_headers_D015() {
    is_malformed("tea=thrown-away-with-what-follows,=");
}

#[test]
fn test_baggageheader_maxitems_inject_D016() {
    let (baggage, header) = carried(&[], "", || {
        (0..67).for_each(|n| set(&[(&format!("cup{n}"), &format!("tea{n}"))]));
    });
    let header = header.unwrap();
    let items: Vec<&str> = header.split(',').collect();
    assert_eq!((baggage.len(), items.len()), (67, 64));
    assert_eq!((items[0], items[63]), ("cup0=tea0", "cup63=tea63"));
}

#[test]
fn test_baggageheader_maxbytes_inject_D017() {
    let long = |letter: &str| letter.repeat(2_800);
    let (_, header) = carried(&[], "", || {
        set(&[
            ("p", &long("x")),
            ("q", &long("y")),
            ("r", &long("z")),
            ("s", "small"),
        ]);
    });
    assert_eq!(header, Some(format!("p={},q={}", long("x"), long("y"))));
}

/// Tags `baggage.*` of a span whose caller sent this, as `key=value`.
#[track_caller]
fn tags(keys: Option<&str>, baggage: &str) -> Vec<String> {
    let env: Vec<_> = keys
        .map(|keys| ("DD_TRACE_BAGGAGE_TAG_KEYS", keys))
        .into_iter()
        .collect();
    let Hop { span, .. } = Hop::of(&env, &caller(baggage));
    let told = span.meta.iter().filter_map(|(key, value)| {
        let key = key.strip_prefix("baggage.")?;
        Some(format!("{key}={value}"))
    });
    told.collect()
}

#[test]
fn test_baggage_span_tags_default() {
    let came = "user.id=heron,session.id=s9,tea=green,account.id=ac1";
    assert_eq!(
        tags(None, came),
        ["user.id=heron", "session.id=s9", "account.id=ac1"]
    );
}

#[test]
fn test_baggage_span_tags_specific_keys() {
    let came = "user.id=heron,session.id=s9,account.id=ac1,tea=green";
    assert_eq!(
        tags(Some("session.id,tea"), came),
        ["session.id=s9", "tea=green"]
    );
}

#[test]
fn test_baggage_span_tags_all() {
    let came = "user.id=heron,session.id=s9,account.id=ac1,table=A 7,shop=north-2";
    let all: Vec<&str> = came.split(',').collect();
    assert_eq!(tags(Some("*"), came), all);
}

#[test]
fn test_baggage_span_tags_malformed_header() {
    assert_eq!(
        tags(None, "user.id=,session.id=s9,account.id=ac1"),
        Vec::<String>::new()
    );
}

#[test]
fn test_baggage_span_tags_disabled() {
    let came = "user.id=heron,session.id=s9,tongue=de-AT,account.id=ac1";
    assert_eq!(tags(Some(""), came), Vec::<String>::new());
}

#[test]
fn test_baggage_span_tags_key_with_asterisk() {
    let came = "user.id=heron,account.id=ac1,tea=green,tea*pot=iron";
    assert_eq!(
        tags(Some("account.id,tea*pot"), came),
        ["account.id=ac1", "tea*pot=iron"]
    );
}

#[test]
fn test_baggage_span_tags_config_with_empty_keys() {
    let came = "account.id=ac1,tea=green,cup=large";
    assert_eq!(tags(Some("account.id,,"), came), ["account.id=ac1"]);
}
