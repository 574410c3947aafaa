//! Whatever a line of a log file holds.

use testapi::agent::decode::{LogLine, log_line, log_summary};

/// Whether all lines were JSON.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut all_json = true;
    for line in text.lines() {
        let whole = log_line(line);
        all_json &= whole.json;
        check_line(line, &whole);
        let without = LogLine {
            fields: Vec::new(),
            ..whole
        };
        assert_eq!(log_summary(line), without, "a summary says the same");
    }
    all_json
}

fn check_line(line: &str, whole: &LogLine) {
    if !whole.json {
        assert_eq!(whole.message, line, "what is no JSON is its own message");
        assert!(whole.fields.is_empty());
    }
    assert!(whole.fields.is_sorted());
    assert!(whole.fields.len() <= line.len(), "a byte a field at least");
    let words = [
        &whole.message,
        &whole.service,
        &whole.logger,
        &whole.error_kind,
        &whole.error_message,
        &whole.error_stack,
        &whole.http_status_code,
    ];
    let words: usize = words.iter().map(|word| word.len()).sum();
    let fields = whole
        .fields
        .iter()
        .map(|(key, value)| key.len() + value.len());
    let held = words + fields.sum::<usize>();
    assert!(
        held <= 8_000 + 9 * line.len(),
        "{held} bytes of {}",
        line.len()
    );
}
