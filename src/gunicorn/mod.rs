//! The server's own metrics under the names that gunicorn gives them, so that what is made for
//! gunicorn shows them: Datadog's Gunicorn integration and its dashboard first of all.
//!
//! Invariant: nothing is sent a request. Counts and times go through a DogStatsD client of their own,
//! which adds them up; the pool is looked at once a second, and told again in every window, so that no
//! gauge goes stale.
//!
//! Spec: gunicorn's `instrument/statsd.py` for names and types, `gunicorn/metadata.csv` of Datadog's
//! integrations-core for the tag `state` of the workers.
//!
//! ```
//! use std::net::UdpSocket;
//! use std::time::Duration;
//! use testapi::clock::Clock;
//! use testapi::gunicorn::{self, Options, Severity};
//! use testapi::identity::Identity;
//!
//! let agent = UdpSocket::bind("127.0.0.1:0")?;
//! let mut options = Options {
//!     prefix: "shop".parse().unwrap(),
//!     tags: "team:a".parse().unwrap(),
//!     ..Options::default()
//! };
//! options.statsd.address = agent.local_addr()?.to_string().parse().unwrap();
//! let (metrics, guard) = gunicorn::start(options, &Identity::default(), Clock::system()).unwrap();
//!
//! metrics.request(200, Duration::from_micros(1_500));
//! metrics.request(404, Duration::from_millis(2));
//! metrics.logged(Severity::Warning);
//! metrics.flush(Duration::from_secs(5)).unwrap();
//!
//! let mut datagram = [0; 8_192];
//! let bytes = agent.recv(&mut datagram)?;
//! let text = String::from_utf8_lossy(&datagram[..bytes]);
//! let mut lines: Vec<&str> = text.lines().collect();
//! lines.sort_unstable();
//! assert_eq!(
//!     lines,
//!     [
//!         "shop.gunicorn.log.warning:1|c|#team:a",
//!         "shop.gunicorn.request.duration:1.5:2|ms|#team:a",
//!         "shop.gunicorn.request.status.200:1|c|#team:a",
//!         "shop.gunicorn.request.status.404:1|c|#team:a",
//!         "shop.gunicorn.requests:2|c|#team:a",
//!     ]
//! );
//! assert!(guard.stop(Duration::from_secs(2)).flushed);
//! # Ok::<(), std::io::Error>(())
//! ```

mod backlog;
mod metrics;
mod options;
mod pool;

pub use backlog::{Backlog, Unreadable};
pub use metrics::{Error, Metrics, Severity, start};
pub use options::{Options, Prefix, Tags};
pub use pool::Workers;
