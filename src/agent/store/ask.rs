//! What readers ask of the store.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::apply::{Store, locked};
use super::flame::flame;
use super::log_row::Reader;
use super::pages::Held;
use super::payloads::Way;
use super::traces::{open, span_ids};
use crate::agent::view::{self, PayloadRow, Query, Which};

impl Store {
    pub(crate) fn list_traces(&self, query: &Query) -> view::Traces {
        locked(&self.traces).list(query)
    }

    pub(crate) fn trace(&self, id: u64, reader: Reader) -> Option<view::Trace> {
        let (row, chunks) = locked(&self.traces).chunks(id)?;
        let mut trace = open(row, &chunks);
        let held = locked(&self.logs).held();
        (trace.logs, trace.logs_left_out) = held.of_trace(id, reader);
        trace.profile_samples = locked(&self.profiles).samples_of(&span_ids(&chunks));
        Some(trace)
    }

    /// Those of the traces that are held.
    pub(crate) fn traces_held(&self, ids: &[u64]) -> HashSet<u64> {
        let traces = locked(&self.traces);
        ids.iter().copied().filter(|id| traces.holds(*id)).collect()
    }

    pub(crate) fn metrics(&self, now_unix_us: u64) -> view::Metrics {
        let metrics = locked(&self.metrics).view(now_unix_us);
        view::Metrics {
            failing: locked(&self.pages).failing(),
            ..metrics
        }
    }

    pub(crate) fn explain(&self, now_unix_us: u64, which: &Which) -> view::Metrics {
        let metrics = locked(&self.metrics).explain(now_unix_us, which);
        view::Metrics {
            failing: locked(&self.pages).failing(),
            ..metrics
        }
    }

    /// One scraped address, or the first where none is named.
    pub(crate) fn page(&self, url: &str) -> Option<(Arc<str>, Held)> {
        locked(&self.pages).get(url)
    }

    pub(crate) fn list_logs(&self, query: &Query, reader: Reader) -> view::Logs {
        let held = locked(&self.logs).held();
        held.list(query, reader)
    }

    pub(crate) fn list_errors(&self) -> Vec<view::ErrorGroup> {
        locked(&self.errors).list()
    }

    pub(crate) fn list_payloads(&self, query: &Query) -> Vec<PayloadRow> {
        locked(&self.payloads).list(query)
    }

    pub(crate) fn list_profiles(&self) -> view::Profiles {
        locked(&self.profiles).list()
    }

    /// One attachment of an upload, as it came.
    pub(crate) fn attachment(&self, upload: u64, name: &str) -> Option<Vec<u8>> {
        let upload = locked(&self.profiles).get(upload)?;
        upload.attachment(name).map(<[u8]>::to_vec)
    }

    /// Nothing where an upload that is named is not held.
    pub(crate) fn flame(&self, query: &view::ProfileQuery) -> Option<view::Flame> {
        let asked = locked(&self.profiles).asked(query)?;
        let spans = (query.trace != 0).then(|| self.span_ids(query.trace));
        let mut flame = flame(&asked, query, spans.as_ref());
        let root = |share: &view::TraceShare| share.root_span_id.parse().ok();
        let roots: HashSet<u64> = flame.traces.iter().filter_map(root).collect();
        let traces = locked(&self.traces).of_entries(&roots);
        for share in &mut flame.traces {
            let found = root(share).and_then(|root| traces.get(&root));
            share.trace_id = found.map(u64::to_string).unwrap_or_default();
        }
        Some(flame)
    }

    fn span_ids(&self, trace: u64) -> HashSet<u64> {
        let held = locked(&self.traces).chunks(trace);
        held.map_or_else(HashSet::new, |(_, chunks)| span_ids(&chunks))
    }

    pub(crate) fn services(&self, now_unix_us: u64) -> Vec<view::Service> {
        locked(&self.traces).services(now_unix_us)
    }

    pub(crate) fn server_spans(&self) -> BTreeMap<String, u64> {
        locked(&self.traces).server_spans().into_iter().collect()
    }

    pub(crate) fn access_lines(&self) -> u64 {
        locked(&self.logs).access_lines()
    }

    /// Sums by name: DogStatsD counts since the start; Prometheus counters over restarts of what is scraped, other
    /// samples as of the last scrapes.
    pub(crate) fn metric_sums(&self) -> [BTreeMap<String, f64>; 2] {
        let metrics = locked(&self.metrics);
        let mut sums = [BTreeMap::new(), BTreeMap::new()];
        for (name, sum) in metrics.contexts.sums() {
            sums[0].insert(name.to_string(), sum);
        }
        for (name, sum) in metrics.series.sums() {
            *sums[1].entry(name.to_string()).or_insert(0.0) += sum;
        }
        sums
    }

    pub(crate) fn rail(&self) -> view::Rail {
        view::Rail {
            traces: locked(&self.traces).held(),
            metrics: locked(&self.metrics).count(),
            logs: locked(&self.logs).count(),
            errors: locked(&self.errors).issues(),
            profiles: locked(&self.profiles).held(),
            payload_findings: locked(&self.payloads).findings(),
        }
    }

    pub(crate) fn pipelines(&self, now_unix_us: u64) -> Vec<view::Pipeline> {
        let (samples, series) = locked(&self.metrics).evicted();
        let held_back = |way| match way {
            Way::Traces => locked(&self.traces).evicted_spans(),
            Way::Dogstatsd => samples,
            Way::Prometheus => series,
            Way::Logs => locked(&self.logs).evicted(),
            Way::Profiles => locked(&self.profiles).evicted_samples(),
        };
        Way::ALL
            .map(|way| {
                let dropped = self.dropped[way as usize].load(Ordering::Relaxed);
                let evicted = held_back(way) + dropped;
                locked(&self.payloads).pipeline(way, evicted, now_unix_us)
            })
            .to_vec()
    }
}
