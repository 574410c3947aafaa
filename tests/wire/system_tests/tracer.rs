//! Fields, git and service names of spans: the cases of DataDog/system-tests,
//! `tests/parametric/test_tracer.py`.
//!
//! Left out: `Test_TracerServiceNameSource` (`_dd.svc_src`, which its manifests ask of few tracers) but
//! for the test that asks for nothing, and `Test_ProcessTags_ServiceName`, an experiment that is off unless
//! DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED says otherwise, which is not read here.

use testapi::agent::decode::Span;
use testapi::trace::{self, EntryOptions};

use crate::wire::rig::Rig;

/// A trace of an entry and a child, in the order sent.
#[track_caller]
fn two_spans(env: &[(&str, &str)]) -> Vec<Span> {
    let rig = Rig::of(env);
    let entry = rig.tracer.enter(EntryOptions {
        name: "bake".into(),
        ..EntryOptions::default()
    });
    trace::span("knead").finish();
    entry.finish();
    let mut chunks = rig.chunks();
    assert_eq!(chunks.len(), 1);
    let spans = chunks.remove(0);
    assert_eq!((spans.len(), spans[0].name.as_str()), (2, "bake"));
    spans
}

#[test]
fn test_tracer_span_top_level_attributes() {
    let rig = Rig::of(&[]);
    let options = EntryOptions {
        name: "bake".into(),
        resource: "/bread",
        kind: "web",
        ..EntryOptions::default()
    };
    let mut entry = rig.tracer.enter(options);
    entry.set_service("bakery");
    entry.set_metric("loaves", 12.0);
    let mut child = trace::span("knead").service("bakery");
    child.set_meta("flour", "rye");
    child.finish();
    entry.finish();
    let chunks = rig.chunks();
    assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
    let (root, child) = (&chunks[0][0], &chunks[0][1]);
    let fields = [&root.name, &root.service, &root.resource, &root.kind].map(String::as_str);
    assert_eq!(fields, ["bake", "bakery", "/bread", "web"]);
    assert_eq!(root.metric("loaves"), Some(12.0));
    assert_eq!(
        (child.name.as_str(), child.tag("flour"), child.parent_id),
        ("knead", "rye", root.span_id)
    );
}

/// Said on the first span of a chunk, and there alone.
#[track_caller]
fn on_the_first(env: (&str, &str), key: &str, value: &str) {
    let spans = two_spans(&[env]);
    let said: Vec<&str> = spans.iter().map(|span| span.tag(key)).collect();
    assert_eq!(said, [value, ""], "{env:?}");
}

#[test]
fn test_tracer_repository_url_environment_variable() {
    let url = "https://git.example.org/bakery/oven";
    on_the_first(
        ("DD_GIT_REPOSITORY_URL", url),
        "_dd.git.repository_url",
        url,
    );
}

#[test]
fn test_tracer_commit_sha_environment_variable() {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    on_the_first(("DD_GIT_COMMIT_SHA", sha), "_dd.git.commit.sha", sha);
}

#[test]
fn test_tracer_repository_url_strip_credentials() {
    for (url, sent) in [
        (
            "https://baker:flour_42@git.example.org/oven.git",
            "https://git.example.org/oven.git",
        ),
        (
            "ssh://baker:flour_42@git.example.org/oven.git",
            "ssh://git.example.org/oven.git",
        ),
        (
            "https://flour42@git.example.org/oven.git",
            "https://git.example.org/oven.git",
        ),
        (
            "ssh://flour42@git.example.org/oven.git",
            "ssh://git.example.org/oven.git",
        ),
        (
            "https://git.example.org/oven.git",
            "https://git.example.org/oven.git",
        ),
        ("git.example.org/oven.git", "git.example.org/oven.git"),
        (
            "git@git.example.org:bakery/oven.git",
            "git@git.example.org:bakery/oven.git",
        ),
    ] {
        on_the_first(
            ("DD_GIT_REPOSITORY_URL", url),
            "_dd.git.repository_url",
            sent,
        );
    }
}

#[test]
fn test_tracer_service_name_environment_variable() {
    let spans = two_spans(&[("DD_SERVICE", "bakery")]);
    assert!(
        spans.iter().all(|span| span.service == "bakery"),
        "{spans:?}"
    );
}

#[test]
fn test_tracer_env_environment_variable() {
    let spans = two_spans(&[("DD_ENV", "night")]);
    assert!(
        spans.iter().all(|span| span.tag("env") == "night"),
        "{spans:?}"
    );
}

#[test]
fn test_tracer_no_srv_src_when_service_not_manually_set() {
    for span in two_spans(&[]) {
        assert_eq!(span.tag("_dd.svc_src"), "", "{}", span.name);
    }
}

#[test]
fn test_base_service_set_when_service_overridden() {
    let rig = Rig::of(&[("DD_SERVICE", "bakery")]);
    let entry = rig.tracer.enter(EntryOptions {
        name: "bake".into(),
        ..EntryOptions::default()
    });
    trace::span("grind").service("mill").finish();
    entry.finish();
    let chunks = rig.chunks();
    let child = chunks[0].iter().find(|span| span.name == "grind").unwrap();
    assert_eq!(
        (child.service.as_str(), child.tag("_dd.base_service")),
        ("mill", "bakery")
    );
}

#[test]
fn test_base_service_absent_when_service_not_overridden() {
    let rig = Rig::of(&[("DD_SERVICE", "bakery")]);
    let mut entry = rig.tracer.enter(EntryOptions {
        name: "bake".into(),
        ..EntryOptions::default()
    });
    entry.set_service("bakery");
    entry.finish();
    let chunks = rig.chunks();
    assert_eq!(chunks[0][0].service, "bakery");
    assert_eq!(chunks[0][0].tag("_dd.base_service"), "");
}
