//! A DogStatsD client: samples, events and service checks, aggregated and sent as datagrams.
//!
//! Invariant: no caller ever waits, and every sample is accounted for: `offered = sent + dropped +
//! pending`, by reason. Whatever text comes in, one call never becomes two messages, loses a tag
//! or gives a line that the Agent cannot parse.
//!
//! Spec: Datadog's "DogStatsD datagram format and shell usage", protocol 1.0 to 1.6, over UDP, Unix
//! datagram and Unix stream sockets.
//!
//! ```
//! use std::net::UdpSocket;
//! use std::time::Duration;
//! use testapi::clock::Clock;
//! use testapi::dogstatsd::{self, Address, Options};
//! use testapi::identity::Identity;
//!
//! let agent = UdpSocket::bind("127.0.0.1:0")?;
//! let port = agent.local_addr()?.port();
//! let options = Options {
//!     address: Address::Udp("127.0.0.1".into(), port),
//!     ..Options::default()
//! };
//! let identity = Identity { service: "shop".into(), env: "dev".into(), ..Identity::default() };
//! let (client, guard) = dogstatsd::start(options, &identity, Clock::system())?;
//!
//! let sales = client.count_handle("sales", &[("kind", "book")]).unwrap();
//! sales.add(1);
//! sales.add(2);
//! client.set("visitors", "ann", &[]).unwrap();
//! client.timing("checkout", Duration::from_micros(1_500), &[]).unwrap();
//! client.timing("checkout", Duration::from_millis(2), &[]).unwrap();
//! client.flush(Duration::from_secs(5)).unwrap();
//!
//! let mut datagram = [0; 8_192];
//! let bytes = agent.recv(&mut datagram)?;
//! assert_eq!(
//!     String::from_utf8_lossy(&datagram[..bytes]),
//!     "sales:3|c|#env:dev,kind:book,service:shop\n\
//!      checkout:1.5:2|ms|#env:dev,service:shop\n\
//!      visitors:ann|s|#env:dev,service:shop\n",
//! );
//! let ledger = client.ledger();
//! assert_eq!((ledger.offered, ledger.sent, ledger.pending), (5, 5, 0));
//! assert!(guard.stop(Duration::from_secs(2)).flushed);
//! # Ok::<(), std::io::Error>(())
//! ```

mod address;
mod aggregate;
mod clean;
mod client;
mod encode;
mod error;
mod event;
mod handle;
mod job;
mod known;
mod ledger;
mod name;
mod options;
mod pack;
#[cfg(test)]
mod reading;
mod reservoir;
mod sample;
mod series;
mod start;
mod stripes;
mod tags;
mod telemetry;
mod transport;
mod window;

pub use address::Address;
pub use client::Client;
pub use encode::Cardinality;
pub use error::Error;
pub use event::{Alert, Event, Priority, ServiceCheck, Status};
pub use handle::{CountHandle, DistributionHandle, GaugeHandle, HistogramHandle, TimingHandle};
pub use options::Options;
pub use sample::Sample;
pub use start::start;
