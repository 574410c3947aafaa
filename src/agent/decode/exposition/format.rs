//! Which of the two formats a page is in.

/// A text format that a scrape may answer in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0; 0.0.1 reads the same.
    OpenMetrics,
}

impl Format {
    /// What a `Content-Type` says; `None` where it names neither.
    pub fn of_content_type(content_type: &str) -> Option<Format> {
        let media = content_type.split(';').next().unwrap_or("").trim();
        let is = |name: &str| media.eq_ignore_ascii_case(name);
        if is("application/openmetrics-text") {
            Some(Format::OpenMetrics)
        } else if is("text/plain") {
            Some(Format::Text)
        } else {
            None
        }
    }

    /// What the page itself says: OpenMetrics ends in `# EOF`.
    pub fn of_text(text: &str) -> Format {
        let last = text.trim_end_matches('\n').rsplit('\n').next();
        match last {
            Some("# EOF") => Format::OpenMetrics,
            _ => Format::Text,
        }
    }

    /// `Prometheus text 0.0.4` or `OpenMetrics 1.0`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "Prometheus text 0.0.4",
            Format::OpenMetrics => "OpenMetrics 1.0",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_says_which() {
        #[track_caller]
        fn check(content_type: &str, expected: Option<Format>) {
            assert_eq!(
                Format::of_content_type(content_type),
                expected,
                "{content_type}"
            );
        }
        let open = Some(Format::OpenMetrics);
        check(
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            open,
        );
        check("Application/OpenMetrics-Text", open);
        check(
            "text/plain; version=0.0.4; charset=utf-8",
            Some(Format::Text),
        );
        check(" text/plain ", Some(Format::Text));
        check("text/html", None);
        check("", None);
    }

    #[test]
    fn the_end_says_which() {
        #[track_caller]
        fn check(text: &str, expected: Format) {
            assert_eq!(Format::of_text(text), expected, "{text:?}");
        }
        check("", Format::Text);
        check("a 1\n", Format::Text);
        check("# EOF", Format::OpenMetrics);
        check("a 1\n# EOF\n", Format::OpenMetrics);
        check("a 1 # EOF\n", Format::Text);
        check("# EOF\na 1\n", Format::Text);
    }
}
