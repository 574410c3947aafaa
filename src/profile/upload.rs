//! The job of the `dd-profile` thread: a period to a profile, the profile to a file and to the Agent.
//!
//! What each answer asks for is dd-trace-go's way (`profiler/upload.go`): two attempts in all, the second after a
//! random wait, and only where the Agent could not be reached or had trouble of its own.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::counts::Counts;
use super::named::Work;
use super::options::Options;
use super::owed::Owed;
use super::period::{Period, Sample};
use super::pprof::{self, Labels};
use super::symbols::Symbols;
use super::told::Told;
use super::{event, headers, multipart, output};
use crate::clock::Clock;
use crate::http::{Call, Client, Error, Response};
use crate::identity::Identity;
use crate::worker::{Fill, FlushError, Job, Limits, Why};

/// Where the Agent takes profiles, from 7.20 on.
const PATH: &str = "/profiling/v1/input";
const TRIES_MAX: u32 = 2;
/// For one profile's names.
const NAMES_BUDGET: Duration = Duration::from_secs(2);
/// All of the last flush together, and of that the names.
const STOP_BUDGET: Duration = Duration::from_millis(1_000);
const STOP_NAMES_BUDGET: Duration = Duration::from_millis(500);
/// Periods that wait to be made into profiles; they come once a minute.
const PERIODS_MAX: usize = 2;

/// Bounds of the worker that this job is meant for: what waits is looked at four times a second.
pub(super) const LIMITS: Limits = Limits {
    queue_items_max: PERIODS_MAX,
    queue_bytes_max: 64 << 20,
    flush_interval: Duration::from_millis(250),
    linger: Duration::ZERO,
};

/// Figures of others about the profiler, for each event.
pub(super) type Figures = Box<dyn Fn() -> Vec<(&'static str, u64)> + Send>;

/// Takes periods; makes and sends a profile of each when it is flushed, and only then, for a flush says whether it
/// is the last and has little time.
pub(super) struct Uploader {
    options: Options,
    identity: Identity,
    clock: Clock,
    counts: Arc<Counts>,
    told: Arc<Told>,
    figures: Figures,
    give_back: fn(),
    end_ns: Arc<AtomicU64>,
    symbols: Symbols,
    headers: Vec<(&'static str, String)>,
    periods: VecDeque<Box<Period>>,
    waiting: Option<Upload>,
    seq: u64,
    files_failed: u64,
    is_unsupported_told: bool,
    is_nameless_told: bool,
}

/// One profile, ready to go.
struct Upload {
    content_type: String,
    body: Vec<u8>,
    owed: Owed,
    tries: u32,
    /// No next attempt before.
    due_ns: u64,
}

/// What one attempt came to.
enum Attempt {
    Taken,
    Refused(String),
    /// To be tried once more.
    Later(String),
}

/// Makes the job; it counts into `counts` and says nothing of the sampler, see [`Uploader::with_figures`].
pub(super) fn uploader(
    options: &Options,
    identity: &Identity,
    clock: Clock,
    counts: Arc<Counts>,
) -> Uploader {
    Uploader {
        headers: headers::of(identity),
        symbols: Symbols::new(clock.clone()),
        options: options.clone(),
        identity: identity.clone(),
        clock,
        counts,
        told: Arc::default(),
        figures: Box::new(Vec::new),
        give_back: || {},
        end_ns: Arc::new(AtomicU64::new(u64::MAX)),
        periods: VecDeque::new(),
        waiting: None,
        seq: 0,
        files_failed: 0,
        is_unsupported_told: false,
        is_nameless_told: false,
    }
}

impl Uploader {
    /// Adds these figures to every event.
    pub(super) fn with_figures(self, figures: Figures) -> Uploader {
        Uploader { figures, ..self }
    }

    /// Called when a profile has been named: reading the tables takes tens of megabytes, which the allocator keeps
    /// unless it is asked to give them back.
    pub(super) fn with_giving_back(self, give_back: fn()) -> Uploader {
        Uploader { give_back, ..self }
    }

    /// To be brought forward before the worker is stopped, in nanoseconds of the monotonic clock: names are looked
    /// for and an upload under way is waited for until then, and no longer. The last flush tries it once more.
    pub(super) fn end_ns(&self) -> Arc<AtomicU64> {
        self.end_ns.clone()
    }

    /// What to ask for notices and the last error.
    pub(super) fn told(&self) -> Arc<Told> {
        self.told.clone()
    }

    /// What went wrong last, if something did.
    fn flush_all(&mut self, why: Why) -> Option<String> {
        let started_ns = self.clock.mono_ns();
        let end_ns = (why == Why::Stop).then(|| after(started_ns, STOP_BUDGET));
        // What is left is for the last flush, which comes now and has a budget of its own.
        if matches!(why, Why::Tick | Why::Full) && started_ns >= self.end_ns.load(Ordering::Relaxed)
        {
            return None;
        }
        let is_due = |upload: &mut Upload| why != Why::Tick || upload.due_ns <= started_ns;
        let waited = self.waiting.take_if(is_due);
        let mut trouble = None;
        while let Some(period) = self.periods.pop_front() {
            let outcome = match self.make(*period, why) {
                Ok(upload) => self.send(upload, end_ns),
                Err(error) => Some(format!("the profile could not be made: {error}")),
            };
            self.told.set_last_error(outcome.clone());
            trouble = trouble.or(outcome);
        }
        if let Some(upload) = waited {
            let outcome = self.send(upload, end_ns);
            self.told.set_last_error(outcome.clone());
            trouble = trouble.or(outcome);
        }
        if why == Why::Stop
            && let Some(upload) = self.waiting.take()
        {
            upload.owed.settle(|counts| &counts.unreachable);
        }
        trouble
    }

    fn make(&mut self, period: Period, why: Why) -> io::Result<Upload> {
        let owed = Owed::new(&self.counts, period.taken);
        let budget = match why {
            Why::Stop => STOP_NAMES_BUDGET,
            _ => NAMES_BUDGET,
        };
        let deadline_ns = after(self.clock.mono_ns(), budget);
        let end_ns = match why {
            Why::Stop => Arc::new(AtomicU64::new(u64::MAX)),
            _ => self.end_ns.clone(),
        };
        let deadline_ns = || deadline_ns.min(end_ns.load(Ordering::Relaxed));
        let named = self.symbols.name(&period, &deadline_ns)?;
        (self.give_back)();
        if named.work.files_failed > 0 && !std::mem::replace(&mut self.is_nameless_told, true) {
            self.told.push_notice(format!(
                "names cannot be found: {} of the files behind this program's code cannot be read",
                named.work.files_failed
            ));
        }
        let labels = Labels {
            hotspots: self.options.hotspots,
            endpoints: self.options.endpoints,
        };
        let mut profile = Vec::new();
        let named_by = (&named, self.symbols.notes());
        pprof::encode(&mut profile, &period, named_by, labels);
        let plain_bytes = profile.len() as u64;
        let profile = gzip(&profile)?;
        self.write(&profile);
        let internal = self.internal(&named.work, plain_bytes);
        let event = event::encode(
            &event::Context {
                options: &self.options,
                identity: &self.identity,
                seq: self.seq,
                internal: &internal,
            },
            &period,
        );
        self.seq += 1;
        let boundary = multipart::boundary(&[&event, &profile]);
        Ok(Upload {
            content_type: format!("multipart/form-data; boundary={boundary}"),
            body: multipart::encode(&boundary, &event, &profile),
            owed,
            tries: 0,
            due_ns: 0,
        })
    }

    fn write(&mut self, profile: &[u8]) {
        let Some(folder) = &self.options.output_dir else {
            return;
        };
        if let Err(error) = output::write(folder, &self.identity, self.seq, profile) {
            self.files_failed += 1;
            let folder = folder.display();
            self.told
                .push_notice(format!("cannot write a profile in {folder}: {error}"));
        }
    }

    fn internal(&self, work: &Work, plain_bytes: u64) -> Vec<(String, u64)> {
        let ledger = self.counts.ledger();
        let lost = ledger.dropped.iter();
        let lost = lost.map(|(reason, count)| (format!("samples_{reason}"), *count));
        let own = [
            ("samples_offered", ledger.offered),
            ("samples_sent", ledger.sent),
            ("addresses", work.addresses),
            ("addresses_looked_up", work.looked_up),
            ("addresses_put_off", work.put_off),
            ("addresses_held", self.symbols.held() as u64),
            ("stacks_cut", work.stacks_cut),
            ("symbol_files_opened", work.files_opened),
            ("symbol_files_failed", work.files_failed),
            ("symbol_elapsed_ns", work.elapsed_ns),
            ("pprof_bytes", plain_bytes),
            ("output_files_failed", self.files_failed),
        ];
        let figures = own.into_iter().chain((self.figures)());
        figures
            .map(|(name, value)| (name.to_string(), value))
            .chain(lost)
            .collect()
    }

    /// What went wrong, if something did. `end_ns` is there at the stop.
    fn send(&mut self, mut upload: Upload, end_ns: Option<u64>) -> Option<String> {
        upload.tries += 1;
        match self.attempt(&upload, end_ns) {
            Attempt::Taken => {
                self.is_unsupported_told = false;
                upload.owed.settle(|counts| &counts.sent);
                None
            }
            Attempt::Refused(error) => {
                upload.owed.settle(|counts| &counts.refused);
                Some(error)
            }
            Attempt::Later(error) => {
                if upload.tries < TRIES_MAX {
                    self.wait(upload);
                } else {
                    upload.owed.settle(|counts| &counts.unreachable);
                }
                Some(error)
            }
        }
    }

    /// Somewhere in the first half of the time to the next upload. One that waits already makes room.
    fn wait(&mut self, mut upload: Upload) {
        let longest_ns = after(0, self.options.upload_interval / 2).max(1);
        let wait_ns = RandomState::new().hash_one(self.seq) % longest_ns;
        upload.due_ns = self.clock.mono_ns().saturating_add(wait_ns);
        if let Some(older) = self.waiting.replace(upload) {
            older.owed.settle(|counts| &counts.unreachable);
        }
    }

    fn attempt(&mut self, upload: &Upload, end_ns: Option<u64>) -> Attempt {
        let known = self.headers.iter();
        let mut headers: Vec<(&str, &str)> =
            known.map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("Content-Type", &upload.content_type));
        let call = Call {
            method: "POST",
            path: PATH,
            headers: &headers,
            body: &[&upload.body],
        };
        let client = Client::new(self.options.agent.clone(), self.clock.clone());
        let (mut client, timeout) = match end_ns {
            None => (client.until(self.end_ns.clone()), self.options.timeout),
            Some(end_ns) => {
                let left_ns = end_ns.saturating_sub(self.clock.mono_ns());
                let left = Duration::from_nanos(left_ns);
                (client, self.options.timeout.min(left))
            }
        };
        let (status, body) = match client.exchange(&call, timeout) {
            Ok(Response { status, body, .. }) => (status, body),
            // What it says is too much to read; whether it took the profile is known.
            Err(Error::TooLarge(_, _, status)) => (status, Vec::new()),
            Err(error) => return Attempt::Later(error.to_string()),
        };
        let error = format!("{}: answered {status}", self.options.agent);
        match status {
            200..=299 => Attempt::Taken,
            500..=599 => Attempt::Later(error),
            404 => {
                self.tell_unsupported();
                Attempt::Refused(error)
            }
            _ => {
                let said = excerpt(&body);
                self.told.push_notice(format!(
                    "the agent at {} refused a profile with {status}: {said:?}",
                    self.options.agent
                ));
                Attempt::Refused(error)
            }
        }
    }

    fn tell_unsupported(&mut self) {
        if !self.is_unsupported_told {
            self.is_unsupported_told = true;
            self.told.push_notice(format!(
                "the agent at {} takes no profiles at {PATH}: it answered 404; agents do from version 7.20 on",
                self.options.agent
            ));
        }
    }
}

fn after(now_ns: u64, wait: Duration) -> u64 {
    let ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    now_ns.saturating_add(ns)
}

/// Measured on profiles of 0.3 and 1 MB: level 4 takes half the time of level 6, for 2 % more bytes; level 9 three
/// times as long as 4 for 2 % less.
const LEVEL: u32 = 4;

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    encoder.write_all(plain)?;
    encoder.finish()
}

/// The start of an answer's body, for a person: printable, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let text = text.trim().chars();
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Job for Uploader {
    type Item = Box<Period>;

    fn take(&mut self, period: Box<Period>) -> Fill {
        if self.periods.len() == PERIODS_MAX
            && let Some(oldest) = self.periods.pop_front()
        {
            drop(Owed::new(&self.counts, oldest.taken));
        }
        self.periods.push_back(period);
        Fill::Full
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        match self.flush_all(why) {
            None => Ok(()),
            Some(error) => Err(FlushError::new(error)),
        }
    }

    fn weigh(period: &Box<Period>) -> usize {
        let addresses: usize = period.stacks.iter().map(Vec::len).sum();
        size_of::<Period>()
            + addresses * size_of::<u64>()
            + period.samples.len() * size_of::<Sample>()
    }
}
