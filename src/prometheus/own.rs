//! What the exposition says of itself.

use std::time::Duration;

use super::Error;
use super::family::Expose;
use super::registry::{GaugeFamily, Registry, SummarySpec};
use super::summary::Summary;
use super::value::Gauge;

/// Series about the page and the registry behind it.
pub(super) struct Own {
    duration: Summary,
    bytes: Gauge,
    series: Gauge,
    refused: GaugeFamily,
    ignored: Gauge,
}

impl Own {
    pub(super) fn register(registry: &Registry) -> Result<Own, Error> {
        let spec = SummarySpec {
            labels: &[],
            quantiles: &[0.5, 0.99],
        };
        let duration = registry.summary(
            "exposition_duration_seconds",
            "Time to write a page of metrics.",
            spec,
        )?;
        let gauge = |name, help| Ok(registry.gauge(name, help, &[])?.with(&[]).clone());
        Ok(Own {
            duration: duration.with(&[]).clone(),
            bytes: gauge(
                "exposition_size_bytes",
                "Size of the last page of metrics, not compressed.",
            )?,
            series: gauge("exposition_series", "Series of all families.")?,
            refused: registry.read_counter(
                "exposition_series_refused",
                "Look-ups answered with the overflow series of a full family.",
                &["family"],
            )?,
            ignored: registry
                .read_counter(
                    "exposition_observations_ignored",
                    "Observations that were not finite.",
                    &[],
                )?
                .with(&[])
                .clone(),
        })
    }

    /// Reads what the page is about to show.
    pub(super) fn look<'a>(&self, families: impl Iterator<Item = &'a dyn Expose> + Clone) {
        let mut ignored = 0;
        for family in families.clone() {
            let counts = family.count();
            ignored += counts.ignored;
            if counts.refused > 0 {
                let refused = self.refused.with(&[family.name()]);
                refused.rise_to(counts.refused as f64);
            }
        }
        self.ignored.rise_to(ignored as f64);
        // Only now: a first refusal has made a series.
        let series: u64 = families.map(|family| family.count().series).sum();
        self.series.set(series as f64);
    }

    /// What the next page shows of this one.
    pub(super) fn note(&self, took: Duration, bytes: usize) {
        self.duration.observe(took.as_secs_f64());
        self.bytes.set(bytes as f64);
    }
}
