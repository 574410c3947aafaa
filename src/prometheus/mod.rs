//! Prometheus metrics: families, their series, and the page that a scraper reads.
//!
//! Implements the Prometheus text exposition format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), and OpenMetrics 1.0
//! (<https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>), save its
//! `_created` lines: Datadog's check would send each as a count of 1.7e9.
//!
//! Invariant: whatever the label values are, the page parses, stays bounded, and a histogram's
//! buckets add up to its count. Counters, gauges and histograms never wait, a summary only while it is read.
//!
//! ```
//! use testapi::prometheus::{Format, HistogramSpec, Registry};
//!
//! let registry = Registry::new();
//! let served = registry.counter("request_count", "Requests served.", &["method", "status"])?;
//! let latency = registry.histogram(
//!     "request_latency_seconds",
//!     "Time to serve.",
//!     HistogramSpec { labels: &[], bounds: &[0.005, 1.0] },
//! )?;
//! served.with(&["GET", "200"]).inc();
//! latency.with(&[]).observe(0.25);
//!
//! let mut page = Vec::new();
//! registry.render(Format::Text, &mut page);
//! assert_eq!(
//!     String::from_utf8(page).unwrap(),
//!     r#"# HELP request_count_total Requests served.
//! ## TYPE request_count_total counter
//! request_count_total{method="GET",status="200"} 1
//! ## HELP request_latency_seconds Time to serve.
//! ## TYPE request_latency_seconds histogram
//! request_latency_seconds_bucket{le="0.005"} 0
//! request_latency_seconds_bucket{le="1.0"} 1
//! request_latency_seconds_bucket{le="+Inf"} 1
//! request_latency_seconds_sum 0.25
//! request_latency_seconds_count 1
//! "#
//! );
//! # Ok::<(), testapi::prometheus::Error>(())
//! ```

mod bounds;
mod error;
mod exemplar;
mod family;
mod format;
mod histogram;
mod kind;
mod name;
mod number;
mod own;
pub mod process;
mod registry;
mod sketch;
mod stripes;
mod summary;
mod table;
mod text;
mod value;
mod words;

pub use bounds::{exponential_bounds, linear_bounds};
pub use error::Error;
pub use exemplar::Exemplar;
pub use family::{Family, Metric};
pub use format::Format;
pub use histogram::Histogram;
pub use registry::{
    CounterFamily, GaugeFamily, HistogramFamily, HistogramSpec, Options, Registry, Stats,
    SummaryFamily, SummarySpec,
};
pub use summary::Summary;
pub use value::{Counter, Gauge};
