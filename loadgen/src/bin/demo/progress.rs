//! While it runs: one line.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use loadgen::stats::Seen;

use crate::table::grouped;

/// One line on stderr that renews itself on a terminal; elsewhere a line every ten seconds.
#[derive(Default)]
pub(crate) struct Progress {
    shown_at: u64,
    replies_before: u64,
    drawn: bool,
}

impl Progress {
    /// True once a second.
    pub(crate) fn show(&mut self, ran: Duration, seen: impl FnOnce() -> Seen) -> bool {
        let second = ran.as_secs();
        if second == self.shown_at {
            return false;
        }
        let seen = seen();
        let terminal = std::io::stderr().is_terminal();
        if terminal || second.is_multiple_of(10) {
            let passed = if terminal {
                second - self.shown_at
            } else {
                10.min(second)
            };
            let rate = (seen.replies - self.replies_before) / passed.max(1);
            self.replies_before = seen.replies;
            let line = format!(
                "{second:>4} s  {} requests  {}/s  p50 {}  p99 {}  {} without reply",
                grouped(seen.replies),
                grouped(rate),
                latency(seen.percentile_us(50.0)),
                latency(seen.percentile_us(99.0)),
                seen.failures,
            );
            let mut stderr = std::io::stderr();
            let _ = match terminal {
                true => write!(stderr, "\r\x1b[K{line}"),
                false => writeln!(stderr, "{line}"),
            };
            let _ = stderr.flush();
            self.drawn = terminal;
        }
        self.shown_at = second;
        true
    }

    pub(crate) fn end(&self) {
        if self.drawn {
            let _ = writeln!(std::io::stderr());
        }
    }
}

fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..100_000 => format!("{:.1} ms", us as f64 / 1_000.0),
        _ => format!("{} ms", us / 1_000),
    }
}
