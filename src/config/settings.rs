//! Typed values, and the rooms' own options made from them.

use std::path::PathBuf;
use std::time::Duration;

use crate::dogstatsd::{self, Address, Cardinality};
use crate::gunicorn;
use crate::http::Target;
use crate::identity::Identity;
use crate::log::{self, Level};
use crate::server;
use crate::trace;

/// What the user said, and the defaults of the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub(super) service: String,
    pub(super) env: String,
    pub(super) version: String,
    pub(super) hostname: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) external_env: Option<String>,
    pub(super) entity_id: Option<String>,
    pub(super) origin_detection: bool,
    pub(super) agent_host: Option<String>,
    pub(super) trace_port: Option<u16>,
    pub(super) trace_url: Option<Target>,
    pub(super) dogstatsd_url: Option<Address>,
    pub(super) dogstatsd_host: Option<String>,
    pub(super) dogstatsd_port: Option<u16>,
    pub(super) dogstatsd_socket: Option<PathBuf>,
    pub(super) trace_socket_exists: bool,
    pub(super) dogstatsd_socket_exists: bool,
    pub(super) dogstatsd: dogstatsd::Options,
    pub(super) trace: trace::Options,
    pub(super) log: log::Options,
    pub(super) statsd_host: Option<Address>,
    pub(super) gunicorn: gunicorn::Options,
    /// Whether log lines carry the ids of the active span.
    pub logs_injection: bool,
    /// Address of the API.
    pub bind: String,
    /// Threads of the API.
    pub workers: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            service: "testapi".to_string(),
            env: String::new(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            hostname: None,
            tags: Vec::new(),
            external_env: None,
            entity_id: None,
            origin_detection: true,
            agent_host: None,
            trace_port: None,
            trace_url: None,
            dogstatsd_url: None,
            dogstatsd_host: None,
            dogstatsd_port: None,
            dogstatsd_socket: None,
            trace_socket_exists: false,
            dogstatsd_socket_exists: false,
            dogstatsd: dogstatsd::Options::default(),
            trace: trace::Options::default(),
            log: log::Options {
                stdout: true,
                level_min: Level::Info,
                ..log::Options::default()
            },
            statsd_host: None,
            gunicorn: gunicorn::Options::default(),
            logs_injection: true,
            bind: "127.0.0.1:5000".to_string(),
            workers: std::thread::available_parallelism().map_or(4, |n| (n.get() * 2).max(4)),
        }
    }
}

/// Where Agents in containers put their sockets.
pub(super) const TRACE_SOCKET: &str = "/var/run/datadog/apm.socket";
pub(super) const DOGSTATSD_SOCKET: &str = "/var/run/datadog/dsd.socket";

impl Settings {
    /// Who this process says it is.
    pub fn identity(&self) -> Identity {
        let found = Identity::of_process(self.service.clone());
        let detected = self.origin_detection;
        let mut tags = self.tags.clone();
        // The Agent takes this tag as the pod's id and does not keep it.
        if let Some(id) = &self.entity_id {
            tags.push(("dd.internal.entity_id".to_string(), id.clone()));
        }
        Identity {
            env: self.env.clone(),
            version: self.version.clone(),
            hostname: self.hostname.clone().unwrap_or(found.hostname),
            tags,
            container_id: found.container_id.filter(|_| detected),
            entity_id: found.entity_id.filter(|_| detected),
            external_env: self.external_env.clone().filter(|_| detected),
            ..found
        }
    }

    /// DD_TRACE_AGENT_URL, then host and port, then the socket if it is there, then localhost:8126.
    pub fn trace(&self) -> trace::Options {
        let said = self.agent_host.is_some() || self.trace_port.is_some();
        let agent = match &self.trace_url {
            Some(url) => url.clone(),
            None if !said && self.trace_socket_exists => Target::Unix(TRACE_SOCKET.into()),
            None => Target::Tcp(self.agent_host(), self.trace_port.unwrap_or(8126)),
        };
        trace::Options {
            agent,
            ..self.trace.clone()
        }
    }

    /// DD_DOGSTATSD_URL, then host and port, then DD_DOGSTATSD_SOCKET, then the default socket if it
    /// is there, then localhost:8125.
    pub fn dogstatsd(&self) -> dogstatsd::Options {
        let host = self.dogstatsd_host.as_ref().or(self.agent_host.as_ref());
        let said = host.is_some() || self.dogstatsd_port.is_some();
        let found = self.dogstatsd_socket_exists;
        let default_socket = || found.then(|| DOGSTATSD_SOCKET.into());
        let socket = self.dogstatsd_socket.clone().or_else(default_socket);
        let address = match (&self.dogstatsd_url, socket) {
            (Some(url), _) => url.clone(),
            (None, Some(path)) if !said => Address::Unix(path),
            _ => Address::Udp(
                host.cloned().unwrap_or_else(|| "127.0.0.1".to_string()),
                self.dogstatsd_port.unwrap_or(8125),
            ),
        };
        dogstatsd::Options {
            address,
            ..self.dogstatsd.clone()
        }
    }

    /// The server's own metrics, where somebody said where to send them. Switching off the API's own
    /// DogStatsD leaves them alone.
    pub fn gunicorn(&self) -> Option<gunicorn::Options> {
        let address = self.statsd_host.clone()?;
        let statsd = dogstatsd::Options {
            address,
            enabled: true,
            ..self.dogstatsd.clone()
        };
        Some(gunicorn::Options {
            statsd,
            ..self.gunicorn.clone()
        })
    }

    /// Names of settings that were said and mean nothing, for want of TESTAPI_STATSD_HOST.
    pub fn in_vain(&self) -> Vec<&'static str> {
        let gunicorn::Options {
            prefix,
            tags,
            backlog,
            ..
        } = &self.gunicorn;
        let said = [
            ("TESTAPI_STATSD_PREFIX", !prefix.is_empty()),
            ("TESTAPI_DOGSTATSD_TAGS", !tags.is_empty()),
            ("TESTAPI_ENABLE_BACKLOG_METRIC", *backlog),
        ];
        let vain = said
            .into_iter()
            .filter(|(_, said)| *said && self.statsd_host.is_none());
        vain.map(|(name, _)| name).collect()
    }

    fn agent_host(&self) -> String {
        self.agent_host
            .clone()
            .unwrap_or_else(|| "127.0.0.1".to_string())
    }

    /// File, stdout and level of the log.
    pub fn log(&self) -> log::Options {
        self.log.clone()
    }

    /// Address and threads of the API.
    pub fn server(&self) -> server::Options {
        server::Options {
            name: "api",
            bind: self.bind.clone(),
            workers: self.workers,
        }
    }

    /// Sends everything to an Agent at these addresses, whatever was said before.
    #[must_use]
    pub fn with_agent(mut self, receiver: Target, dogstatsd: Address) -> Settings {
        self.trace_url = Some(receiver);
        self.dogstatsd_url = Some(dogstatsd);
        self
    }

    /// Writes the log to this file, and to stdout only where that is true.
    #[must_use]
    pub fn with_log(mut self, file: Option<PathBuf>, stdout: bool) -> Settings {
        self.log.file = file;
        self.log.stdout = stdout;
        self
    }

    /// The file the log goes to.
    pub fn log_file(&self) -> Option<&PathBuf> {
        self.log.file.as_ref()
    }

    /// DD_SERVICE, DD_ENV and DD_VERSION stand first in the table and win over tags of their keys.
    pub(super) fn add_tags(&mut self, tags: Vec<(String, String)>) {
        let known = |key: &str| ["service", "env", "version"].contains(&key);
        for (key, value) in tags {
            match key.as_str() {
                "env" if self.env.is_empty() => self.env = value,
                _ if known(&key) => {}
                _ => self.tags.push((key, value)),
            }
        }
    }

    pub(super) fn set_cardinality(&mut self, cardinality: Cardinality) {
        self.dogstatsd.cardinality = Some(cardinality);
    }

    pub(super) fn set_trace_interval(&mut self, interval: Duration) {
        self.trace.flush_interval = interval;
    }
}
