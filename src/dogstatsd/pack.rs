//! Lines to datagrams, none longer than its limit; and the backlog of datagrams not sent so far.

use std::collections::VecDeque;
use std::sync::Arc;

use super::encode::{Message, Origin, Values, encode, metric_head, metric_tail, number};
use super::ledger::{Reason, Tally};
use super::reservoir::Reservoir;
use super::sample::Context;
use super::telemetry::Packets;

/// Whole lines that travel together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) bytes: Vec<u8>,
    pub(super) samples: u64,
    /// Samples of each line.
    of_lines: Vec<u64>,
}

impl Datagram {
    fn append(&mut self, line: &[u8], samples: u64) {
        self.bytes.extend_from_slice(line);
        self.samples += samples;
        self.of_lines.push(samples);
    }
}

/// Fills datagrams and keeps them until they are sent.
#[derive(Debug)]
pub(super) struct Packer {
    bytes_max: usize,
    /// A line may be so long even where a datagram of many lines may not.
    line_bytes_max: usize,
    backlog_bytes_max: usize,
    origin: Origin,
    tally: Arc<Tally>,
    open: Datagram,
    ready: VecDeque<Datagram>,
    ready_bytes: usize,
    /// What the bound on the backlog has cost since somebody last asked.
    dropped: Packets,
    line: Vec<u8>,
    tail: Vec<u8>,
}

impl Packer {
    /// `bytes_max` bounds a datagram, `backlog_bytes_max` all that wait.
    pub(super) fn new(
        bytes_max: usize,
        backlog_bytes_max: usize,
        origin: Origin,
        tally: Arc<Tally>,
    ) -> Packer {
        Packer {
            bytes_max,
            line_bytes_max: bytes_max,
            backlog_bytes_max,
            origin,
            tally,
            open: Datagram::default(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            dropped: Packets::default(),
            line: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// One line of a metric that stands for so many samples.
    pub(super) fn push_metric(&mut self, context: &Context, value: Values<'_>, samples: u64) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let message = Message::Metric(context, value, None);
        encode(&mut line, &message, "", &self.origin).expect("only events and checks can fail");
        self.push(&line, samples);
        self.line = line;
    }

    /// All values, or a sample that stands for them: those that stand for several on lines with a rate,
    /// the few that are left on one without, so that the Agent's count is that of the calls.
    pub(super) fn push_sample(&mut self, context: &Context, values: Reservoir) {
        let (values, shares) = values.into_shares();
        let (heavy, light) = values.split_at(shares.heavy);
        if shares.each > 1 {
            let rated = Context {
                one_in: context.one_in.saturating_mul(shares.each),
                ..context.clone()
            };
            self.push_values(&rated, heavy, shares.each.into());
        } else {
            self.push_values(context, heavy, 1);
        }
        self.push_values(context, light, 1);
    }

    /// Several values to a line (protocol 1.1), as many as one datagram holds. Each stands for so many
    /// samples.
    fn push_values(&mut self, context: &Context, values: &[f64], each: u64) {
        let mut line = std::mem::take(&mut self.line);
        let mut tail = std::mem::take(&mut self.tail);
        tail.clear();
        metric_tail(&mut tail, context, &self.origin, None);
        line.clear();
        metric_head(&mut line, context);
        let head = line.len();
        let mut samples = 0;
        for value in values {
            let before = line.len();
            number(&mut line, *value);
            if samples > 0 && line.len() + tail.len() > self.bytes_max {
                let over = line.split_off(before);
                line.extend_from_slice(&tail);
                self.push(&line, samples);
                line.truncate(head);
                line.extend_from_slice(&over);
                samples = 0;
            }
            samples += each;
        }
        if samples > 0 {
            line.extend_from_slice(&tail);
            self.push(&line, samples);
        }
        self.line = line;
        self.tail = tail;
    }

    /// A whole line, newline and all.
    pub(super) fn push(&mut self, line: &[u8], samples: u64) {
        if line.len() > self.line_bytes_max {
            self.tally.give_up(Reason::TooBig, samples);
            return;
        }
        if self.open.bytes.len() + line.len() > self.bytes_max {
            self.close();
        }
        self.open.append(line, samples);
    }

    /// Ends the datagram that is being filled.
    pub(super) fn close(&mut self) {
        if self.open.bytes.is_empty() {
            return;
        }
        let full = std::mem::take(&mut self.open);
        self.ready_bytes += full.bytes.len();
        self.ready.push_back(full);
    }

    /// Keeps the bound on what nobody took. The oldest go: the Agent files what it gets under the time of
    /// arrival, so old ones would tell the least.
    pub(super) fn trim(&mut self) {
        while self.ready_bytes > self.backlog_bytes_max {
            let Some(oldest) = self.pop() else { return };
            self.dropped.add(oldest.bytes.len());
            self.tally.give_up(Reason::BacklogFull, oldest.samples);
        }
    }

    /// The datagram to send next.
    pub(super) fn first(&self) -> Option<&Datagram> {
        self.ready.front()
    }

    /// Takes that datagram out.
    pub(super) fn pop(&mut self) -> Option<Datagram> {
        let first = self.ready.pop_front()?;
        self.ready_bytes -= first.bytes.len();
        Some(first)
    }

    /// Cuts the first datagram in parts, because the socket took it for too long (EMSGSIZE); from the
    /// first time on, all others are half as long. False if it is a single line.
    pub(super) fn split_first(&mut self) -> bool {
        let many = |datagram: &mut Datagram| datagram.of_lines.len() > 1;
        let Some(whole) = self.ready.pop_front_if(many) else {
            return false;
        };
        if self.bytes_max == self.line_bytes_max {
            self.bytes_max /= 2;
        }
        let limit = self.bytes_max.min(whole.bytes.len() / 2);
        let lines = whole.bytes.split_inclusive(|byte| *byte == b'\n');
        let mut parts: Vec<Datagram> = Vec::new();
        for (line, samples) in lines.zip(whole.of_lines) {
            match parts.last_mut() {
                Some(part) if part.bytes.len() + line.len() <= limit => part.append(line, samples),
                _ => {
                    let mut part = Datagram::default();
                    part.append(line, samples);
                    parts.push(part);
                }
            }
        }
        while let Some(part) = parts.pop() {
            self.ready.push_front(part);
        }
        true
    }

    /// Datagrams that had no room in the backlog since the last time.
    pub(super) fn take_dropped(&mut self) -> Packets {
        std::mem::take(&mut self.dropped)
    }

    /// Bytes of all datagrams that wait.
    pub(super) fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dogstatsd::reading;
    use crate::dogstatsd::sample::Kind;
    use crate::dogstatsd::tags::GlobalTags;

    fn packer(bytes_max: usize, backlog_bytes_max: usize) -> (Packer, Arc<Tally>) {
        let tally = Arc::new(Tally::default());
        let origin = Origin::default();
        (
            Packer::new(bytes_max, backlog_bytes_max, origin, tally.clone()),
            tally,
        )
    }

    fn datagrams(packer: &mut Packer) -> Vec<(String, u64)> {
        packer.close();
        let text = |datagram: Datagram| String::from_utf8(datagram.bytes).unwrap();
        std::iter::from_fn(|| packer.pop().map(|d| (d.samples, text(d))))
            .map(|(samples, text)| (text, samples))
            .collect()
    }

    #[track_caller]
    fn check(rule: &str, lines: &[&str], expected: &[&str]) {
        let (mut packer, tally) = packer(8, 1_000);
        for line in lines {
            tally.hold(1);
            packer.push(line.as_bytes(), 1);
        }
        let packed: Vec<String> = datagrams(&mut packer)
            .into_iter()
            .map(|(text, _)| text)
            .collect();
        assert_eq!(packed, expected, "{rule}");
    }

    #[test]
    fn lines_share_datagrams_up_to_the_limit() {
        check("nothing gives no datagram", &[], &[]);
        check("one", &["abc\n"], &["abc\n"]);
        check("exactly the limit", &["abc\n", "def\n"], &["abc\ndef\n"]);
        check("one byte over", &["abc\n", "defg\n"], &["abc\n", "defg\n"]);
        check(
            "a line of the limit",
            &["a\n", "abcdefg\n", "b\n"],
            &["a\n", "abcdefg\n", "b\n"],
        );
        check(
            "a line over the limit goes",
            &["a\n", "abcdefgh\n", "b\n"],
            &["a\nb\n"],
        );
    }

    #[test]
    fn values_are_split_where_the_limit_says() {
        let context = Context::new(Kind::Distribution, "lat", "route:/a".into()).unwrap();
        let values = [1.0, 2.0, 32.0];
        let whole = "lat:1:2:32|d|#route:/a\n";
        for (bytes_max, expected) in [
            (whole.len(), vec![(whole, 3)]),
            (
                whole.len() - 1,
                vec![("lat:1:2|d|#route:/a\n", 2), ("lat:32|d|#route:/a\n", 1)],
            ),
            (
                18,
                vec![("lat:1|d|#route:/a\n", 1), ("lat:2|d|#route:/a\n", 1)],
            ),
            (17, vec![]),
        ] {
            let (mut packer, tally) = packer(bytes_max, 1_000);
            tally.hold(3);
            packer.push_values(&context, &values, 1);
            let packed = datagrams(&mut packer);
            let packed: Vec<_> = packed.iter().map(|(text, n)| (text.as_str(), *n)).collect();
            assert_eq!(packed, expected, "limit {bytes_max}");
            let sent: u64 = packed.iter().map(|(_, samples)| samples).sum();
            assert_eq!(tally.held(), sent, "the rest is dropped as too big");
        }
    }

    #[test]
    fn a_full_backlog_lets_the_oldest_go() {
        let (mut packer, tally) = packer(4, 8);
        for line in ["one\n", "two\n", "six\n"] {
            tally.hold(1);
            packer.push(line.as_bytes(), 1);
        }
        packer.close();
        packer.trim();
        assert_eq!(
            datagrams(&mut packer),
            [("two\n".into(), 1), ("six\n".into(), 1)]
        );
        assert_eq!(tally.dropped(), [("backlog_full", 1)]);
    }

    #[test]
    fn a_datagram_too_long_for_the_socket_goes_in_parts() {
        #[track_caller]
        fn check(rule: &str, lines: &[&str], expected: &[&str]) {
            let (mut packer, tally) = packer(16, 1_000);
            tally.hold(lines.len() as u64);
            lines
                .iter()
                .for_each(|line| packer.push(line.as_bytes(), 1));
            packer.close();
            let waiting = packer.ready_bytes();
            let split = packer.split_first();
            assert_eq!(split, lines.len() > 1, "{rule}");
            assert_eq!(packer.ready_bytes(), waiting, "{rule}");
            packer.push(b"seven..\n", 1);
            packer.push(b"seven..\n", 1);
            let mut parts = datagrams(&mut packer);
            let after = ["seven..\n"; 2].map(|line| (line.to_string(), 1));
            assert_eq!(parts.split_off(parts.len() - 2), after, "{rule}: halved");
            let of_lines = |text: &&str| (text.to_string(), text.lines().count() as u64);
            let expected: Vec<_> = expected.iter().map(of_lines).collect();
            assert_eq!(parts, expected, "{rule}");
        }
        check("two", &["one...\n", "two...\n"], &["one...\n", "two...\n"]);
        let four = ["1\n", "2\n", "3\n", "4\n"];
        check("four", &four, &["1\n2\n", "3\n4\n"]);
        let long = ["1\n", "long, and alone\n"];
        let (mut packer, _) = packer(20, 1_000);
        long.iter().for_each(|line| packer.push(line.as_bytes(), 1));
        packer.close();
        assert!(packer.split_first());
        packer.push(b"long, and pushed later\n", 1);
        packer.push(b"long, pushed later\n", 1);
        let texts: Vec<_> = datagrams(&mut packer).into_iter().map(|(t, _)| t).collect();
        assert_eq!(texts, [long[0], long[1], "long, pushed later\n"]);
        assert!(!packer.split_first(), "nothing there");
    }

    /// A word, one in ten of them long.
    fn word() -> impl Strategy<Value = String> {
        (0..10, "[a|:,\n#]{1,12}").prop_map(|(long, word)| match long {
            0 => word.repeat(30),
            _ => format!("w{word}"),
        })
    }

    fn sample_line() -> impl Strategy<Value = (String, String, Vec<f64>)> {
        (word(), word(), prop::collection::vec(-1e9..1e9, 0..80))
    }

    proptest! {
        #[test]
        fn no_datagram_is_over_its_limit_and_no_value_is_lost(
            bytes_max in 1_usize..400, lines in prop::collection::vec(sample_line(), 0..12),
        ) {
            let (mut packer, tally) = packer(bytes_max, usize::MAX);
            let mut values_in = 0;
            for (name, tag, values) in &lines {
                let tags = GlobalTags::default().with(&[("k", tag)]);
                let Ok(context) = Context::new(Kind::Histogram, name, tags) else { continue };
                tally.hold(values.len() as u64 + 1);
                packer.push_values(&context, values, 1);
                packer.push_metric(&context, Values::Numbers(&[1.0]), 1);
                values_in += values.len() + 1;
            }
            packer.close();
            let mut values_out = 0;
            while let Some(datagram) = packer.pop() {
                prop_assert!(datagram.bytes.len() <= bytes_max);
                let read = reading::datagram(&datagram.bytes).unwrap();
                let values: usize = read.iter().map(|read| read.values.len()).sum();
                prop_assert_eq!(values as u64, datagram.samples);
                values_out += values;
            }
            prop_assert_eq!(values_out as u64, tally.held(), "what is held is what goes out");
            let too_big: u64 = tally.dropped().iter().map(|(_, count)| count).sum();
            prop_assert_eq!(values_in as u64, values_out as u64 + too_big);
        }
    }
}
