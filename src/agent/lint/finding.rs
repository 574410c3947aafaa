//! One finding, and a bounded list of them.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

use crate::agent::decode::Format;

/// Findings of one page, and of one rule among them.
const FINDINGS_MAX: usize = 500;
const FINDINGS_OF_A_RULE_MAX: usize = 20;
/// What a finding quotes of the page.
const QUOTED_BYTES_MAX: usize = 80;

/// What a finding costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The reader it names refuses the page.
    Fails,
    /// Something that is exposed does not arrive, or arrives wrong.
    Loses,
    /// All arrives; a reader would rather have it otherwise.
    Advice,
}

impl Weight {
    /// `fails`, `loses`, `advice`.
    pub fn word(self) -> &'static str {
        match self {
            Weight::Fails => "fails",
            Weight::Loses => "loses",
            Weight::Advice => "advice",
        }
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// One rule: its row in the table.
#[derive(Debug)]
pub(super) struct Rule {
    /// Short, stable.
    pub(super) name: &'static str,
    /// In 0.0.4, and in OpenMetrics.
    pub(super) weights: [Weight; 2],
    /// Who minds.
    pub(super) whom: &'static str,
    /// What comes of it.
    pub(super) why: &'static str,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Counted from 1; 0 is the page as a whole.
    pub line: usize,
    /// The rule's name.
    pub rule: &'static str,
    /// What it costs.
    pub weight: Weight,
    /// What is wrong; quotes the page.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// To whom: `Prometheus`, `Datadog's check`, `OpenMetrics`, `people`.
    pub whom: &'static str,
}

/// What a linter found, in the order of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// At most 500, of one rule at most 20.
    pub findings: Vec<Finding>,
    /// Those over these bounds.
    pub left_out: u64,
}

/// Collects findings of a page in one format.
pub(super) struct Collected {
    format: Format,
    found: Findings,
    of_rule: HashMap<&'static str, usize>,
}

impl Collected {
    pub(super) fn new(format: Format) -> Collected {
        Collected {
            format,
            found: Findings::default(),
            of_rule: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, line: usize, rule: &Rule, what: String) {
        let of_rule = self.of_rule.entry(rule.name).or_default();
        *of_rule += 1;
        if *of_rule > FINDINGS_OF_A_RULE_MAX || self.found.findings.len() >= FINDINGS_MAX {
            self.found.left_out += 1;
            return;
        }
        let [text, open_metrics] = rule.weights;
        self.found.findings.push(Finding {
            line,
            rule: rule.name,
            weight: match self.format {
                Format::Text => text,
                Format::OpenMetrics => open_metrics,
            },
            what,
            why: rule.why,
            whom: rule.whom,
        });
    }

    /// Whether anything was found in this line that spoils the page.
    pub(super) fn spoils(&self, line: usize) -> bool {
        let mut found = self.found.findings.iter();
        found.any(|finding| finding.line == line && finding.weight == Weight::Fails)
    }

    pub(super) fn sorted(mut self) -> Findings {
        self.found.findings.sort_by_key(|finding| finding.line);
        self.found
    }
}

/// Between accents, and short.
pub(super) fn quoted(text: &str) -> String {
    match text.len() {
        0..=QUOTED_BYTES_MAX => format!("`{text}`"),
        _ => format!(
            "`{}\u{2026}`",
            &text[..text.floor_char_boundary(QUOTED_BYTES_MAX)]
        ),
    }
}
