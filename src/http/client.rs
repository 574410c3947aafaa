//! One exchange over TCP or a Unix socket.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::{Error, READING, SENDING, WAITING};
use super::message::{Chunked, Framing, Head, decode_chunked, decode_head, encode_head};
use super::{Call, Response, Target};
use crate::clock::Clock;

/// Bounds of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body that is taken.
    pub body_bytes_max: usize,
    /// Longest wait for one address to accept, within the exchange's own deadline.
    pub connect_wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: 1 << 20,
            connect_wait_max: Duration::from_millis(500),
        }
    }
}

/// Between two looks at whether an exchange is to end, where somebody may say so.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Keeps one connection to one target. Connects with the first exchange, not before.
#[derive(Debug)]
pub struct Client {
    target: Target,
    host: String,
    clock: Clock,
    limits: Limits,
    connection: Option<Stream>,
    hand_overs: u32,
    head: String,
    received: Vec<u8>,
    end_ns: Option<Arc<AtomicU64>>,
}

impl Client {
    /// A client with the default limits.
    pub fn new(target: Target, clock: Clock) -> Client {
        Client::with_limits(target, clock, Limits::default())
    }

    /// A client with other limits.
    pub fn with_limits(target: Target, clock: Clock, limits: Limits) -> Client {
        let host = match &target {
            Target::Tcp(..) => target.to_string().split_off("http://".len()),
            // A Unix socket has no host; the field is mandatory and its content is ignored.
            Target::Unix(_) => "localhost".to_string(),
        };
        let (head, received) = (String::new(), Vec::new());
        Client {
            target,
            host,
            clock,
            limits,
            connection: None,
            hand_overs: 0,
            head,
            received,
            end_ns: None,
        }
    }

    /// At this time, in nanoseconds of the monotonic clock, exchanges end as if their deadline had passed. It may be
    /// brought forward at any time; an exchange under way notices within a tenth of a second.
    #[must_use]
    pub fn until(self, end_ns: Arc<AtomicU64>) -> Client {
        let end_ns = Some(end_ns);
        Client { end_ns, ..self }
    }

    /// Where this client connects.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends one request and reads its response, all within the deadline.
    ///
    /// A kept connection that the peer has closed meanwhile is replaced once, at once.
    ///
    /// # Errors
    /// [`Error`], which says what was being done and what went wrong.
    pub fn exchange(&mut self, call: &Call<'_>, deadline: Duration) -> Result<Response, Error> {
        let deadline_ns = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
        let timer = Timer {
            clock: self.clock.clone(),
            end_ns: self.clock.mono_ns().saturating_add(deadline_ns),
        };
        self.head.clear();
        self.hand_overs = 0;
        encode_head(&mut self.head, call, &self.host);
        if let Some(kept) = self.connection.take() {
            match self.attempt(kept, call, &timer) {
                Err(Error::Broken(..)) if self.received.is_empty() => {}
                outcome => return outcome,
            }
        }
        let fresh = self.connect(&timer)?;
        self.attempt(fresh, call, &timer)
    }

    /// How often the last exchange wrote its request whole: twice where a kept connection broke before an
    /// answer, and nobody knows whether the peer had read it.
    pub fn hand_overs(&self) -> u32 {
        self.hand_overs
    }

    fn connect(&self, timer: &Timer) -> Result<Stream, Error> {
        let connect_error = |error| Error::Connect(self.target.clone(), error);
        let (host, port) = match &self.target {
            Target::Unix(path) => {
                let connected = self.until_connected(timer, || UnixStream::connect(path))?;
                return connected.map(Stream::Unix).map_err(connect_error);
            }
            Target::Tcp(host, port) => (host.as_str(), *port),
        };
        let addresses = (host, port)
            .to_socket_addrs()
            .map_err(|error| Error::Resolve(self.target.clone(), error))?;
        let mut last = io::Error::new(ErrorKind::NotFound, "no address for this name");
        for address in addresses {
            let Some(left) = timer.left() else {
                return Err(Error::Deadline(self.target.clone(), "connecting"));
            };
            match TcpStream::connect_timeout(&address, left.min(self.limits.connect_wait_max)) {
                Ok(stream) => {
                    // Best effort: without it a small request waits for the peer's delayed ACK.
                    let _ = stream.set_nodelay(true);
                    return Ok(Stream::Tcp(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(connect_error(last))
    }

    /// std goes on with a TCP connect that a signal interrupts, and not with this one.
    fn until_connected<S>(
        &self,
        timer: &Timer,
        mut connect: impl FnMut() -> io::Result<S>,
    ) -> Result<io::Result<S>, Error> {
        loop {
            self.wait(timer, "connecting")?;
            match connect() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return Ok(outcome),
            }
        }
    }

    fn attempt(
        &mut self,
        mut stream: Stream,
        call: &Call<'_>,
        timer: &Timer,
    ) -> Result<Response, Error> {
        self.received.clear();
        let (head, is_sent) = match self.write(&mut stream, call, timer) {
            Ok(()) => {
                self.hand_overs += 1;
                (self.read_head(&mut stream, timer)?, true)
            }
            // One that refuses by the length alone answers and closes while the body is under way.
            Err(broken @ Error::Broken(..)) => match self.read_head(&mut stream, timer) {
                Ok(head) => (head, false),
                Err(_) => return Err(broken),
            },
            Err(error) => return Err(error),
        };
        let keep_alive = head.keep_alive && is_sent;
        let (response, end) = self.read_body(&mut stream, head, timer)?;
        // Bytes past the end would be taken for the next answer.
        if keep_alive && end == self.received.len() {
            self.connection = Some(stream);
        }
        if self.received.capacity() > 64 << 10 {
            self.received = Vec::new();
        }
        Ok(response)
    }

    fn write(&self, stream: &mut Stream, call: &Call<'_>, timer: &Timer) -> Result<(), Error> {
        let head = [self.head.as_bytes()];
        let pieces = head
            .iter()
            .chain(call.body)
            .filter(|piece| !piece.is_empty());
        let mut slices: Vec<IoSlice<'_>> = pieces.map(|piece| IoSlice::new(piece)).collect();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let wait = self.wait(timer, SENDING)?;
            let written = stream
                .set_timeout(wait)
                .and_then(|()| stream.write_vectored(left));
            match written {
                Ok(0) => return Err(self.broken(SENDING, ErrorKind::WriteZero.into())),
                // At most 1,024 slices go out in one call; the rest follows in the next.
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) => self.unless_passing(error, SENDING)?,
            }
        }
        Ok(())
    }

    fn read_head(&mut self, stream: &mut Stream, timer: &Timer) -> Result<Head, Error> {
        loop {
            let decoded = decode_head(&self.received).map_err(|why| self.malformed(why))?;
            match decoded {
                // 101 ends the exchange as HTTP; nobody asked for it.
                Some(head) if head.response.status == 101 => {
                    return Err(self.malformed("switches protocols unasked".to_string()));
                }
                Some(head) if head.response.status < 200 => drop(self.received.drain(..head.bytes)),
                Some(head) => return Ok(head),
                None if self.read_more(stream, timer)? == 0 => {
                    let closed = ErrorKind::UnexpectedEof.into();
                    return Err(self.broken(WAITING, closed));
                }
                None => {}
            }
        }
    }

    /// Returns the response and where in `received` it ends.
    fn read_body(
        &mut self,
        stream: &mut Stream,
        head: Head,
        timer: &Timer,
    ) -> Result<(Response, usize), Error> {
        let limit = self.limits.body_bytes_max;
        let mut response = head.response;
        loop {
            let so_far = &self.received[head.bytes..];
            let done = match head.framing {
                Framing::Length(length) if length > limit => {
                    return Err(self.too_large(response.status));
                }
                Framing::Length(length) => so_far.get(..length).map(|body| {
                    response.body.extend_from_slice(body);
                    length
                }),
                Framing::Chunked => {
                    let step = decode_chunked(so_far, &mut response.body);
                    match step.map_err(|why| self.malformed(why))? {
                        Chunked::Done(used) => Some(used),
                        Chunked::More => None,
                    }
                }
                Framing::Close => None,
            };
            if let Some(used) = done {
                return Ok((response, head.bytes + used));
            }
            if so_far.len() > limit + (limit >> 3) + 4_096 || response.body.len() > limit {
                return Err(self.too_large(response.status));
            }
            if self.read_more(stream, timer)? == 0 {
                if head.framing == Framing::Close && self.received.len() - head.bytes <= limit {
                    response.body = self.received.split_off(head.bytes);
                    return Ok((response, head.bytes));
                }
                return Err(self.broken(READING, ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn read_more(&mut self, stream: &mut Stream, timer: &Timer) -> Result<usize, Error> {
        // Grows with what came, so that a large chunked body is decoded a few times, not thousands.
        let room = self.received.len().clamp(4 << 10, 1 << 20);
        let length = self.received.len();
        loop {
            let wait = self.wait(timer, WAITING)?;
            self.received.resize(length + room, 0);
            let read = stream
                .set_timeout(wait)
                .and_then(|()| stream.read(&mut self.received[length..]));
            self.received
                .truncate(length + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(read) => return Ok(read),
                Err(error) => self.unless_passing(error, WAITING)?,
            }
        }
    }

    fn wait(&self, timer: &Timer, doing: &'static str) -> Result<Duration, Error> {
        let end_ns = self.end_ns.as_ref();
        let end_ns = end_ns.map_or(u64::MAX, |end_ns| end_ns.load(Ordering::Relaxed));
        let left = timer.left().filter(|_| self.clock.mono_ns() < end_ns);
        let left = left.ok_or_else(|| Error::Deadline(self.target.clone(), doing))?;
        Ok(match self.end_ns {
            Some(_) => left.min(LOOK_INTERVAL),
            None => left,
        })
    }

    /// A signal or the socket's own time limit only sends us back to look at the deadline.
    fn unless_passing(&self, error: io::Error, doing: &'static str) -> Result<(), Error> {
        match error.kind() {
            ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
            _ => Err(self.broken(doing, error)),
        }
    }

    fn broken(&self, doing: &'static str, error: io::Error) -> Error {
        Error::Broken(self.target.clone(), doing, error)
    }

    fn malformed(&self, why: String) -> Error {
        Error::Malformed(self.target.clone(), why)
    }

    fn too_large(&self, status: u16) -> Error {
        Error::TooLarge(self.target.clone(), self.limits.body_bytes_max, status)
    }
}

struct Timer {
    clock: Clock,
    end_ns: u64,
}

impl Timer {
    fn left(&self) -> Option<Duration> {
        match self.end_ns.saturating_sub(self.clock.mono_ns()) {
            0 => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn set_timeout(&self, wait: Duration) -> io::Result<()> {
        // The kernel counts microseconds and takes 0 for "for ever".
        let wait = Some(wait.max(Duration::from_micros(1)));
        match self {
            Stream::Tcp(stream) => stream
                .set_read_timeout(wait)
                .and_then(|()| stream.set_write_timeout(wait)),
            Stream::Unix(stream) => stream
                .set_read_timeout(wait)
                .and_then(|()| stream.set_write_timeout(wait)),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into),
            Stream::Unix(stream) => stream.read(into),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write_vectored(slices),
            Stream::Unix(stream) => stream.write_vectored(slices),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);
    const GET: Call<'static> = Call {
        method: "GET",
        path: "/",
        headers: &[],
        body: &[],
    };

    /// Serves each script to one connection after another: after a request's head has come, its bytes
    /// are written; an empty script closes at once; the last connection is held open until dropped.
    fn peer(scripts: Vec<Vec<&'static str>>) -> (Client, mpsc::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heads, seen) = mpsc::channel();
        std::thread::Builder::new()
            .spawn(move || {
                for (number, script) in scripts.into_iter().enumerate() {
                    let (mut stream, _) = listener.accept().unwrap();
                    for bytes in script {
                        let mut head = Vec::new();
                        let mut byte = [0];
                        while !head.ends_with(b"\r\n\r\n")
                            && stream.read(&mut byte).unwrap_or(0) > 0
                        {
                            head.push(byte[0]);
                        }
                        let _ = heads.send(number);
                        let _ = stream.write_all(bytes.as_bytes());
                    }
                }
            })
            .unwrap();
        (
            Client::new(Target::Tcp("127.0.0.1".to_string(), port), Clock::system()),
            seen,
        )
    }

    #[test]
    fn a_connection_is_kept_and_a_stale_one_is_replaced_once() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let (mut client, seen) = peer(vec![vec![ok, ok], vec![ok]]);
        for _ in 0..3 {
            assert_eq!(client.exchange(&GET, LONG).unwrap().body, b"ok");
        }
        assert_eq!(seen.iter().take(3).collect::<Vec<_>>(), [0, 0, 1]);
    }

    #[track_caller]
    fn check(rule: &str, answer: &'static str, expected: Result<&str, &str>) {
        let (mut client, _seen) = peer(vec![vec![answer]]);
        match (client.exchange(&GET, LONG), expected) {
            (Ok(response), Ok(body)) => assert_eq!(response.body, body.as_bytes(), "{rule}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{rule}: {error}"),
            (seen, _) => panic!("{rule}: {seen:?}"),
        }
    }

    #[test]
    fn every_kind_of_answer_is_read_or_refused() {
        check(
            "until close",
            "HTTP/1.1 200 OK\r\n\r\nall of it",
            Ok("all of it"),
        );
        check(
            "chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            Ok("ab"),
        );
        check(
            "interim answers are skipped",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            Ok("x"),
        );
        check(
            "a redirect is an answer",
            "HTTP/1.1 301 Moved\r\nLocation: http://evil/\r\nContent-Length: 1\r\n\r\nm",
            Ok("m"),
        );
        check("no body", "HTTP/1.1 204 No Content\r\n\r\n", Ok(""));
        check(
            "cut short",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
            Err(READING),
        );
        check("cut in the head", "HTTP/1.1 200 OK\r\nConte", Err(WAITING));
        check("closed at once", "", Err(WAITING));
        check("no HTTP", "hello\r\n\r\n", Err("not an HTTP response"));
        check(
            "a body over the limit",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            Err("over 1048576 bytes"),
        );
        check(
            "upgrade",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            Err("unasked"),
        );
    }

    #[test]
    fn a_peer_that_accepts_and_stays_silent_meets_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = Client::new(Target::Tcp("127.0.0.1".to_string(), port), Clock::system());
        let error = client
            .exchange(&GET, Duration::from_millis(30))
            .unwrap_err();
        assert!(matches!(error, Error::Deadline(_, WAITING)), "{error}");
    }

    #[test]
    fn a_peer_that_drips_meets_the_same_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let dripping = std::thread::Builder::new()
            .spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
                let (_hold, tick) = mpsc::channel::<()>();
                while stream.write_all(b"x").is_ok() {
                    let _ = tick.recv_timeout(Duration::from_millis(2));
                }
            })
            .unwrap();
        let mut client = Client::new(Target::Tcp("127.0.0.1".to_string(), port), Clock::system());
        let error = client
            .exchange(&GET, Duration::from_millis(60))
            .unwrap_err();
        assert!(matches!(error, Error::Deadline(..)), "{error}");
        drop(client);
        dripping.join().unwrap();
    }

    #[test]
    fn a_large_body_in_pieces_arrives_whole_over_a_unix_socket() {
        let path = std::env::temp_dir().join(format!("testapi-http-{}.sock", fastrand::u64(..)));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let reading = std::thread::Builder::new()
            .spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut all = vec![0; 3_000_000 + 59];
                stream.read_exact(&mut all).unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .unwrap();
                all
            })
            .unwrap();
        let piece = vec![b'x'; 1_000_000];
        let call = Call {
            method: "PUT",
            path: "/",
            headers: &[],
            body: &[&piece, &piece, &piece],
        };
        let mut client = Client::new(Target::Unix(path.clone()), Clock::system());
        assert_eq!(client.exchange(&call, LONG).unwrap().status, 200);
        let all = reading.join().unwrap();
        assert!(
            all.starts_with(
                b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\nx"
            )
        );
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_connect_that_signals_interrupt_goes_on_until_the_deadline() {
        let check = |rule: &str, interruptions: u64, expected: Result<u64, &str>| {
            let (clock, hand) = Clock::manual(0);
            let client = Client::new(Target::Unix("/s".into()), clock.clone());
            let (timer, mut tries) = (Timer { clock, end_ns: 3 }, 0);
            let connected = client.until_connected(&timer, || {
                tries += 1;
                hand.advance_ns(1);
                match tries > interruptions {
                    true => Ok(tries),
                    false => Err(ErrorKind::Interrupted.into()),
                }
            });
            match (connected, expected) {
                (Ok(Ok(tries)), Ok(expected)) => assert_eq!(tries, expected, "{rule}"),
                (Err(Error::Deadline(_, doing)), Err(said)) => assert_eq!(doing, said, "{rule}"),
                (seen, _) => panic!("{rule}: {seen:?}"),
            }
        };
        check("none", 0, Ok(1));
        check("two, and there is time for a third try", 2, Ok(3));
        check("three, and then there is no time", 3, Err("connecting"));
        let client = Client::new(Target::Unix("/s".into()), Clock::system());
        let (clock, end_ns) = (Clock::system(), u64::MAX);
        let refused = client.until_connected(&Timer { clock, end_ns }, || {
            io::Result::<()>::Err(ErrorKind::ConnectionRefused.into())
        });
        let kind = refused.unwrap().unwrap_err().kind();
        assert_eq!(
            kind,
            ErrorKind::ConnectionRefused,
            "no signal: told at once"
        );
    }

    #[test]
    fn a_signal_and_a_time_limit_are_no_end_of_an_exchange() {
        let client = Client::new(Target::Unix("/s".into()), Clock::system());
        for (kind, passes) in [
            (ErrorKind::Interrupted, true),
            (ErrorKind::WouldBlock, true),
            (ErrorKind::TimedOut, true),
            (ErrorKind::ConnectionReset, false),
            (ErrorKind::BrokenPipe, false),
        ] {
            let outcome = client.unless_passing(kind.into(), WAITING);
            assert_eq!(outcome.is_ok(), passes, "{kind}");
        }
    }

    #[test]
    fn nobody_there_says_who_and_why() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut client = Client::new(Target::Tcp("127.0.0.1".to_string(), port), Clock::system());
        let text = client.exchange(&GET, LONG).unwrap_err().to_string();
        assert!(
            text.starts_with(&format!("http://127.0.0.1:{port}: cannot connect: ")),
            "{text}"
        );
    }
}
