//! Where the pages take their values from.

use crate::agent::view::{
    ErrorGroup, Flame, Logs, Metrics, Overview, PayloadRow, ProfileQuery, Profiles, Query, RawPage,
    Trace, Traces, Which,
};

/// Gives each page its values, as they stand now.
pub trait Views: Send + Sync {
    /// The first page, and the rail of every page.
    fn overview(&self) -> Overview;
    /// The trace list.
    fn traces(&self, query: &Query) -> Traces;
    /// One trace by the low 64 bits of its id.
    fn trace(&self, id: u64) -> Option<Trace>;
    /// Every context and series.
    fn metrics(&self) -> Metrics;
    /// Those that are asked for, each with how its figures came about.
    fn explain(&self, which: &Which) -> Metrics;
    /// The last page of one scraped address, or of the first where none is named.
    fn raw_page(&self, url: &str) -> Option<RawPage>;
    /// The newest log lines that match.
    fn logs(&self, query: &Query) -> Logs;
    /// Every issue, most frequent first.
    fn errors(&self) -> Vec<ErrorGroup>;
    /// The newest payloads that match, newest first.
    fn payloads(&self, query: &Query) -> Vec<PayloadRow>;
    /// Every upload of profiles that is held.
    fn profiles(&self) -> Profiles;
    /// The samples that are asked for, as a flame graph; nothing where an upload that is named is not held.
    fn flame(&self, query: &ProfileQuery) -> Option<Flame>;
    /// Where the agent listens and reads.
    fn settings(&self) -> Settings;
}

/// Where the agent listens and reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `127.0.0.1:8126`: traces over HTTP.
    pub receiver: String,
    /// `127.0.0.1:8125`: datagrams.
    pub dogstatsd: String,
    /// `127.0.0.1:8127`: this page.
    pub page: String,
    /// Log files that are followed.
    pub files: Vec<String>,
    /// Addresses that are scraped.
    pub scrapes: Vec<String>,
    /// Namespace under which Datadog's OpenMetrics check is taken to send what is scraped.
    pub openmetrics_namespace: String,
    /// When the agent started.
    pub started_unix_us: u64,
}
