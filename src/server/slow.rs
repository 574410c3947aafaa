//! Replies that their clients do not take at once.
//!
//! A write to a socket waits for a few milliseconds at most (`front.rs`). What is not out by then leaves the
//! pool: one thread goes around all such replies until each is taken or its time is up.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::roles::Shared;

/// Replies at one time; for a further one the oldest is given up.
const UNSENT_MAX: usize = 256;
/// Their bytes together; one reply alone may be longer.
const UNSENT_BYTES_MAX: usize = 64 << 20;

/// A reply on its way.
pub(super) struct Unsent {
    pub(super) writer: Box<dyn Write + Send>,
    pub(super) out: Vec<u8>,
    pub(super) written: usize,
    pub(super) end_ns: u64,
    pub(super) peer: Option<SocketAddr>,
}

#[derive(Default)]
pub(super) struct Slow {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    unsent: VecDeque<Unsent>,
    bytes: usize,
    /// One of them is out of the queue, in a write.
    at_one: bool,
    closed: bool,
}

/// Writes as much as the socket takes in one wait; `Ok(true)` when nothing is left.
pub(super) fn write_some(
    writer: &mut dyn Write,
    out: &[u8],
    written: &mut usize,
) -> io::Result<bool> {
    let wrote = if *written < out.len() {
        writer.write(&out[*written..])
    } else {
        Ok(0)
    };
    let flushed = wrote.and_then(|count| {
        let idle = count == 0 && *written < out.len();
        *written += count;
        match *written == out.len() {
            true => writer.flush().map(|()| true),
            false if idle => Err(io::ErrorKind::WriteZero.into()),
            false => Ok(false),
        }
    });
    match flushed {
        Err(error) if waits(&error) => Ok(false),
        other => other,
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl Unsent {
    fn write_some(&mut self) -> io::Result<bool> {
        write_some(&mut self.writer, &self.out, &mut self.written)
    }
}

impl Slow {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.unsent.is_empty() && !state.at_one
    }

    /// Lets the thread see that the server stops.
    pub(super) fn wake(&self) {
        let _state = self.lock();
        self.more.notify_all();
    }

    /// Takes a reply over and returns those that had to make room; gives it back when nobody writes any more.
    fn add(&self, unsent: Unsent) -> Result<Vec<Unsent>, Unsent> {
        let mut state = self.lock();
        if state.closed {
            return Err(unsent);
        }
        let mut given_up = Vec::new();
        state.push(unsent);
        while state.unsent.len() > UNSENT_MAX || state.bytes > UNSENT_BYTES_MAX {
            if state.unsent.len() == 1 {
                break;
            }
            given_up.extend(state.pop());
        }
        self.more.notify_one();
        Ok(given_up)
    }

    /// The next reply to go on with; waits for one. `None` once the server stops and nothing is left.
    fn take(&self, shared: &Shared) -> Option<Unsent> {
        let mut state = self.lock();
        loop {
            if let Some(unsent) = state.pop() {
                state.at_one = true;
                return Some(unsent);
            }
            if shared.stopping.load(Ordering::Acquire) {
                state.closed = true;
                return None;
            }
            state = self
                .more
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends what `take` began.
    fn put_back(&self, unsent: Option<Unsent>) {
        let mut state = self.lock();
        state.at_one = false;
        if let Some(unsent) = unsent {
            state.push(unsent);
        }
    }
}

impl State {
    fn push(&mut self, unsent: Unsent) {
        self.bytes += unsent.out.len();
        self.unsent.push_back(unsent);
    }

    fn pop(&mut self) -> Option<Unsent> {
        let unsent = self.unsent.pop_front()?;
        self.bytes -= unsent.out.len();
        Some(unsent)
    }
}

impl Shared {
    /// Goes around the replies that are not out until the server stops.
    pub(super) fn write_slowly(&self) {
        while let Some(mut unsent) = self.slow.take(self) {
            match self.write_in_time(&mut unsent) {
                Ok(false) => self.slow.put_back(Some(unsent)),
                result => {
                    self.end_turn(unsent, result.is_ok());
                    // Only now: while this is not told, a server that stops waits for what the turn brings.
                    self.slow.put_back(None);
                }
            }
        }
    }

    /// Takes a reply off a thread of the pool.
    pub(super) fn write_later(&self, unsent: Unsent) {
        match self.slow.add(unsent) {
            Ok(given_up) => given_up
                .into_iter()
                .for_each(|unsent| self.end_turn(unsent, false)),
            Err(mut unsent) => {
                let result = loop {
                    match self.write_in_time(&mut unsent) {
                        Ok(false) => {}
                        result => break result,
                    }
                };
                self.end_turn(unsent, result.is_ok());
            }
        }
    }

    fn write_in_time(&self, unsent: &mut Unsent) -> io::Result<bool> {
        let end_ns = unsent.end_ns.min(self.stop_at_ns.load(Ordering::Acquire));
        if self.clock.mono_ns() > end_ns {
            return Err(io::ErrorKind::TimedOut.into());
        }
        unsent.write_some()
    }

    fn end_turn(&self, unsent: Unsent, sent: bool) {
        let peer = unsent.peer;
        // The connection's next reply may be written once this writer is gone.
        drop(unsent);
        if !sent {
            self.answerer.not_taken(peer);
        }
        self.hand_on(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsent(bytes: usize, end_ns: u64) -> Unsent {
        Unsent {
            writer: Box::new(io::sink()),
            out: vec![0; bytes],
            written: 0,
            end_ns,
            peer: None,
        }
    }

    #[test]
    fn the_oldest_makes_room() {
        #[track_caller]
        fn check(rule: &str, lengths: &[usize], given_up: &[u64]) {
            let slow = Slow::default();
            let mut gone = Vec::new();
            for (at, bytes) in lengths.iter().enumerate() {
                let added = slow.add(unsent(*bytes, at as u64));
                gone.extend(added.ok().unwrap().iter().map(|unsent| unsent.end_ns));
            }
            assert_eq!(gone, given_up, "{rule}");
        }
        let third = UNSENT_BYTES_MAX / 3;
        check("one too many", &[1; UNSENT_MAX + 1], &[0]);
        check("as many as may be", &[1; UNSENT_MAX], &[]);
        check("too many bytes", &[third, third, third, third], &[0]);
        check("one alone is never too long", &[UNSENT_BYTES_MAX + 1], &[]);
        check("a long one after others", &[1, UNSENT_BYTES_MAX], &[0]);
    }

    #[test]
    fn what_comes_after_the_end_is_given_back() {
        let slow = Slow::default();
        slow.lock().closed = true;
        assert_eq!(slow.add(unsent(1, 7)).err().unwrap().end_ns, 7);
    }

    #[test]
    fn a_write_goes_on_where_the_socket_stopped() {
        /// Takes three bytes, then none, in turns.
        struct Sips(Vec<u8>, bool, io::ErrorKind);
        impl Write for Sips {
            fn write(&mut self, out: &[u8]) -> io::Result<usize> {
                self.1 = !self.1;
                let count = out.len().min(3);
                match self.1 {
                    true => Err(self.2.into()),
                    false => self.0.write(&out[..count]),
                }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        // The socket's time limit, and a signal, which ends a write that has such a limit.
        for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted] {
            let (mut sips, mut written) = (Sips(Vec::new(), false, kind), 0);
            let ended: Vec<bool> = (0..6)
                .map(|_| write_some(&mut sips, b"a reply", &mut written).unwrap())
                .collect();
            assert_eq!(ended, [false, false, false, false, false, true], "{kind}");
            assert_eq!(sips.0, b"a reply", "{kind}");
        }
    }
}
