//! How a run ended.

use std::fmt;

use crate::worker::{Ledger, Stopped};

/// What was left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Whether every request in flight was answered in time.
    pub served: bool,
    /// Requests counted, timed, traced and logged since the start.
    pub observed: u64,
    /// Each exporter's thread and how it ended.
    pub workers: Vec<(&'static str, Stopped)>,
    /// Each exporter's ledger after that.
    pub ledgers: Vec<(&'static str, Ledger)>,
}

impl Report {
    /// Whether all telemetry of all requests left the process.
    pub fn is_clean(&self) -> bool {
        let ended = self
            .workers
            .iter()
            .all(|(_, stopped)| stopped.left == 0 && stopped.joined);
        self.served && ended && self.ledgers.iter().all(|(_, ledger)| lost(ledger) == 0)
    }
}

/// Refused input and samples that were not drawn are no losses; nor is a look at a stack for which there was no
/// room, for its CPU time goes to the next.
fn lost(ledger: &Ledger) -> u64 {
    let no_loss = ["invalid", "sampled", "disabled", "ring_full"];
    let dropped = ledger
        .dropped
        .iter()
        .filter(|(reason, _)| !no_loss.contains(reason));
    dropped.map(|(_, count)| count).sum::<u64>() + ledger.pending
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(f, "stopped: everything was sent");
        }
        let mut parts = Vec::new();
        if !self.served {
            parts.push("some requests were still running".to_string());
        }
        for (name, ledger) in self.ledgers.iter().filter(|(_, ledger)| lost(ledger) > 0) {
            let mut part = format!("{name}: {} {} sent", ledger.sent, ledger.unit);
            for (reason, count) in ledger.dropped.iter().filter(|(_, count)| *count > 0) {
                part.push_str(&format!(", {count} {}", reason.replace('_', " ")));
            }
            if ledger.pending > 0 {
                part.push_str(&format!(", {} left", ledger.pending));
            }
            parts.push(part);
        }
        write!(f, "stopped, but {}", parts.join("; "))?;
        Ok(())
    }
}
