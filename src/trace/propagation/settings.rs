//! What may be set about headers.

use std::str::FromStr;

use super::Style;

/// Headers between processes: which are read, which are written, and what is done with a caller's context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// What is read, in this order; the first context found is the parent. Empty reads nothing.
    pub extract: Vec<Style>,
    /// What is written. Empty writes nothing.
    pub inject: Vec<Style>,
    /// Stops at the first context found: no other header is compared with it.
    pub extract_first: bool,
    /// What becomes of a caller's context.
    pub behavior: Behavior,
    /// Longest `x-datadog-tags`, which is never over 512 bytes; 0 neither reads nor writes it.
    pub tags_bytes_max: usize,
    /// Most items of baggage that are read or written.
    pub baggage_items_max: usize,
    /// Longest baggage that is read or written, as it stands in the header.
    pub baggage_bytes_max: usize,
}

impl Default for Propagation {
    fn default() -> Propagation {
        let styles = vec![Style::Datadog, Style::TraceContext, Style::Baggage];
        Propagation {
            extract: styles.clone(),
            inject: styles,
            extract_first: false,
            behavior: Behavior::Continue,
            tags_bytes_max: 512,
            baggage_items_max: 64,
            baggage_bytes_max: 8_192,
        }
    }
}

/// What becomes of a caller's context: `DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// `continue`: the caller's span is the parent.
    #[default]
    Continue,
    /// `restart`: a new trace begins, linked with the caller's; baggage is kept.
    Restart,
    /// `ignore`: nothing is read, baggage neither.
    Ignore,
}

impl FromStr for Behavior {
    type Err = String;

    fn from_str(text: &str) -> Result<Behavior, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "continue" => Ok(Behavior::Continue),
            "restart" => Ok(Behavior::Restart),
            "ignore" => Ok(Behavior::Ignore),
            _ => Err(format!("{text:?} is not continue, restart or ignore")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_behavior_is_one_of_three_words() {
        for (text, expected) in [
            ("continue", Some(Behavior::Continue)),
            ("Restart", Some(Behavior::Restart)),
            (" ignore ", Some(Behavior::Ignore)),
            ("", None),
            ("stop", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text:?}");
        }
        let error = "stop".parse::<Behavior>().unwrap_err();
        assert_eq!(error, "\"stop\" is not continue, restart or ignore");
    }
}
