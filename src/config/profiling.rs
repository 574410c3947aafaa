//! Settings of the profiler, and its options made from them.

use std::time::Duration;

use super::Settings;
use crate::http::Target;
use crate::profile;

/// Where one runs to see profiles, nobody waits a minute for them.
const DEMO_INTERVAL: Duration = Duration::from_secs(10);

const ALLOCATION: &str = "DD_PROFILING_ALLOCATION_ENABLED";

/// What the user said of profiles.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Profiling {
    pub(super) enabled: Option<bool>,
    pub(super) upload_interval: Option<Duration>,
    pub(super) agent: Option<Target>,
    /// Interval and Agent stand above.
    pub(super) options: profile::Options,
}

impl Profiling {
    fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }

    /// Names of settings that differ from what holds anyway.
    fn said(&self) -> impl Iterator<Item = &'static str> {
        let (said, usual) = (&self.options, profile::Options::default());
        let names = [
            (
                "DD_PROFILING_UPLOAD_INTERVAL",
                self.upload_interval.is_some(),
            ),
            ("DD_PROFILING_UPLOAD_TIMEOUT", said.timeout != usual.timeout),
            ("DD_PROFILING_URL", self.agent.is_some()),
            ("DD_PROFILING_OUTPUT_DIR", said.output_dir.is_some()),
            ("DD_PROFILING_TAGS", !said.tags.is_empty()),
            (
                "DD_PROFILING_CODE_HOTSPOTS_COLLECTION_ENABLED",
                said.hotspots != usual.hotspots,
            ),
            (
                "DD_PROFILING_ENDPOINT_COLLECTION_ENABLED",
                said.endpoints != usual.endpoints,
            ),
            (ALLOCATION, said.heap_every_bytes != usual.heap_every_bytes),
            ("TESTAPI_PROFILING_CPU_HZ", said.cpu_hz != usual.cpu_hz),
            ("TESTAPI_PROFILING_WALL_HZ", said.wall_hz != usual.wall_hz),
        ];
        names
            .into_iter()
            .filter(|(_, said)| *said)
            .map(|(name, _)| name)
    }

    /// Names of settings that mean nothing, each with what it wants.
    pub(super) fn in_vain(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.said().filter_map(|name| match self.is_on() {
            false => Some((name, "DD_PROFILING_ENABLED")),
            true if name == ALLOCATION && !cfg!(feature = "count-allocations") => {
                Some((name, "--features count-allocations when it is built"))
            }
            true => None,
        })
    }
}

impl Settings {
    /// How the service profiles itself, where somebody asked for that. Profiles go to DD_PROFILING_URL, or to
    /// the Agent of the traces.
    pub fn profile(&self) -> Option<profile::Options> {
        let Profiling {
            upload_interval,
            agent,
            options,
            ..
        } = &self.profiling;
        self.profiling.is_on().then(|| profile::Options {
            agent: agent.clone().unwrap_or_else(|| self.trace().agent),
            upload_interval: upload_interval.unwrap_or(options.upload_interval),
            ..options.clone()
        })
    }

    /// Profiles, and sends every ten seconds, except where the user said otherwise.
    #[must_use]
    pub fn with_profiling(mut self) -> Settings {
        self.profiling.enabled.get_or_insert(true);
        self.profiling.upload_interval.get_or_insert(DEMO_INTERVAL);
        self
    }
}
