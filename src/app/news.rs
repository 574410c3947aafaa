//! What a person should be told while the API runs: what holds, whether an Agent answers, what was lost.

use std::collections::VecDeque;
use std::fmt;

use crate::api::Services;
use crate::config::Settings;
use crate::identity::Identity;
use crate::log::{Level, Record};
use crate::profile::{self, Profiler};
use crate::trace::startup::{StartUp, configuration, diagnostics};
use crate::trace::{self, AgentState, TraceCounts};

/// What a person should be told, and how bad it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How bad it is.
    pub level: Level,
    /// `logger.name` of the record that says the same.
    pub logger: &'static str,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Written to the log where it happens, and told to a person who asks.
pub(super) struct News {
    options: trace::Options,
    identity: Identity,
    dogstatsd: String,
    config_errors: Vec<String>,
    level_min: Level,
    startup_logs: bool,
    debug: bool,
    logs_injection: bool,
    profile: Option<profile::Options>,
    /// Nobody reads the log: what others have in it is told as well.
    no_log: bool,
    /// The log says already that the Agent is not there.
    diagnosed: bool,
    reachable: Option<bool>,
    counts: TraceCounts,
    untold: VecDeque<Notice>,
}

impl News {
    pub(super) fn new(settings: &Settings, identity: Identity) -> News {
        let log = settings.log();
        let dogstatsd = settings.dogstatsd();
        let config_errors = settings.problems.iter().map(ToString::to_string).collect();
        News {
            options: settings.trace(),
            identity,
            dogstatsd: match dogstatsd.enabled {
                true => dogstatsd.address.to_string(),
                false => String::new(),
            },
            config_errors,
            level_min: settings.tracer_level,
            startup_logs: settings.startup_logs,
            debug: settings.is_debug(),
            logs_injection: settings.logs_injection,
            profile: settings.profile(),
            diagnosed: false,
            no_log: log.file.is_none() && !log.stdout,
            reachable: None,
            counts: TraceCounts::default(),
            untold: VecDeque::new(),
        }
    }

    /// To the log, and to a person as soon as one asks.
    pub(super) fn tell(&mut self, services: &Services, level: Level, text: String) {
        say(services, "testapi", (level, &text));
        self.leave(level, "testapi", text);
    }

    /// The oldest that nobody was told.
    pub(super) fn next(&mut self, services: &Services) -> Option<Notice> {
        self.look(services);
        self.untold.pop_front()
    }

    /// What the tracer has to say by now.
    pub(super) fn look(&mut self, services: &Services) {
        let agent = services.tracer.agent();
        let reachable = match &agent {
            AgentState::Reachable(_) => Some(true),
            AgentState::Unreachable(_) => Some(false),
            _ => None,
        };
        let is_off = !services.tracer.is_enabled();
        if self.startup_logs && (reachable.is_some() || is_off) {
            self.say_what_holds(services, &agent);
        }
        if let Some(is_there) = reachable
            && self.reachable.replace(is_there) != reachable
        {
            self.tell_of_agent(services, &agent);
        }
        while let Some(notice) = services.profiler.as_ref().and_then(Profiler::notice) {
            self.tell(services, Level::Warn, format!("profiles: {notice}"));
        }
        while let Some(notice) = services.tracer.notice() {
            if self.level_min <= Level::Warn {
                self.tell(services, Level::Warn, format!("traces: {notice}"));
            }
        }
        if self.debug {
            self.say_what_was_sent(services);
        }
    }

    /// Once, when it is known whether the Agent is there; at the end of a run too short for that, too.
    pub(super) fn say_what_holds(&mut self, services: &Services, agent: &AgentState) {
        if !std::mem::take(&mut self.startup_logs) {
            return;
        }
        let more = StartUp {
            dogstatsd: &self.dogstatsd,
            debug: self.debug,
            logs_injection: self.logs_injection,
            profiling: self.profile.is_some(),
            hotspots: self
                .profile
                .as_ref()
                .is_some_and(|options| options.hotspots),
            endpoints: self
                .profile
                .as_ref()
                .is_some_and(|options| options.endpoints),
            config_errors: &self.config_errors,
        };
        let line = configuration(&self.options, &self.identity, (agent, &more));
        self.say_of_tracer(services, Level::Info, line);
        if let AgentState::Unreachable(error) = agent {
            self.say_of_tracer(services, Level::Warn, diagnostics(error));
            self.diagnosed = true;
        }
    }

    fn say_of_tracer(&mut self, services: &Services, level: Level, line: String) {
        say(services, "testapi.tracer", (level, &line));
        if self.no_log {
            self.leave(level, "testapi.tracer", line);
        }
    }

    fn leave(&mut self, level: Level, logger: &'static str, text: String) {
        self.untold.push_back(Notice {
            level,
            logger,
            text,
        });
    }

    fn tell_of_agent(&mut self, services: &Services, agent: &AgentState) {
        if let AgentState::Unreachable(error) = agent {
            let text = format!(
                "agent unreachable: {error}; requests are served all the same, telemetry is kept \
                 within its bounds and sent when an agent appears (DD_AGENT_HOST, DD_TRACE_AGENT_URL)"
            );
            match std::mem::take(&mut self.diagnosed) {
                true => self.leave(Level::Warn, "testapi", text),
                false => self.tell(services, Level::Warn, text),
            }
        } else {
            let text = format!("agent reachable: {}", self.options.agent);
            self.tell(services, Level::Info, text);
        }
    }

    fn say_what_was_sent(&mut self, services: &Services) {
        let now = services.tracer.counts();
        if now != self.counts {
            let more = |of: fn(&TraceCounts) -> u64| of(&now) - of(&self.counts);
            let text = format!(
                "{} spans finished, {} payloads sent with {} chunks in {} bytes, {} retries",
                more(|counts| counts.spans_finished),
                more(|counts| counts.payloads),
                more(|counts| counts.payload_chunks),
                more(|counts| counts.payload_bytes),
                more(|counts| counts.retries),
            );
            self.counts = now;
            say(services, "testapi.tracer", (Level::Debug, &text));
        }
    }
}

/// A record of the program's own.
pub(super) fn say(services: &Services, logger: &str, (level, message): (Level, &str)) {
    let record = Record {
        logger,
        thread: "main",
        ..Record::new(level, message)
    };
    services.log(&record);
}
