//! The ways to write a context, and lists of them as settings have them.

use std::fmt;

/// One way to write a context, or baggage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `x-datadog-trace-id` and its kin.
    Datadog,
    /// W3C's `traceparent` and `tracestate`.
    TraceContext,
    /// `b3`.
    B3Single,
    /// `x-b3-traceid` and its kin.
    B3Multi,
    /// W3C's `baggage`; holds no context.
    Baggage,
}

const WORDS: [(&str, Style); 6] = [
    ("datadog", Style::Datadog),
    ("tracecontext", Style::TraceContext),
    ("b3", Style::B3Single),
    ("b3 single header", Style::B3Single),
    ("b3multi", Style::B3Multi),
    ("baggage", Style::Baggage),
];

impl Style {
    /// Reads a list as `DD_TRACE_PROPAGATION_STYLE` has it: `datadog`, `tracecontext`, `b3`, `b3multi`,
    /// `baggage`, in any case; `b3 single header` is an older name of `b3`. `none` alone is no style;
    /// beside others it says nothing (system-tests, `tests/parametric/test_headers_none.py`).
    ///
    /// `None` where a word is unknown or there is none at all.
    pub fn list(text: &str) -> Option<Vec<Style>> {
        let mut styles = Vec::new();
        let mut words = 0;
        for word in text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            words += 1;
            if word.eq_ignore_ascii_case("none") {
                continue;
            }
            let style = Style::of(word)?;
            if !styles.contains(&style) {
                styles.push(style);
            }
        }
        (words > 0).then_some(styles)
    }

    fn of(word: &str) -> Option<Style> {
        let found = WORDS
            .iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name));
        found.map(|(_, style)| *style)
    }

    /// Its word in settings, and in `context_headers` of a link.
    pub(super) fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(_, style)| *style == self)
            .map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, text: &str, expected: Option<&[Style]>) {
        assert_eq!(Style::list(text).as_deref(), expected, "{rule}");
    }

    #[test]
    fn every_list_has_its_styles() {
        use Style::{B3Multi, B3Single, Baggage, Datadog, TraceContext};
        check("one", "datadog", Some(&[Datadog]));
        check(
            "in their order",
            "tracecontext,datadog",
            Some(&[TraceContext, Datadog]),
        );
        check(
            "any case",
            "DataDog,TRACECONTEXT",
            Some(&[Datadog, TraceContext]),
        );
        check("spaces", " datadog ,\tbaggage ", Some(&[Datadog, Baggage]));
        check("b3 is the single header", "b3", Some(&[B3Single]));
        check(
            "so is its older name",
            "B3 single header,b3multi",
            Some(&[B3Single, B3Multi]),
        );
        check(
            "no style twice",
            "b3,datadog,b3 single header",
            Some(&[B3Single, Datadog]),
        );
        check(
            "nothing between commas",
            "datadog,,baggage,",
            Some(&[Datadog, Baggage]),
        );
        check("none", "None", Some(&[]));
        check("none beside others", "none,Datadog", Some(&[Datadog]));
        check("an unknown word", "datadog,xray", None);
        check("b3 with one space too many", "b3  single header", None);
        check("not a comma", "datadog;baggage", None);
        check("empty", "", None);
        check("blank", " , ", None);
    }

    #[test]
    fn a_style_says_its_word() {
        let all = Style::list("datadog,tracecontext,b3,b3multi,baggage").unwrap();
        let words: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            ["datadog", "tracecontext", "b3", "b3multi", "baggage"]
        );
        assert_eq!(Style::list(&words.join(",")), Some(all));
    }
}
