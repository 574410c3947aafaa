//! Chunks to payloads, payloads to the Agent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::encode::encode_array_head;
use super::sampler::Sampler;
use super::tally::{Chunks, Tally};
use crate::clock::Clock;
use crate::http::{Call, Client, Response, Target};
use crate::identity::Identity;
use crate::worker::{Carrier, FlushError, TrayLimits, Why};

/// How traces are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// False: no spans, no sends, no headers.
    pub enabled: bool,
    /// The Agent.
    pub agent: Target,
    /// Time between two payloads.
    pub flush_interval: Duration,
    /// Over connect, write and read of one payload.
    pub timeout: Duration,
    /// Bytes held while the Agent is away; the oldest go first.
    pub buffer_bytes_max: usize,
    /// Longest payload. The Agent takes 25 MiB.
    pub payload_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            enabled: true,
            agent: Target::Tcp("127.0.0.1".to_string(), 8126),
            flush_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            buffer_bytes_max: 8 << 20,
            payload_bytes_max: 4 << 20,
        }
    }
}

impl Options {
    pub(super) fn limits(&self) -> TrayLimits {
        TrayLimits {
            bytes_max: self.buffer_bytes_max,
            call_bytes: BATCH_BYTES.min(self.buffer_bytes_max / 2),
            flush_interval: self.flush_interval,
        }
    }
}

/// A batch is closed for sending at this size.
const BATCH_BYTES: usize = 1 << 20;
/// Longest pause between two tries while the Agent is away.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// All sends of the last flush together.
const STOP_BUDGET: Duration = Duration::from_millis(1_500);

/// What became of one payload.
enum Outcome {
    Delivered,
    /// Never to be sent again; the counter says why.
    Given(&'static str),
    Split,
    /// Kept for later.
    Later(String),
}

/// The job of the `dd-trace` thread.
pub(super) struct Exporter {
    options: Options,
    client: Client,
    clock: Clock,
    headers: Vec<(&'static str, String)>,
    sampler: Arc<Sampler>,
    tally: Arc<Tally>,
    batches: VecDeque<Chunks>,
    /// Memory of the last batch.
    spare: Chunks,
    held_bytes: usize,
    rates_version: String,
    pause: Duration,
    not_before_ns: u64,
    /// Whether the last try was answered; unknown before the first.
    reachable: bool,
    /// Told again while a pause lasts.
    last_error: String,
}

impl Exporter {
    pub(super) fn new(
        options: Options,
        identity: &Identity,
        clock: Clock,
        (sampler, tally): (Arc<Sampler>, Arc<Tally>),
    ) -> Exporter {
        Exporter {
            client: Client::new(options.agent.clone(), clock.clone()),
            headers: headers(identity),
            options,
            clock,
            sampler,
            tally,
            batches: VecDeque::new(),
            spare: Chunks::default(),
            held_bytes: 0,
            rates_version: "0".to_string(),
            pause: Duration::ZERO,
            not_before_ns: 0,
            reachable: false,
            last_error: String::new(),
        }
    }

    fn post(&mut self, batch: &Chunks, timeout: Duration) -> Outcome {
        let mut head = Vec::new();
        encode_array_head(&mut head, batch.ends.len() as u32);
        let count = batch.ends.len().to_string();
        let mut headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        headers.push(("X-Datadog-Trace-Count", &count));
        headers.push(("Datadog-Rates-Payload-Version", &self.rates_version));
        let call = Call {
            method: "POST",
            path: "/v0.4/traces",
            headers: &headers,
            body: &[&head, &batch.bytes],
        };
        match self.client.exchange(&call, timeout) {
            Ok(response) => self.judge(&response, batch.ends.len()),
            Err(error) => Outcome::Later(error.to_string()),
        }
    }

    /// What each status asks for, by the Agent's own replies (datadog-agent, `pkg/trace/api`).
    fn judge(&mut self, response: &Response, chunks: usize) -> Outcome {
        match response.status {
            200..=299 => {
                self.sampler.learn(&response.body);
                if let Some(version) = response.header("Datadog-Rates-Payload-Version") {
                    self.rates_version = version.to_string();
                }
                Outcome::Delivered
            }
            413 if chunks > 1 => Outcome::Split,
            413 => Outcome::Given("too_large"),
            status @ (408 | 429 | 500..=599) => {
                Outcome::Later(format!("{}: answered {status}", self.options.agent))
            }
            _ => Outcome::Given("rejected"),
        }
    }

    fn send_all(&mut self, why: Why) -> Result<(), FlushError> {
        if !self.options.enabled {
            return Ok(());
        }
        let started_ns = self.clock.mono_ns();
        if matches!(why, Why::Tick | Why::Full) && started_ns < self.not_before_ns {
            return Err(FlushError::new(&self.last_error));
        }
        if self.batches.is_empty() && !self.reachable && why != Why::Stop {
            return self.probe();
        }
        let budget = if why == Why::Stop {
            STOP_BUDGET
        } else {
            Duration::MAX
        };
        let mut rejected = None;
        while let Some(batch) = self.batches.pop_front() {
            let spent = Duration::from_nanos(self.clock.mono_ns().saturating_sub(started_ns));
            let timeout = self.options.timeout.min(budget.saturating_sub(spent));
            match self.post(&batch, timeout) {
                Outcome::Delivered => self.settled(batch, "sent"),
                Outcome::Given(reason) => {
                    rejected = Some(format!("{}: payload {reason}", self.options.agent));
                    self.settled(batch, reason);
                }
                Outcome::Split => {
                    let (first, rest) = batch.halves();
                    self.batches.push_front(rest);
                    self.batches.push_front(first);
                }
                Outcome::Later(error) => {
                    self.batches.push_front(batch);
                    self.pause_a_little();
                    self.last_error.clone_from(&error);
                    return Err(FlushError::new(error));
                }
            }
        }
        self.calm_down();
        rejected.map_or(Ok(()), |why| Err(FlushError::new(why)))
    }

    /// An empty payload, which every Agent answers: so the user hears of a wrong address at the start,
    /// and of an Agent that is back, without a single request.
    fn probe(&mut self) -> Result<(), FlushError> {
        match self.post(&Chunks::default(), self.options.timeout) {
            Outcome::Delivered => {
                self.calm_down();
                Ok(())
            }
            Outcome::Later(error) => {
                self.pause_a_little();
                self.last_error.clone_from(&error);
                Err(FlushError::new(error))
            }
            Outcome::Given(_) | Outcome::Split => {
                self.pause_a_little();
                self.last_error = format!("{}: takes no traces", self.options.agent);
                Err(FlushError::new(&self.last_error))
            }
        }
    }

    fn calm_down(&mut self) {
        self.reachable = true;
        self.pause = Duration::ZERO;
        self.not_before_ns = 0;
    }

    fn settled(&mut self, mut batch: Chunks, how: &str) {
        self.held_bytes -= batch.bytes.len();
        let tally = &self.tally;
        let end = match how {
            "sent" => &tally.thread.sent,
            "too_large" => &tally.thread.too_large,
            "buffer_full" => &tally.thread.buffer_full,
            "not_sent" => &tally.thread.not_sent,
            _ => &tally.thread.rejected,
        };
        tally.settle(end, batch.spans());
        batch.clear(2 * BATCH_BYTES);
        self.spare = batch;
    }

    /// Doubles up to five seconds, with jitter so that many processes do not come back at once.
    fn pause_a_little(&mut self) {
        self.reachable = false;
        self.pause = (self.pause * 2).clamp(Duration::from_millis(100), PAUSE_MAX);
        let jittered = self.pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        let ns = u64::try_from(jittered.as_nanos()).unwrap_or(u64::MAX);
        self.not_before_ns = self.clock.mono_ns().saturating_add(ns);
    }
}

impl Carrier for Exporter {
    type Load = Chunks;

    fn carry(&mut self, chunks: &mut Chunks) {
        for (chunk, spans) in chunks.iter() {
            self.take(chunk, spans);
        }
        chunks.clear(2 * BATCH_BYTES);
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        let outcome = self.send_all(why);
        if why == Why::Stop {
            while let Some(batch) = self.batches.pop_front() {
                self.settled(batch, "not_sent");
            }
        }
        outcome
    }
}

impl Exporter {
    fn take(&mut self, chunk: &[u8], spans: u32) {
        let count = u64::from(spans);
        self.tally.thread.taken.fetch_add(count, Ordering::Relaxed);
        self.tally.thread.held.fetch_add(count, Ordering::Relaxed);
        if chunk.len() > self.options.payload_bytes_max {
            return self.tally.settle(&self.tally.thread.too_large, count);
        }
        while self.held_bytes + chunk.len() > self.options.buffer_bytes_max {
            let Some(oldest) = self.batches.pop_front() else {
                break;
            };
            self.settled(oldest, "buffer_full");
        }
        self.held_bytes += chunk.len();
        let batch_bytes = BATCH_BYTES.min(self.options.payload_bytes_max);
        match self.batches.back_mut() {
            Some(batch) if batch.bytes.len() + chunk.len() <= batch_bytes => {
                batch.push(&[chunk], spans);
            }
            _ => {
                let mut batch = std::mem::take(&mut self.spare);
                batch.push(&[chunk], spans);
                self.batches.push_back(batch);
            }
        }
    }
}

/// The headers that every payload has; dd-trace-go `ddtrace/tracer/transport.go` lists them too.
fn headers(identity: &Identity) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("Content-Type", "application/msgpack".to_string()),
        ("Datadog-Meta-Lang", "rust".to_string()),
        (
            "Datadog-Meta-Lang-Version",
            env!("CARGO_PKG_RUST_VERSION").to_string(),
        ),
        (
            "Datadog-Meta-Lang-Interpreter",
            format!("rustc-{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        ),
        (
            "Datadog-Meta-Tracer-Version",
            env!("CARGO_PKG_VERSION").to_string(),
        ),
        ("Datadog-Client-Computed-Top-Level", "yes".to_string()),
        ("Datadog-Send-Real-Http-Status", "1".to_string()),
    ];
    let optional = [
        ("Datadog-Container-ID", &identity.container_id),
        ("Datadog-Entity-ID", &identity.entity_id),
        ("Datadog-External-Env", &identity.external_env),
    ];
    for (name, value) in optional {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            headers.push((name, value.clone()));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;

    /// Answers each request with the next status and sends its chunk count and body length.
    fn agent(statuses: Vec<u16>) -> (Target, mpsc::Receiver<(String, usize)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp(
            "127.0.0.1".to_string(),
            listener.local_addr().unwrap().port(),
        );
        let (seen, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .spawn(move || {
                for status in statuses {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n") {
                        stream.read_exact(&mut byte).unwrap();
                        head.push(byte[0]);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let field = |name: &str| {
                        head.lines()
                            .find_map(|l| l.strip_prefix(name))
                            .unwrap_or("")
                            .to_string()
                    };
                    let length: usize = field("Content-Length: ").parse().unwrap();
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body).unwrap();
                    seen.send((field("X-Datadog-Trace-Count: "), length))
                        .unwrap();
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
                    );
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            })
            .unwrap();
        (target, receiver)
    }

    fn exporter(options: Options) -> (Exporter, Arc<Tally>) {
        let tally = Arc::new(Tally::default());
        let identity = Identity::of_process("s");
        let shared = (Arc::new(Sampler::default()), tally.clone());
        (
            Exporter::new(options, &identity, Clock::system(), shared),
            tally,
        )
    }

    fn offer(exporter: &mut Exporter, tally: &Tally, bytes: usize) {
        tally.offered(1);
        let mut chunks = Chunks::default();
        chunks.push(&[&vec![0xc0; bytes]], 1);
        exporter.carry(&mut chunks);
        assert!(chunks.bytes.is_empty() && chunks.ends.is_empty());
    }

    #[track_caller]
    fn check(rule: &str, statuses: Vec<u16>, counts: &[&str], outcome: (bool, u64, u64)) {
        let (agent, seen) = agent(statuses);
        let (mut exporter, tally) = exporter(Options {
            agent,
            ..Options::default()
        });
        for _ in 0..3 {
            offer(&mut exporter, &tally, 10);
        }
        let flushed = exporter.flush(Why::Asked).is_ok();
        let ledger = tally.ledger(0);
        assert_eq!((flushed, ledger.sent, ledger.pending), outcome, "{rule}");
        assert!(ledger.balances(), "{rule}: {ledger:?}");
        let told: Vec<String> = seen.try_iter().map(|(count, _)| count).collect();
        assert_eq!(told, counts, "{rule}");
    }

    #[test]
    fn every_status_has_its_consequence() {
        check("200 is delivered", vec![200], &["3"], (true, 3, 0));
        check("204 too", vec![204], &["3"], (true, 3, 0));
        check(
            "413 is split until it fits",
            vec![413, 200, 413, 200, 200],
            &["3", "1", "2", "1", "1"],
            (true, 3, 0),
        );
        check(
            "413 for one chunk gives up that chunk alone",
            vec![413, 413, 200],
            &["3", "1", "2"],
            (false, 2, 0),
        );
        check("400 is never sent again", vec![400], &["3"], (false, 0, 0));
        check(
            "a redirect is not followed",
            vec![301],
            &["3"],
            (false, 0, 0),
        );
        check("429 is kept for later", vec![429], &["3"], (false, 0, 3));
        check("503 too", vec![503], &["3"], (false, 0, 3));
    }

    #[test]
    fn without_an_agent_the_newest_are_kept_within_the_bound() {
        let agent = Target::Tcp("127.0.0.1".to_string(), 1);
        let options = Options {
            agent,
            buffer_bytes_max: 3 << 20,
            ..Options::default()
        };
        let (mut exporter, tally) = exporter(options);
        for _ in 0..10 {
            offer(&mut exporter, &tally, 1 << 19);
        }
        assert!(exporter.flush(Why::Tick).is_err());
        let ledger = tally.ledger(0);
        assert_eq!(
            (ledger.pending, ledger.dropped_total(), ledger.sent),
            (6, 4, 0)
        );
        assert!(exporter.flush(Why::Stop).is_err());
        let ledger = tally.ledger(0);
        assert!(ledger.balances() && ledger.pending == 0, "{ledger:?}");
    }

    #[test]
    fn chunks_that_fit_one_by_one_make_no_payload_over_the_limit() {
        let (agent, seen) = agent(vec![200, 200]);
        let (mut exporter, tally) = exporter(Options {
            agent,
            payload_bytes_max: 100,
            ..Options::default()
        });
        for _ in 0..3 {
            offer(&mut exporter, &tally, 50);
        }
        assert_eq!(exporter.flush(Why::Asked), Ok(()));
        let sent: Vec<(String, usize)> = seen.try_iter().collect();
        assert_eq!(sent, [("2".to_string(), 101), ("1".to_string(), 51)]);
    }

    #[test]
    fn a_chunk_over_the_payload_limit_is_given_up_at_once() {
        let (mut exporter, tally) = exporter(Options {
            payload_bytes_max: 100,
            ..Options::default()
        });
        offer(&mut exporter, &tally, 101);
        let ledger = tally.ledger(0);
        assert!(
            ledger.balances() && ledger.dropped.contains(&("too_large", 1)),
            "{ledger:?}"
        );
    }
}
