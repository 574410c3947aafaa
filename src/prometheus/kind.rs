//! The kinds of families, and what each format makes of them.

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Info,
}

impl Kind {
    /// What the samples of one value add to the family's name.
    ///
    /// The Agent's OpenMetrics check knows a counter of the text format only when sample, HELP and TYPE
    /// all say `_total`; under TYPE `x` it skips the samples `x_total` as of unknown type. OpenMetrics
    /// wants the reverse: TYPE `x`, sample `x_total`.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram | Kind::Summary => "",
        }
    }

    /// The word of TYPE in text 0.0.4, which does not know info.
    pub(super) const fn text_word(self) -> &'static str {
        match self {
            Kind::Info => "gauge",
            other => other.openmetrics_word(),
        }
    }

    /// The word of TYPE in OpenMetrics.
    pub(super) const fn openmetrics_word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
            Kind::Info => "info",
        }
    }

    /// What the family's samples are called behind its base name. The bare name is a family's own in
    /// any case: OpenMetrics would write it.
    pub(super) const fn claims(self) -> &'static [&'static str] {
        match self {
            Kind::Counter => &["", "_total", "_created"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
            Kind::Summary => &["", "_sum", "_count", "_created"],
            Kind::Info => &["", "_info"],
        }
    }
}
