//! What is known of the Agent, and when to ask it again.

use std::time::Duration;

use super::agent_info::{self, AgentInfo};
use super::joint::Joint;
use super::options::Options;
use crate::http::{Call, Client, Error};

/// Between two looks at `/info` while nothing seems to have changed.
const INTERVAL_NS: u64 = 300_000_000_000;
/// After a look that failed.
const RETRY_NS: u64 = 30_000_000_000;
/// Shorter payloads than this are not worth their heads.
const PAYLOAD_BYTES_MIN: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Contact {
    /// Longest payload by our own settings.
    ours_bytes_max: usize,
    payload_bytes_max: usize,
    due_ns: u64,
    /// The Agent's hash of its `/info`; told with every answer.
    state: String,
    info: Option<AgentInfo>,
}

impl Contact {
    pub(super) fn new(options: &Options) -> Contact {
        let ours_bytes_max = options.payload_bytes_max();
        Contact {
            ours_bytes_max,
            payload_bytes_max: ours_bytes_max,
            due_ns: 0,
            state: String::new(),
            info: None,
        }
    }

    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.due_ns
    }

    /// Longest payload that may be sent now.
    pub(super) fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max
    }

    /// Asks for `/info`. An Agent too old to have it is asked again all the same: it may be replaced.
    pub(super) fn ask(
        &mut self,
        client: &mut Client,
        timeout: Duration,
        now_ns: u64,
    ) -> Result<(), Error> {
        let call = Call {
            method: "GET",
            path: "/info",
            headers: &[],
            body: &[],
        };
        let outcome = client.exchange(&call, timeout);
        let wait_ns = if outcome.is_ok() {
            INTERVAL_NS
        } else {
            RETRY_NS
        };
        self.due_ns = now_ns.saturating_add(wait_ns);
        let response = outcome?;
        let is_info = response.status == 200;
        self.info = is_info.then(|| agent_info::read(&response.body)).flatten();
        // The Agent tells it with its answers to payloads, and not here; others may.
        if let Some(state) = response.header("Datadog-Agent-State") {
            self.state = state.to_string();
        }
        self.payload_bytes_max = self.allowed();
        Ok(())
    }

    /// A fifth below what the Agent takes, and what we may.
    fn allowed(&self) -> usize {
        let told = self.info.as_ref().and_then(|info| info.request_bytes_max);
        let theirs = told.map_or(usize::MAX, |bytes| bytes - bytes / 5);
        theirs.min(self.ours_bytes_max)
    }

    /// The Agent waited in vain for a payload: the next are half as long.
    pub(super) fn take_less(&mut self) {
        let half = self.payload_bytes_max / 2;
        self.payload_bytes_max = half.max(PAYLOAD_BYTES_MIN.min(self.payload_bytes_max));
    }

    /// Something is not as it was.
    pub(super) fn ask_again(&mut self) {
        self.due_ns = 0;
    }

    pub(super) fn see_state(&mut self, state: &str) {
        if self.state != state {
            let is_first = self.state.is_empty();
            self.state = state.to_string();
            if !is_first {
                self.ask_again();
            }
        }
    }

    /// Passes on what concerns those who make spans.
    pub(super) fn tell(&self, joint: &Joint) {
        joint.told.set_payload_bytes_max(self.allowed());
        joint.told.set_info(self.info.clone());
    }
}
