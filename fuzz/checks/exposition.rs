//! Whatever a scrape answers.

use testapi::agent::decode::{Exposition, exposition};

/// Whether it was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().count();
    let read = match exposition(&text) {
        Ok(read) => read,
        Err(error) => {
            let fits = (1..=lines).contains(&error.line);
            assert!(fits, "line {} of {lines}", error.line);
            return false;
        }
    };
    assert!(read.samples.len() + read.types.len() <= lines);
    let mut again = Exposition::default();
    for line in text.split_inclusive('\n') {
        let alone = exposition(line).expect("a line of a page that is in order is so alone");
        again.types.extend(alone.types);
        again.samples.extend(alone.samples);
    }
    // As text, in which NaN is NaN.
    assert_eq!(format!("{read:?}"), format!("{again:?}"));
    for sample in &read.samples {
        assert!(!sample.name.is_empty());
        let labels = &sample.labels;
        let held = |(key, value): &(&str, std::borrow::Cow<'_, str>)| key.len() + value.len();
        assert!(labels.iter().map(held).sum::<usize>() <= text.len());
        assert!(labels.capacity() <= 4 + text.len(), "two bytes a label");
    }
    true
}
