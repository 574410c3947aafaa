//! Whatever a scrape answers.

use testapi::agent::decode::{Exposition, ExpositionError, Format, exposition, exposition_as};
use testapi::agent::lint::{Page, lint_exposition};

/// Whether it was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    for format in [Format::Text, Format::OpenMetrics] {
        let read = exposition_as(&text, format);
        lint(&text, format, read.as_ref().err());
        if let Ok(read) = read {
            bounds(&text, &read);
        }
    }
    match exposition(&text) {
        Ok(read) if read.format == Format::Text => by_lines(&text, &read),
        Ok(_) => {}
        Err(_) => return false,
    }
    true
}

fn bounds(text: &str, read: &Exposition<'_>) {
    let lines = text.lines().count();
    let described = read.types.len() + read.helps.len() + read.units.len();
    assert!(read.samples.len() + described <= lines);
    assert!(read.exemplars.len() <= read.samples.len());
    for sample in &read.samples {
        assert!(!sample.name.is_empty());
        let labels = &sample.labels;
        let held = |(key, value): &(&str, std::borrow::Cow<'_, str>)| key.len() + value.len();
        assert!(labels.iter().map(held).sum::<usize>() <= text.len());
        assert!(labels.capacity() <= 4 + text.len(), "two bytes a label");
    }
    let mut places = read.exemplars.iter().map(|(at, _)| *at);
    assert!(places.all(|at| at < read.samples.len()));
}

/// 0.0.4 knows no state: a page is its lines.
fn by_lines(text: &str, read: &Exposition<'_>) {
    let mut again = Exposition::default();
    for line in text.split_inclusive('\n') {
        let alone = exposition_as(line, Format::Text);
        let alone = alone.expect("a line of a page that is in order is so alone");
        again.types.extend(alone.types);
        again.helps.extend(alone.helps);
        again.samples.extend(alone.samples);
    }
    // As text, in which NaN is NaN.
    assert_eq!(format!("{read:?}"), format!("{again:?}"));
}

/// What cannot be read is found where it stands, and no finding stands outside of the page.
fn lint(text: &str, format: Format, error: Option<&ExpositionError>) {
    let lines = text.lines().count().max(1);
    let found = lint_exposition(&Page {
        text,
        format,
        content_type: "text/plain",
        cut: false,
        samples: None,
    });
    assert!(found.findings.iter().all(|finding| finding.line <= lines));
    assert!(found.findings.is_sorted_by_key(|finding| finding.line));
    if let Some(error) = error {
        assert!((1..=lines).contains(&error.line), "{error} of {lines}");
        let there = found.findings.iter().any(|f| f.line == error.line);
        assert!(there || found.left_out > 0, "{error} is not in {found:?}");
    }
}
