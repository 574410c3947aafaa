//! What an agent is started with, and why it may not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::store::Bounds;
use crate::server;

/// What an agent listens to, follows and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Address of the HTTP receiver, `127.0.0.1:8126`.
    pub receiver_bind: String,
    /// Address of the DogStatsD listener, `127.0.0.1:8125`.
    pub dogstatsd_bind: Option<String>,
    /// Path of a Unix datagram socket for DogStatsD.
    pub dogstatsd_socket: Option<PathBuf>,
    /// Address of page and API, `127.0.0.1:8127`.
    pub page_bind: String,
    /// Threads of the receiver.
    pub workers: usize,
    /// Log files to follow.
    pub tail: Vec<TailOptions>,
    /// Pages in Prometheus text format or OpenMetrics to scrape, `http://127.0.0.1:5000/metrics`.
    pub scrape: Vec<String>,
    /// Time between two scrapes.
    pub scrape_interval: Duration,
    /// Namespace under which Datadog's OpenMetrics check is taken to send what is scraped (`namespace` of its
    /// configuration): the page shows these names.
    pub openmetrics_namespace: String,
    /// Host names, besides localhost, under which page and API may be asked for.
    pub hosts: Vec<String>,
    /// What `/info` names as the environment of those who name none.
    pub default_env: String,
    /// How much is held.
    pub bounds: Bounds,
}

/// One log file to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailOptions {
    /// Its path.
    pub path: PathBuf,
    /// Whether a file that is there when the agent starts is read from its beginning. One that
    /// comes later always is.
    pub from_start: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            receiver_bind: "127.0.0.1:8126".to_string(),
            dogstatsd_bind: Some("127.0.0.1:8125".to_string()),
            dogstatsd_socket: None,
            page_bind: "127.0.0.1:8127".to_string(),
            workers: 4,
            tail: Vec::new(),
            scrape: Vec::new(),
            scrape_interval: Duration::from_secs(5),
            openmetrics_namespace: "TESTAPI".to_string(),
            hosts: Vec::new(),
            default_env: "none".to_string(),
            bounds: Bounds::default(),
        }
    }
}

/// Addresses that are really bound; they tell the port where 0 was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Of the HTTP receiver.
    pub receiver: SocketAddr,
    /// Of the DogStatsD listener.
    pub dogstatsd: Option<SocketAddr>,
    /// Of the Unix datagram socket.
    pub dogstatsd_socket: Option<PathBuf>,
    /// Of page and API.
    pub page: SocketAddr,
}

/// Why an agent did not start. [`StartError::option`] names the option to change.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// An HTTP server did not start; names the option.
    Server(&'static str, server::StartError),
    /// A DogStatsD socket cannot be bound; names the option and the address.
    Listen(&'static str, String, io::Error),
    /// Not a page that can be scraped.
    Scrape(String),
    /// The system refused a thread.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Server(_, error) => error.fmt(f),
            StartError::Listen(_, address, error) => {
                write!(f, "cannot bind {address}: {error}")
            }
            StartError::Scrape(url) => {
                write!(f, "cannot scrape {url}: expected http://host:port/path")
            }
            StartError::Thread(error) => write!(f, "cannot start a thread of the agent: {error}"),
        }
    }
}

impl StartError {
    /// The field of [`Options`] that was in the way, where it was one.
    pub fn option(&self) -> Option<&'static str> {
        match self {
            StartError::Server(option, _) | StartError::Listen(option, ..) => Some(option),
            StartError::Scrape(_) => Some("scrape"),
            StartError::Thread(_) => None,
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Server(_, error) => Some(error),
            StartError::Listen(_, _, error) | StartError::Thread(error) => Some(error),
            StartError::Scrape(_) => None,
        }
    }
}
