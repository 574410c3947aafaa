//! Everything at once, for as long as one likes: the API under load with its profiler at full rate, a local agent,
//! threads that come and go, stacks that are nearly full, calls of the system that wait, and signals of others; and
//! all of that started and stopped again and again. At the end every count of the same requests must agree, and
//! every sample must be accounted for. Prints one table; the exit code is 0 only when all holds.
//!
//!   storm [SECONDS]

mod round;
mod signals;
mod spans;
mod tally;
mod users;
mod weather;

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use tally::Tally;
use weather::Weather;

/// So long at least, so that every round has uploads.
const SECONDS_MIN: u64 = 6;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(15).max(SECONDS_MIN);
    if !is_signal_ignored() {
        return start_again(seconds);
    }
    let rounds = 3 + seconds / 60;
    let each = Duration::from_millis(1_000 * seconds / rounds);
    let started = Instant::now();
    let tally = Tally::default();
    let weather = Weather::start(&tally);
    for number in 0..rounds {
        if let Err(why) = round::run(number, each, &tally) {
            tally.fail(format!("round {number}: {why}"));
        }
        if number == 0 {
            tally.add("KiB of memory after the first round", resident_kib());
        }
    }
    weather.stop();
    tally.add("KiB of memory at the end", resident_kib());
    tally.add("seconds", started.elapsed().as_secs());
    let _ = io::stdout().write_all(tally.table().as_bytes());
    ExitCode::from(u8::from(!tally.holds()))
}

fn resident_kib() -> u64 {
    let number = said("VmRSS:").and_then(|text| text.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// What the kernel says of this process.
fn said(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_string())
}

/// A handler is in place only while something is profiled, and what comes at other times would end the process, as
/// is the kernel's rule for this signal. One that was ignored before is ignored again.
fn is_signal_ignored() -> bool {
    const SIGPROF_BIT: u64 = 1 << 26;
    let ignored = said("SigIgn:").and_then(|digits| u64::from_str_radix(&digits, 16).ok());
    ignored.is_some_and(|bits| bits & SIGPROF_BIT != 0)
}

/// This program in this one's place, with the signal ignored.
fn start_again(seconds: u64) -> ExitCode {
    let program = std::env::current_exe().unwrap_or_default();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' PROF && exec \"$0\" \"$1\""]);
    let error = shell.arg(program).arg(seconds.to_string()).exec();
    let _ = writeln!(io::stderr(), "storm: cannot start again: {error}");
    ExitCode::from(2)
}
