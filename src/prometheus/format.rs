//! The two formats, and which of them a scraper gets.
//!
//! Sources: RFC 9110, 12.5.1 "Accept"; Prometheus docs, "Content negotiation" and "Exposition formats";
//! OpenMetrics 1.0, "Overall structure".

/// How a page is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4, which everybody reads.
    #[default]
    Text,
    /// OpenMetrics 1.0, which has units and exemplars.
    OpenMetrics,
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS_1: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The draft that some scrapers name; what is written here is the same in both.
const OPENMETRICS_0: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";

impl Format {
    /// The `Content-Type` of a page in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Text => TEXT,
            Format::OpenMetrics => OPENMETRICS_1,
        }
    }

    /// The format that the values of a request's `Accept` headers prefer, and the `Content-Type` that says so.
    ///
    /// OpenMetrics is for those alone who name it, and like nothing better; whoever names neither, or both alike,
    /// gets text. So nobody meets an exemplar who did not ask for one: the Agent's older check
    /// stumbles over it.
    ///
    /// ```
    /// use testapi::prometheus::Format;
    ///
    /// let prometheus = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;q=0.5,*/*;q=0.1";
    /// assert_eq!(Format::negotiate([prometheus]).0, Format::OpenMetrics);
    /// assert_eq!(Format::negotiate(["text/html, */*"]).0, Format::Text);
    /// ```
    pub fn negotiate<'a>(accept: impl IntoIterator<Item = &'a str>) -> (Format, &'static str) {
        let mut weights = Weights::default();
        for header in accept {
            header.split(',').for_each(|range| weights.note(range));
        }
        let of = |weight: Option<u16>| weight.unwrap_or(0);
        let (one, zero) = (of(weights.openmetrics_1), of(weights.openmetrics_0));
        let openmetrics = match weights.text {
            Some(text) => one.max(zero) > text,
            // Whoever names OpenMetrics and would take anything has named what it is for.
            None => one.max(zero) >= of(weights.any_text.or(weights.anything)).max(1),
        };
        match openmetrics {
            true if one >= zero => (Format::OpenMetrics, OPENMETRICS_1),
            true => (Format::OpenMetrics, OPENMETRICS_0),
            false => (Format::Text, TEXT),
        }
    }
}

/// The weights of what was named, in thousandths; of what was named twice the higher.
#[derive(Default)]
struct Weights {
    text: Option<u16>,
    any_text: Option<u16>,
    anything: Option<u16>,
    openmetrics_1: Option<u16>,
    openmetrics_0: Option<u16>,
}

impl Weights {
    /// A range that is no format of ours changes nothing.
    fn note(&mut self, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or("").to_ascii_lowercase();
        let (mut version, mut weight) = (None, Some(1_000));
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "version" => version = Some(value),
                "q" => weight = thousandths(value),
                _ => {}
            }
        }
        let place = match (name.as_str(), version) {
            ("text/plain", None | Some("0.0.4")) => &mut self.text,
            ("application/openmetrics-text", None | Some("1.0.0")) => &mut self.openmetrics_1,
            ("application/openmetrics-text", Some("0.0.1")) => &mut self.openmetrics_0,
            ("text/*", _) => &mut self.any_text,
            ("*/*", _) => &mut self.anything,
            _ => return,
        };
        if let Some(weight) = weight {
            *place = Some(place.unwrap_or(0).max(weight));
        }
    }
}

/// `0` to `1` with at most three decimals. A range with another weight is passed over.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = decimals.bytes().all(|digit| digit.is_ascii_digit());
    let decimals: u16 = match decimals.len() {
        0..=3 if digits => format!("{decimals:0<3}").parse().ok()?,
        _ => return None,
    };
    match (whole, decimals) {
        ("0", decimals) => Some(decimals),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn a_scraper_gets_what_it_prefers() {
        const OM: &str = "application/openmetrics-text";
        let rows: [(&str, &[&str], &str); 27] = [
            ("no header", &[], TEXT),
            ("an empty one", &[""], TEXT),
            ("the Agent's check", &["text/plain"], TEXT),
            (
                "the Agent's check with use_latest_spec",
                &[
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1",
                ],
                OPENMETRICS_1,
            ),
            (
                "Prometheus 2",
                &[
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                OPENMETRICS_1,
            ),
            (
                "Prometheus 3",
                &[
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                ],
                OPENMETRICS_1,
            ),
            (
                "an early Prometheus",
                &[
                    "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                OPENMETRICS_0,
            ),
            (
                "a browser",
                &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
                TEXT,
            ),
            ("curl", &["*/*"], TEXT),
            (
                "OpenMetrics or anything",
                &["application/openmetrics-text, */*"],
                OPENMETRICS_1,
            ),
            ("OpenMetrics alone", &[OM], OPENMETRICS_1),
            (
                "in any case, with any spaces",
                &[" Application/OpenMetrics-Text ; VERSION = 1.0.0 ; Q = 0.5 "],
                OPENMETRICS_1,
            ),
            (
                "a quoted version",
                &["application/openmetrics-text; version=\"1.0.0\""],
                OPENMETRICS_1,
            ),
            (
                "both alike is a tie",
                &["application/openmetrics-text,text/plain"],
                TEXT,
            ),
            (
                "text is preferred",
                &["application/openmetrics-text;q=0.5,text/plain;q=0.6"],
                TEXT,
            ),
            (
                "a thousandth decides",
                &["application/openmetrics-text;q=0.501,text/plain;q=0.5"],
                OPENMETRICS_1,
            ),
            (
                "any type is text",
                &["application/openmetrics-text;q=0.5,*/*;q=0.6"],
                TEXT,
            ),
            (
                "any text is text",
                &["application/openmetrics-text;q=0.5,text/*;q=0.6"],
                TEXT,
            ),
            (
                "the nearer range holds",
                &["application/openmetrics-text;q=0.5,text/plain;q=0.1,text/*;q=0.9,*/*"],
                OPENMETRICS_1,
            ),
            (
                "no OpenMetrics",
                &["application/openmetrics-text;q=0"],
                TEXT,
            ),
            (
                "no text",
                &["text/plain;q=0,application/openmetrics-text;q=0.001"],
                OPENMETRICS_1,
            ),
            (
                "neither",
                &["text/plain;q=0,application/openmetrics-text;q=0"],
                TEXT,
            ),
            (
                "another version of OpenMetrics",
                &["application/openmetrics-text;version=2.0.0,text/plain;q=0.1"],
                TEXT,
            ),
            (
                "protobuf first",
                &[
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,application/openmetrics-text;q=0.6",
                ],
                OPENMETRICS_1,
            ),
            (
                "two headers are one list",
                &["text/plain;q=0.1", "application/openmetrics-text;q=0.2"],
                OPENMETRICS_1,
            ),
            (
                "a weight that is none",
                &["application/openmetrics-text;q=2,text/plain;q=0.1"],
                TEXT,
            ),
            (
                "the draft is preferred",
                &[
                    "application/openmetrics-text;version=0.0.1,application/openmetrics-text;version=1.0.0;q=0.9",
                ],
                OPENMETRICS_0,
            ),
        ];
        for (rule, accept, expected) in rows {
            let (format, content_type) = Format::negotiate(accept.iter().copied());
            assert_eq!(content_type, expected, "{rule}");
            assert_eq!(format == Format::Text, expected == TEXT, "{rule}");
        }
    }

    #[test]
    fn weights_are_read_or_refused() {
        let rows = [
            ("0", Some(0)),
            ("0.", Some(0)),
            ("1", Some(1_000)),
            ("1.000", Some(1_000)),
            ("0.5", Some(500)),
            ("0.123", Some(123)),
            ("0.1234", None),
            ("1.001", None),
            ("-0.5", None),
            ("0.+5", None),
            ("", None),
            (".5", None),
            ("01", None),
            ("nan", None),
            ("0.5 ", None),
        ];
        for (text, weight) in rows {
            assert_eq!(thousandths(text), weight, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(any in any::<String>(), near in "[a-z/*;=q0-9., \"]{0,60}") {
            let _ = Format::negotiate([any.as_str(), near.as_str()]);
        }
    }
}
