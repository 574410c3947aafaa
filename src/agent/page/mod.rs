//! The page.

use super::view::{ErrorGroup, Logs, Metrics, Overview, PayloadRow, Query, Trace, Traces};
use crate::server::{Reply, Request};

/// What the pages show.
pub trait Views {
    /// The first page.
    fn overview(&self) -> Overview;
    /// The trace list.
    fn traces(&self, query: &Query) -> Traces;
    /// One opened trace.
    fn trace(&self, id: u64) -> Option<Trace>;
    /// The metrics page.
    fn metrics(&self) -> Metrics;
    /// The log page.
    fn logs(&self, query: &Query) -> Logs;
    /// The error page.
    fn errors(&self) -> Vec<ErrorGroup>;
    /// The payload list.
    fn payloads(&self, query: &Query) -> Vec<PayloadRow>;
    /// Where the agent listens.
    fn settings(&self) -> Settings;
}

/// Where the agent listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Address of the HTTP receiver.
    pub receiver: String,
    /// Address of the DogStatsD listener.
    pub dogstatsd: String,
    /// Address of the page.
    pub page: String,
    /// Log files that are followed.
    pub files: Vec<String>,
    /// Pages that are scraped.
    pub scrapes: Vec<String>,
    /// When the agent started.
    pub started_unix_us: u64,
}

/// Answers whatever is not the API.
pub fn render(agent_views: &dyn Views, request: &Request) -> Reply {
    let held = agent_views.overview().rail.traces;
    Reply::text(200, format!("{} {held}\n", request.path()))
}
