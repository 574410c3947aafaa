//! The standard `process_*` series, read from Linux's /proc (`man 5 proc`).
//!
//! Names and units are those of Prometheus's client guidelines, "Process metrics".

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::value::Gauge;
use super::{Error, Registry};
use crate::clock::Clock;
use crate::worker::{self, Fill, FlushError, Guard, Job, Limits, Why};

/// Registers the series and refreshes them every five seconds, and once before this returns.
/// Where there is no /proc there are no series, and that is no error.
///
/// # Errors
/// When the system refuses another thread, or when the names are taken.
pub fn start(registry: &Registry, clock: Clock) -> io::Result<Guard> {
    let job = Refresh::new(registry, Path::new("/proc")).map_err(io::Error::other)?;
    let limits = Limits {
        queue_items_max: 1,
        flush_interval: Duration::from_secs(5),
        ..Limits::default()
    };
    let (_, guard) = worker::start("dd-metrics", limits, clock, job)?;
    Ok(guard)
}

struct Row {
    name: &'static str,
    help: &'static str,
    read: Read,
}

type Read = fn(&Facts) -> Option<f64>;

const ROWS: [Row; 7] = [
    Row {
        name: "process_cpu_seconds_total",
        help: "Total user and system CPU time spent in seconds.",
        read: |facts| {
            facts
                .stat
                .map(|stat| stat.cpu_ticks as f64 / TICKS_PER_SECOND)
        },
    },
    Row {
        name: "process_open_fds",
        help: "Number of open file descriptors.",
        read: |facts| facts.open_fds,
    },
    Row {
        name: "process_max_fds",
        help: "Maximum number of open file descriptors.",
        read: |facts| facts.max_fds,
    },
    Row {
        name: "process_virtual_memory_bytes",
        help: "Virtual memory size in bytes.",
        read: |facts| facts.stat.map(|stat| stat.virtual_bytes as f64),
    },
    Row {
        name: "process_resident_memory_bytes",
        help: "Resident memory size in bytes.",
        read: |facts| facts.resident_bytes,
    },
    Row {
        name: "process_start_time_seconds",
        help: "Start time of the process since unix epoch in seconds.",
        read: |facts| {
            let since_boot = facts.stat?.start_ticks as f64 / TICKS_PER_SECOND;
            Some(facts.boot_unix_s? + since_boot)
        },
    },
    Row {
        name: "process_threads",
        help: "Number of OS threads in the process.",
        read: |facts| facts.stat.map(|stat| stat.threads as f64),
    },
];

/// USER_HZ, which is 100 on every Linux that Rust's standard library runs on.
const TICKS_PER_SECOND: f64 = 100.0;

struct Refresh {
    source: Source,
    series: Vec<(Gauge, Read)>,
}

impl Refresh {
    /// Registers each row that can be read.
    fn new(registry: &Registry, root: &Path) -> Result<Refresh, Error> {
        let source = Source::new(root);
        let facts = source.read();
        let mut series = Vec::new();
        for row in ROWS {
            if let Some(value) = (row.read)(&facts) {
                let family = match row.name.ends_with("_total") {
                    true => registry.read_counter(row.name, row.help, &[])?,
                    false => registry.gauge(row.name, row.help, &[])?,
                };
                let gauge = family.with(&[]).clone();
                gauge.set(value);
                series.push((gauge, row.read));
            }
        }
        Ok(Refresh { source, series })
    }
}

impl Job for Refresh {
    type Item = std::convert::Infallible;

    fn take(&mut self, item: Self::Item) -> Fill {
        match item {}
    }

    fn flush(&mut self, _why: Why) -> Result<(), FlushError> {
        if self.series.is_empty() {
            return Ok(());
        }
        let facts = self.source.read();
        for (gauge, read) in &self.series {
            if let Some(value) = read(&facts) {
                gauge.set(value);
            }
        }
        Ok(())
    }
}

/// Where to read, and what never changes.
struct Source {
    process: PathBuf,
    boot_unix_s: Option<f64>,
}

/// One reading; what could not be read is missing.
struct Facts {
    stat: Option<Stat>,
    resident_bytes: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
    boot_unix_s: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
}

impl Source {
    fn new(root: &Path) -> Source {
        let stat = fs::read_to_string(root.join("stat"));
        Source {
            process: root.join("self"),
            boot_unix_s: stat.ok().and_then(|text| boot_unix_s(&text)),
        }
    }

    fn read(&self) -> Facts {
        let text = |name: &str| fs::read_to_string(self.process.join(name)).unwrap_or_default();
        // The listing holds one descriptor itself.
        let open_fds = fs::read_dir(self.process.join("fd"));
        Facts {
            stat: stat(&text("stat")),
            resident_bytes: resident_bytes(&text("status")),
            open_fds: open_fds
                .ok()
                .map(|list| list.count().saturating_sub(1) as f64),
            max_fds: max_fds(&text("limits")),
            boot_unix_s: self.boot_unix_s,
        }
    }
}

/// `/proc/self/stat`. The command in parentheses may hold spaces and parentheses of its own, so
/// fields are counted from the last one; the first behind it is field 3.
fn stat(text: &str) -> Option<Stat> {
    let (_, behind) = text.rsplit_once(')')?;
    let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)?.checked_add(field(15)?)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
    })
}

/// `VmRSS` of `/proc/self/status`: in kB, where stat counts pages of a size it does not tell.
fn resident_bytes(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kilobytes as f64 * 1_024.0)
}

/// The soft limit of `/proc/self/limits`; none when it is unlimited.
fn max_fds(text: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let soft: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(soft as f64)
}

/// `btime` of `/proc/stat`: when the machine was started.
fn boot_unix_s(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    let seconds: u64 = line.trim().parse().ok()?;
    Some(seconds as f64)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    const STAT: &str = "8591 (a (b) c) R 8553 8553 6422 0 -1 4194304 102 0 0 0 7 35 0 0 20 0 9 0 \
                        112492 3133440 418 18446744073709551615 1 1 0 0 0\n";

    #[test]
    fn stat_is_read_behind_the_last_parenthesis() {
        let good = Stat {
            cpu_ticks: 42,
            threads: 9,
            start_ticks: 112_492,
            virtual_bytes: 3_133_440,
        };
        let rows = [
            ("a command with spaces and parentheses", STAT, Some(good)),
            ("empty", "", None),
            ("no parenthesis", "1 a R", None),
            ("cut before field 23", &STAT[..STAT.len() - 60], None),
            (
                "not a number",
                "1 (a) R x x x x x x x x x x x x x x x x x x x x x",
                None,
            ),
        ];
        for (rule, text, facts) in rows {
            assert_eq!(stat(text), facts, "{rule}");
        }
    }

    #[test]
    fn lines_are_found_by_their_label() {
        type Parse = fn(&str) -> Option<f64>;
        let rows: [(&str, Parse, &str, Option<f64>); 10] = [
            (
                "kB are 1,024 bytes",
                resident_bytes,
                "VmHWM:\t 9 kB\nVmRSS:\t    12 kB\n",
                Some(12_288.0),
            ),
            (
                "a kernel thread has none",
                resident_bytes,
                "Name:\tx\n",
                None,
            ),
            ("another unit", resident_bytes, "VmRSS:\t 12 MB\n", None),
            (
                "the soft limit",
                max_fds,
                "Max open files   1024   4096   files\n",
                Some(1_024.0),
            ),
            (
                "unlimited",
                max_fds,
                "Max open files   unlimited   unlimited   files\n",
                None,
            ),
            ("cut", max_fds, "Max open files", None),
            ("empty", max_fds, "", None),
            (
                "btime",
                boot_unix_s,
                "cpu 1 2\nbtime 1700000000\nctxt 1\n",
                Some(1.7e9),
            ),
            ("not a number", boot_unix_s, "btime x\n", None),
            ("none", boot_unix_s, "", None),
        ];
        for (rule, parse, text, value) in rows {
            assert_eq!(parse(text), value, "{rule}");
        }
    }

    #[test]
    fn a_reading_becomes_seconds_and_bytes() {
        let facts = Facts {
            stat: stat(STAT),
            resident_bytes: None,
            open_fds: Some(3.0),
            max_fds: None,
            boot_unix_s: Some(1_700_000_000.0),
        };
        let values = ROWS.map(|row| (row.read)(&facts));
        let started = Some(1_700_001_124.92);
        let virtual_bytes = Some(3_133_440.0);
        assert_eq!(
            values,
            [
                Some(0.42),
                Some(3.0),
                None,
                virtual_bytes,
                None,
                started,
                Some(9.0)
            ]
        );
    }

    #[test]
    fn without_proc_there_are_no_series() {
        let registry = Registry::new();
        let mut job = Refresh::new(&registry, Path::new("/nowhere")).unwrap();
        assert_eq!(job.flush(Why::Tick), Ok(()));
        assert_eq!(registry.stats().families, 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_shows_itself_before_the_first_tick() {
        let registry = Registry::new();
        let guard = start(&registry, Clock::system()).unwrap();
        let mut page = Vec::new();
        registry.render(Format::Text, &mut page);
        let page = String::from_utf8(page).unwrap();
        assert!(
            page.contains("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ")
        );
        assert!(page.contains("# TYPE process_threads gauge\nprocess_threads "));
        assert!(!page.contains("process_resident_memory_bytes 0\n"));
        assert!(guard.stop(Duration::from_secs(10)).joined);
        assert!(
            start(&registry, Clock::system()).is_err(),
            "the names are taken"
        );
    }
}
