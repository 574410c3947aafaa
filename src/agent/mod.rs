//! The local agent: takes what a Datadog Agent takes, keeps it in memory, shows it.
//!
//! Invariant: no exporter is known here. Every wire format is read a second time, from its public
//! spec, so that each run of the demo is a round trip through two independent readings.
//!
//! Taken in: `/info` and `/v0.3`, `/v0.4`, `/v0.5/traces` of the Agent's trace API over HTTP,
//! DogStatsD v1.0 to 1.6 over UDP and Unix datagrams, log files by Datadog's reserved attributes,
//! Prometheus text 0.0.4 and OpenMetrics 1.0 by scraping, and profiles in pprof's format as `/profiling/v1/input` takes
//! them.
//!
//! ```
//! use std::net::UdpSocket;
//! use std::time::Duration;
//! use testapi::agent::{self, Options, page::Views};
//! use testapi::clock::Clock;
//!
//! let any = "127.0.0.1:0".to_string();
//! let options = Options {
//!     receiver_bind: any.clone(),
//!     dogstatsd_bind: Some(any.clone()),
//!     page_bind: any,
//!     ..Options::default()
//! };
//! let (agent, guard) = agent::start(options, Clock::system())?;
//! let to = guard.addresses().dogstatsd.unwrap();
//! UdpSocket::bind("127.0.0.1:0")?.send_to(b"visitors:ana|s\nvisitors:ben|s\n", to)?;
//! agent.settle(Duration::from_secs(5))?;
//! let row = &agent.metrics().rows[0];
//! assert_eq!((&*row.name, &*row.kind, row.points), ("visitors", "set", 2));
//! assert_eq!((&row.aggregates[..], &row.members[..]), (&[("distinct", 2.0)][..], &["ana".to_string(), "ben".to_string()][..]));
//! assert!(guard.stop(Duration::from_secs(5)).joined);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod api;
mod asking;
mod check;
mod counts;
pub mod decode;
pub mod lint;
mod listener;
mod metric_view;
mod options;
pub mod page;
mod profile_api;
mod profile_view;
mod queue;
mod raw;
mod raw_view;
mod receiver;
mod scrape;
mod start;
mod store;
mod tail;
mod trace_id;
pub mod view;

pub use asking::Agent;
pub use counts::Counts;
pub use options::{Addresses, Options, StartError, TailOptions};
pub use start::{Guard, Stopped, start};
pub use store::Bounds;
