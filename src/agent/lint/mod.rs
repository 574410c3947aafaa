//! What is wrong or unwise in what a service exposes, and for whom.
//!
//! Invariant: pure; nothing is fetched, kept or changed, and any text gives a bounded list. Every rule stands in
//! one table with the public source that it comes from.
//!
//! Read here: a scraped page, in Prometheus text format 0.0.4 or OpenMetrics 1.0, and an upload of profiles.
//!
//! ```
//! use testapi::agent::decode::Format;
//! use testapi::agent::lint::{Page, lint_exposition};
//!
//! let text = "# HELP hits Hits.\n# TYPE hits counter\nhits_total 3\n";
//! let page = Page { text, format: Format::Text, content_type: "text/plain; version=0.0.4", cut: false, samples: None };
//! let found = lint_exposition(&page);
//! let shown: Vec<_> = found.findings.iter().map(|f| (f.line, f.rule, f.weight.word(), &*f.what)).collect();
//! assert_eq!(shown, [(2, "counter-type-name", "loses", "TYPE `hits`, sample `hits_total`")]);
//! ```

mod exposition;
mod families;
mod finding;
mod histogram;
mod names;
mod profile;
mod rules;

pub use exposition::{Page, lint_exposition};
pub use finding::{Finding, Findings, Weight};
pub use profile::{ProfileUpload, lint_profile};
