//! How the exporters stand, on the page of metrics: what they were handed and where it went.

use super::Services;
use crate::log::Level;
use crate::prometheus::{Error, Gauge, GaugeFamily, Registry};

/// Families that are read from the exporters' ledgers just before a page is written.
#[derive(Clone, Debug)]
pub struct ExporterFamilies {
    /// `telemetry_items_total{pipeline,outcome}`: sent, or the reason of a drop.
    items: GaugeFamily,
    /// `telemetry_items_pending{pipeline}`.
    pending: GaugeFamily,
    /// `telemetry_flushes_failed_total{pipeline}`.
    flushes_failed: GaugeFamily,
    /// `log_lines_dropped_total{status}`.
    lines_dropped: GaugeFamily,
    /// `log_file_rotations_total`.
    rotations: Gauge,
}

impl ExporterFamilies {
    /// Registers the families.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<ExporterFamilies, Error> {
        Ok(ExporterFamilies {
            items: registry.read_counter(
                "telemetry_items",
                "Spans, samples and lines by what became of them.",
                &["pipeline", "outcome"],
            )?,
            pending: registry.gauge(
                "telemetry_items_pending",
                "Spans, samples and lines that wait.",
                &["pipeline"],
            )?,
            flushes_failed: registry.read_counter(
                "telemetry_flushes_failed",
                "Times that an exporter could not send what it held.",
                &["pipeline"],
            )?,
            lines_dropped: registry.read_counter(
                "log_lines_dropped",
                "Log lines that were dropped, by their level.",
                &["status"],
            )?,
            rotations: registry
                .read_counter(
                    "log_file_rotations",
                    "Times that the log file was put aside.",
                    &[],
                )?
                .with(&[])
                .clone(),
        })
    }

    /// Reads what the page is about to show.
    pub(super) fn look(&self, services: &Services) {
        for state in services.states() {
            let (name, ledger) = (state.name, state.ledger);
            let outcomes = [("sent", ledger.sent)].into_iter().chain(ledger.dropped);
            for (outcome, count) in outcomes {
                self.items.with(&[name, outcome]).rise_to(count as f64);
            }
            self.pending.with(&[name]).set(ledger.pending as f64);
            let failed = state.stats.flush_failed as f64;
            self.flushes_failed.with(&[name]).rise_to(failed);
        }
        let stats = services.logger.stats();
        let dropped = stats.dropped();
        for level in Level::ALL {
            let count = dropped.of(level) as f64;
            self.lines_dropped.with(&[level.status()]).rise_to(count);
        }
        self.rotations.rise_to(stats.file_rotated as f64);
    }
}
