//! Typed values, and the rooms' own options made from them.

use std::path::PathBuf;

use super::Problem;
use super::profiling::Profiling;
use crate::dogstatsd::{self, Address, Cardinality};
use crate::gunicorn;
use crate::http::Target;
use crate::identity::Identity;
use crate::log::{self, Level};
use crate::server;
use crate::trace::web::{QueryTag, repository_url};
use crate::trace::{self, SpanRule};

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
    pub(super) profiling: Profiling,
    pub(super) statsd_host: Option<Address>,
    pub(super) gunicorn: gunicorn::Options,
    pub(super) partial_flush: bool,
    pub(super) partial_flush_spans: usize,
    pub(super) query: Query,
    pub(super) report_hostname: bool,
    pub(super) span_rules_file: Option<PathBuf>,
    pub(super) service_said: bool,
    pub(super) version_said: bool,
    pub(super) log_level_said: bool,
    pub(super) debug: bool,
    /// What is wrong with a part of a value whose rest was taken.
    pub(super) notes: Vec<(&'static str, String)>,
    /// What the user said that was not taken; the start-up line repeats it.
    pub problems: Vec<Problem>,
    /// Whether log lines tell all of a trace id, or the lower half.
    pub wide_log_ids: bool,
    /// Whether the tracer says at the start what holds.
    pub startup_logs: bool,
    /// Lowest level at which the tracer tells of itself.
    pub tracer_level: Level,
    /// Whether the tracer counts what it does, over DogStatsD.
    pub health_metrics: bool,
    /// Whether log lines carry the ids of the active span.
    pub logs_injection: bool,
    /// Series that one Prometheus family may hold.
    pub series_max: usize,
    /// Address of the API.
    pub bind: String,
    /// Threads of the API.
    pub workers: usize,
}

/// What `http.url` is to hold of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) kept: bool,
    pub(super) redacted: bool,
    pub(super) only: Vec<String>,
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
            profiling: Profiling::default(),
            statsd_host: None,
            gunicorn: gunicorn::Options::default(),
            partial_flush: true,
            partial_flush_spans: 300,
            query: Query {
                kept: true,
                redacted: true,
                only: Vec::new(),
            },
            report_hostname: false,
            span_rules_file: None,
            service_said: false,
            version_said: false,
            log_level_said: false,
            debug: false,
            notes: Vec::new(),
            problems: Vec::new(),
            wide_log_ids: true,
            startup_logs: true,
            tracer_level: Level::Info,
            health_metrics: true,
            logs_injection: true,
            series_max: 2_000,
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
        let mut options = trace::Options {
            agent,
            ..self.trace.clone()
        };
        let spans = u32::try_from(self.partial_flush_spans).unwrap_or(u32::MAX);
        options.spans.partial_flush_spans = self.partial_flush.then_some(spans);
        options.web.query = self.query_tag();
        if self.report_hostname {
            options.spans.hostname = self.identity().hostname;
        }
        let tag = |key: &str| {
            self.tags
                .iter()
                .find(|(k, _)| k == key)
                .map(|(_, value)| value)
        };
        let git = &mut options.spans;
        if let Some(url) = tag("git.repository_url").filter(|_| git.repository_url.is_empty()) {
            git.repository_url = repository_url(url);
        }
        if let Some(sha) = tag("git.commit.sha").filter(|_| git.commit_sha.is_empty()) {
            git.commit_sha.clone_from(sha);
        }
        options
    }

    fn query_tag(&self) -> QueryTag {
        match &self.query {
            Query { kept: false, .. } => QueryTag::None,
            Query { only, .. } if !only.is_empty() => QueryTag::Only(only.clone()),
            Query { redacted: true, .. } => QueryTag::Redacted,
            Query { .. } => QueryTag::AsIs,
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

    /// Names of settings that were said and mean nothing, each with the setting that it wants.
    pub fn in_vain(&self) -> Vec<(&'static str, &'static str)> {
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
        let of_gunicorn = vain.map(|(name, _)| (name, "TESTAPI_STATSD_HOST"));
        let of_profiles = self.profiling.in_vain();
        of_gunicorn.chain(of_profiles).collect()
    }

    fn agent_host(&self) -> String {
        self.agent_host
            .clone()
            .unwrap_or_else(|| "127.0.0.1".to_string())
    }

    /// File, stdout and level of the log.
    pub fn log(&self) -> log::Options {
        let mut options = self.log.clone();
        if self.debug && !self.log_level_said {
            options.level_min = Level::Debug;
        }
        options
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
                "service" if !self.service_said => self.service = value,
                "version" if !self.version_said => self.version = value,
                _ if known(&key) => {}
                _ => self.tags.push((key, value)),
            }
        }
    }

    pub(super) fn set_cardinality(&mut self, cardinality: Cardinality) {
        self.dogstatsd.cardinality = Some(cardinality);
    }

    pub(super) fn note(&mut self, name: &'static str, problems: Vec<String>) {
        self.notes
            .extend(problems.into_iter().map(|problem| (name, problem)));
    }

    pub(super) fn say_span_rules(&mut self, name: &'static str, json: &str) {
        let (rules, problems) = SpanRule::list(json);
        self.trace.sampling.span_rules = rules;
        self.note(name, problems);
    }

    /// The log follows, unless its own level was said.
    pub(super) fn set_debug(&mut self, is_on: bool) {
        self.debug = is_on;
        if is_on {
            self.tracer_level = Level::Debug;
        }
    }

    /// Whether the tracer tells what it sends.
    pub fn is_debug(&self) -> bool {
        self.debug
    }
}
