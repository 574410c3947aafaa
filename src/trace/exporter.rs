//! Chunks to payloads, payloads to the Agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::answer::{Verdict, excerpt, verdict};
use super::chunks::Chunks;
use super::contact::Contact;
use super::encode::encode_array_head;
use super::headers;
use super::held::{Batch, Held};
use super::joint::Joint;
use super::keep_rate::KeepRate;
use super::notices::Kind;
use super::options::Options;
use super::pause::Pause;
use super::tally::End;
use crate::http::{Call, Client, Error, Response};
use crate::identity::Identity;
use crate::worker::{Carrier, FlushError, Ledger, Why};

/// All sends of the last flush together.
const STOP_BUDGET: Duration = Duration::from_millis(1_500);
/// A payload that may have arrived is sent once more, no oftener: the Agent would count its spans twice.
const TRIES_MAX: u32 = 2;
/// One that cannot be sent whole is halved; a chunk alone is given up after so many times.
const STALLS_MAX: u32 = 8;

/// How one send ended.
enum Sent {
    /// It arrived, or is to be tried at once in another form.
    Fine,
    /// It was given up; why.
    GivenUp(String),
    /// Nothing can be sent now.
    Wait(String, Option<Duration>),
}

/// The job of the `dd-trace` thread.
pub(super) struct Exporter {
    options: Options,
    client: Client,
    headers: Vec<(&'static str, String)>,
    joint: Arc<Joint>,
    held: Held,
    contact: Contact,
    rates_version: String,
    pause: Pause,
    keep_rate: KeepRate,
    /// Spans lost when a person was last told.
    lost_told: u64,
    /// Told again while a pause lasts.
    last_error: String,
}

impl Exporter {
    pub(super) fn new(options: Options, identity: &Identity, joint: Arc<Joint>) -> Exporter {
        let client = Client::new(options.agent.clone(), joint.clock.clone());
        Exporter {
            client,
            headers: headers::of(identity),
            held: Held::new(options.held_bytes_max()),
            contact: Contact::new(&options),
            options,
            joint,
            rates_version: "0".to_string(),
            pause: Pause::default(),
            keep_rate: KeepRate::default(),
            lost_told: 0,
            last_error: String::new(),
        }
    }

    fn send_all(&mut self, why: Why) -> Result<(), FlushError> {
        let started_ns = self.joint.clock.mono_ns();
        if matches!(why, Why::Tick | Why::Full) && !self.pause.is_over(started_ns) {
            return Err(FlushError::new(&self.last_error));
        }
        let end_ns = match why {
            Why::Stop => started_ns.saturating_add(STOP_BUDGET.as_nanos() as u64),
            _ => u64::MAX,
        };
        if why != Why::Stop {
            self.make_contact()?;
        }
        let mut trouble = None;
        while let Some(batch) = self.held.next(self.contact.payload_bytes_max()) {
            let left_ns = end_ns.saturating_sub(self.joint.clock.mono_ns());
            let timeout = self.options.timeout.min(Duration::from_nanos(left_ns));
            match self.send(batch, timeout) {
                Sent::Fine => {}
                Sent::GivenUp(error) => trouble = Some(error),
                Sent::Wait(error, after) => return Err(self.unreachable(error, after)),
            }
        }
        trouble.map_or(Ok(()), |error| Err(FlushError::new(error)))
    }

    /// Asks the Agent what it takes, when that is due. Where there is nothing to send yet, an empty payload
    /// follows, which every Agent answers: so the user hears of a wrong address at the start, and of an
    /// Agent that is back, without a single request.
    fn make_contact(&mut self) -> Result<(), FlushError> {
        let now_ns = self.joint.clock.mono_ns();
        if self.contact.is_due(now_ns) {
            let asked = self
                .contact
                .ask(&mut self.client, self.options.timeout, now_ns);
            if let Err(error) = asked
                && !error.may_have_arrived()
            {
                return Err(self.unreachable(error.to_string(), None));
            }
            self.contact.tell(&self.joint);
        }
        if !self.held.is_empty() || self.joint.told.is_reachable() {
            return Ok(());
        }
        match self.post(&Chunks::default(), self.options.timeout) {
            Ok(response) => match verdict(&response) {
                Verdict::Delivered => {
                    self.learn(&response);
                    Ok(())
                }
                Verdict::Later(after) => {
                    let error = format!("{}: answered {}", self.options.agent, response.status);
                    Err(self.unreachable(error, after))
                }
                _ => {
                    let error = self.takes_none();
                    Err(self.unreachable(error, None))
                }
            },
            Err(error) => Err(self.unreachable(error.to_string(), None)),
        }
    }

    fn takes_none(&self) -> String {
        format!("{}: takes no traces", self.options.agent)
    }

    fn unreachable(&mut self, error: String, after: Option<Duration>) -> FlushError {
        self.pause.lengthen(self.joint.clock.mono_ns(), after);
        self.joint.told.set_unreachable(&error);
        self.last_error.clone_from(&error);
        FlushError::new(error)
    }

    fn post(&mut self, chunks: &Chunks, timeout: Duration) -> Result<Response, Error> {
        let mut head = Vec::with_capacity(5);
        encode_array_head(&mut head, chunks.len() as u32);
        let count = chunks.len().to_string();
        let known = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let mut headers: Vec<(&str, &str)> = known.collect();
        headers.push(("X-Datadog-Trace-Count", &count));
        headers.push(("Datadog-Rates-Payload-Version", &self.rates_version));
        let call = Call {
            method: "POST",
            path: "/v0.4/traces",
            headers: &headers,
            body: &[&head, chunks.bytes()],
        };
        let outcome = match self.client.exchange(&call, timeout) {
            // What it says of rates is too much to read; whether it took the payload is known.
            Err(Error::TooLarge(_, _, status)) => Ok(Response {
                status,
                ..Response::default()
            }),
            outcome => outcome,
        };
        let sends = &self.joint.tally.thread.sends;
        match &outcome {
            Ok(response) => {
                let class = usize::from(response.status / 100).clamp(2, 5) - 2;
                add(&sends.answers[class], 1);
            }
            Err(_) => add(&sends.failed, 1),
        }
        outcome
    }

    fn send(&mut self, mut batch: Batch, timeout: Duration) -> Sent {
        let response = match self.post(&batch.chunks, timeout) {
            Ok(response) => response,
            Err(error) => {
                batch.tries += self.client.hand_overs();
                batch.stalls += u32::from(error.was_sending());
                return self.unanswered(batch, &error);
            }
        };
        match verdict(&response) {
            Verdict::Delivered => {
                self.delivered(batch);
                self.learn(&response);
                return Sent::Fine;
            }
            Verdict::Later(after) => {
                self.put_back(batch);
                let error = format!("{}: answered {}", self.options.agent, response.status);
                return Sent::Wait(error, after);
            }
            Verdict::TooLarge if batch.chunks.len() > 1 => {
                add(&self.joint.tally.thread.sends.splits, 1);
                self.halve(batch);
                return Sent::Fine;
            }
            Verdict::TooLarge => self.too_large(batch),
            Verdict::TooSlow => {
                self.contact.take_less();
                batch.tries += 1;
                if batch.tries < TRIES_MAX {
                    add(&self.joint.tally.thread.sends.retries, 1);
                    self.halve(batch);
                    return Sent::Fine;
                }
                self.give_up(batch, End::Unanswered);
            }
            Verdict::Unsupported => {
                self.contact.ask_again();
                let error = self.takes_none();
                self.joint.told.set_unreachable(&error);
                self.tell(Kind::Unsupported, || {
                    format!(
                        "takes no traces at /v0.4/traces: it answered {}",
                        response.status
                    )
                });
                self.give_up(batch, End::Rejected);
            }
            Verdict::Rejected => {
                self.tell(Kind::Rejected, || {
                    let said = excerpt(&response.body);
                    format!("refused a payload with {}: {said:?}", response.status)
                });
                self.give_up(batch, End::Rejected);
            }
        }
        Sent::GivenUp(format!(
            "{}: answered {}",
            self.options.agent, response.status
        ))
    }

    fn unanswered(&mut self, batch: Batch, error: &Error) -> Sent {
        if batch.tries >= TRIES_MAX || batch.stalls >= STALLS_MAX {
            self.give_up(batch, End::Unanswered);
        } else if error.was_sending() && batch.chunks.len() > 1 {
            // Shorter ones may come through, and must not wait behind what does not.
            self.contact.take_less();
            self.halve(batch);
        } else {
            self.put_back(batch);
        }
        Sent::Wait(error.to_string(), None)
    }

    fn put_back(&mut self, batch: Batch) {
        add(&self.joint.tally.thread.sends.retries, 1);
        self.held.put_back(batch);
    }

    fn halve(&mut self, batch: Batch) {
        let (first, rest) = batch.halves();
        for half in [rest, first] {
            if !half.chunks.is_empty() {
                self.held.put_back(half);
            }
        }
    }

    fn too_large(&mut self, batch: Batch) {
        self.tell(Kind::TooLarge, || {
            let (service, resource) = batch.chunks.whose().unwrap_or_default();
            let bytes = batch.chunks.bytes().len();
            format!("takes no trace so long: {bytes} bytes, of {service:?}, {resource:?}")
        });
        self.give_up(batch, End::TooLarge);
    }

    fn delivered(&mut self, batch: Batch) {
        let sends = &self.joint.tally.thread.sends;
        add(&sends.payloads, 1);
        add(&sends.payload_bytes, batch.chunks.bytes().len() as u64);
        add(&sends.payload_chunks, batch.chunks.len() as u64);
        self.joint.tally.delivered(batch.chunks.spans());
        self.held.recycle(batch.chunks);
    }

    fn give_up(&mut self, batch: Batch, end: End) {
        self.joint.tally.ended(end, batch.chunks.spans());
        self.held.recycle(batch.chunks);
    }

    fn learn(&mut self, response: &Response) {
        let now_ns = self.joint.clock.mono_ns();
        self.pause.end();
        self.joint.told.set_reachable();
        self.joint.sampler.learn(&response.body, now_ns);
        if let Some(version) = response.header("Datadog-Rates-Payload-Version") {
            self.rates_version = version.to_string();
        }
        if let Some(state) = response.header("Datadog-Agent-State") {
            self.contact.see_state(state);
        }
    }

    fn tell(&self, kind: Kind, text: impl FnOnce() -> String) {
        if self.joint.notices.is_due(kind, self.joint.clock.mono_ns()) {
            let text = format!("the agent at {} {}", self.options.agent, text());
            self.joint.notices.push(text);
        }
    }

    /// Once a minute, what was lost since the last time.
    fn tell_of_losses(&mut self) {
        let ledger = self.joint.tally.ledger();
        let lost = ledger.dropped_total();
        let rate = self.keep_rate.next(ledger.offered, lost);
        self.joint.told.set_keep_rate(rate);
        let now_ns = self.joint.clock.mono_ns();
        if lost > self.lost_told && self.joint.notices.is_due(Kind::Lost, now_ns) {
            self.joint
                .notices
                .push(losses(&ledger, lost - self.lost_told));
            self.lost_told = lost;
        }
    }
}

fn losses(ledger: &Ledger, more: u64) -> String {
    let mut text = format!("{more} spans lost, in all");
    for (reason, count) in ledger.dropped.iter().filter(|(_, count)| *count > 0) {
        text.push_str(&format!(" {count} {reason}"));
    }
    text
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Carrier for Exporter {
    type Load = Chunks;

    fn carry(&mut self, load: &mut Chunks) {
        self.held.take(load, &self.joint.tally);
    }

    fn flush(&mut self, why: Why) -> Result<(), FlushError> {
        if !self.options.enabled {
            return Ok(());
        }
        let outcome = self.send_all(why);
        if why == Why::Stop {
            while let Some(batch) = self.held.next(usize::MAX) {
                self.give_up(batch, End::NotSent);
            }
        }
        self.tell_of_losses();
        outcome
    }
}
