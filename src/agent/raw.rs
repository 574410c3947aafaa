//! From a held page to what is shown of it; runs outside of every lock.

use super::decode::{Exemplar, Line, line, lines};
use super::lint::{Page, lint_exposition};
use super::raw_view::{ExemplarRow, RawPage};
use super::store::{HeldPage, Store};
use super::trace_id::parse_trace_id;

const EXEMPLARS_MAX: usize = 1_000;

pub(super) fn raw_page(url: &str, held: HeldPage) -> RawPage {
    let told = held.told;
    let came = told.time_unix_us > 0;
    let found = match came {
        true => lint_exposition(&Page {
            text: &held.text,
            format: told.format,
            content_type: &held.content_type,
            cut: held.cut,
            samples: told.error.is_empty().then_some(told.samples + told.over),
        }),
        false => Default::default(),
    };
    let (failed_unix_us, failure) = held.failed.unwrap_or_default();
    let exemplars = lines(&held.text, told.format).filter_map(|(number, text)| {
        // A cheap look first: few lines have one.
        let read = text.contains(" # {").then(|| line(text, told.format));
        match read {
            Some(Ok(Line::Sample(_, Some(exemplar)))) => Some(row(number, &exemplar)),
            _ => None,
        }
    });
    RawPage {
        url: url.to_string(),
        time_unix_us: told.time_unix_us,
        duration_ns: held.duration_ns,
        content_type: held.content_type,
        format: if came { told.format.name() } else { "" },
        bytes: held.bytes,
        samples: told.samples,
        samples_over: told.over,
        exemplars: exemplars.take(EXEMPLARS_MAX).collect(),
        text: held.text.to_string(),
        cut: held.cut,
        error: told.error,
        failed_unix_us,
        failure,
        findings: found.findings,
        findings_left_out: found.left_out,
    }
}

/// Marks the exemplars whose trace is held.
pub(super) fn mark_held(page: &mut RawPage, store: &Store) {
    let id = |row: &ExemplarRow| row.trace_id.parse::<u64>().ok();
    let ids: Vec<u64> = page.exemplars.iter().filter_map(id).collect();
    let held = store.traces_held(&ids);
    for row in &mut page.exemplars {
        row.trace_held = id(row).is_some_and(|id| held.contains(&id));
    }
}

fn row(number: usize, exemplar: &Exemplar<'_>) -> ExemplarRow {
    let named = ["trace_id", "traceID", "dd.trace_id"];
    let mut labels = exemplar.labels.iter();
    let trace_id = labels.find(|(name, _)| named.contains(name));
    let trace_id = trace_id.and_then(|(_, id)| parse_trace_id(id));
    ExemplarRow {
        line: number,
        trace_id: trace_id.map_or(String::new(), |id| id.to_string()),
        trace_held: false,
        value: exemplar.value,
        time_unix_ms: exemplar.timestamp_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::Format;

    #[test]
    fn contexts_are_those_of_the_whole_page() {
        #[track_caller]
        fn check(rule: &str, (samples, over, error): (u64, u64, &str), expected: &[&str]) {
            let mut held = HeldPage {
                text: "# HELP a A.\n# TYPE a gauge\na 1\n".into(),
                cut: true,
                content_type: "text/plain".into(),
                ..HeldPage::default()
            };
            held.told.time_unix_us = 2;
            (held.told.samples, held.told.over) = (samples, over);
            held.told.error = error.to_string();
            let found = raw_page("u", held).findings;
            let what: Vec<_> = found.iter().map(|f| &*f.what).collect();
            assert_eq!(what, expected, "{rule}");
        }
        check("at the limit", (2_000, 0, ""), &[]);
        check(
            "those not kept count",
            (100_000, 7, ""),
            &["100007 samples"],
        );
        check("not read", (0, 0, "line 9: no value"), &[]);
    }

    #[test]
    fn a_page_is_shown_with_its_findings_and_exemplars() {
        let text = "# HELP a A.\n# TYPE a counter\n\
                    a_total 7 # {trace_id=\"6b02c8760000000000000000000000ff\"} 0.5 1.5\n# EOF\n";
        let mut held = HeldPage {
            text: text.into(),
            bytes: 9,
            content_type: "text/html".into(),
            failed: Some((3, "refused".into())),
            ..HeldPage::default()
        };
        held.told.format = Format::OpenMetrics;
        let none = raw_page("u", held.clone());
        assert_eq!(
            (none.format, none.findings.len(), &*none.failure),
            ("", 0, "refused")
        );
        held.told.time_unix_us = 2;
        let page = raw_page("u", held);
        let rules: Vec<_> = page.findings.iter().map(|f| (f.line, f.rule)).collect();
        assert_eq!(rules, [(0, "content-type")]);
        let exemplar = ExemplarRow {
            line: 3,
            trace_id: "255".into(),
            trace_held: false,
            value: 0.5,
            time_unix_ms: Some(1_500),
        };
        assert_eq!(
            (page.exemplars, page.format),
            (vec![exemplar], "OpenMetrics 1.0")
        );
    }
}
