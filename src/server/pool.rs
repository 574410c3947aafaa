//! The threads that serve.
//!
//! What they do while they run stands in `roles.rs`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use super::answer::Answerer;
use super::front::Front;
use super::peers::Peers;
use super::roles::{LOOK_INTERVAL, NOBODY, Shared};
use super::slow::Slow;
use super::{Reply, Request};
use crate::clock::Clock;
use crate::threads;

/// What a server does with a request.
pub trait Serve: Send + Sync + 'static {
    /// Answers. A panic in here becomes a 500.
    fn serve(&self, request: &mut Request) -> Reply;

    /// The server has answered with this status itself: a head it refused, a body it had no thread for, a
    /// panic. For who counts replies; must not block.
    fn passed_over(&self, _status: u16) {}
}

impl<F: Fn(&mut Request) -> Reply + Send + Sync + 'static> Serve for F {
    fn serve(&self, request: &mut Request) -> Reply {
        self(request)
    }
}

/// Where and with how many threads to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Prefix of the thread names, at most 12 bytes.
    pub name: &'static str,
    /// Address to bind, `127.0.0.1:5000`.
    pub bind: String,
    /// Threads in the pool, at least 1.
    pub workers: usize,
}

/// Why a server did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken, not ours, or not an address.
    Bind(String, io::Error),
    /// The system refused a thread.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind(address, error) if error.kind() == io::ErrorKind::InvalidInput => {
                write!(
                    f,
                    "cannot bind {address:?}: takes address:port, as 127.0.0.1:5000"
                )
            }
            StartError::Bind(address, error) => write!(f, "cannot bind {address}: {error}"),
            StartError::Thread(error) => write!(f, "cannot start a server thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind(_, error) | StartError::Thread(error) => Some(error),
        }
    }
}

/// Counters of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests answered.
    pub replies: u64,
    /// Replies that the client did not take.
    pub write_failed: u64,
    /// Requests thrown away unanswered: their client did not take the replies before them, asked for too much
    /// at once, or sent them after a head that was refused.
    pub dropped: u64,
    /// Requests refused for their head (400), or for want of a thread to wait for their body (503).
    pub refused: u64,
    /// Panics that became a 500 here because nothing inside caught them.
    pub panics: u64,
    /// Connections left open for good because their body could not be read away.
    pub abandoned: u64,
    /// Times the accept loop died and was replaced.
    pub accept_restarts: u64,
}

/// What the pool's threads do at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Ready to serve.
    pub idle: usize,
    /// Serving a request. Threads that only wait for a body are not of the pool.
    pub working: usize,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Whether every thread of the pool ended within the deadline.
    pub joined: bool,
}

/// Owns a server. Dropping it stops it.
#[must_use = "dropping the guard stops the server at once"]
pub struct Guard {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    ended: mpsc::Receiver<()>,
}

/// Binds, starts the pool and serves until the guard is stopped.
///
/// # Errors
/// [`StartError`] when the address cannot be bound or a thread cannot start.
pub fn start(options: &Options, serve: Arc<dyn Serve>) -> Result<Guard, StartError> {
    let clock = Clock::system();
    let front = Front::bind(&options.bind, clock.clone())
        .map_err(|error| StartError::Bind(options.bind.clone(), error))?;
    let shared = Arc::new(Shared {
        front,
        intake: Mutex::new(()),
        peers: Peers::default(),
        slow: Slow::default(),
        serve,
        answerer: Answerer::new(clock.clone()),
        clock,
        leader: AtomicUsize::new(0),
        leader_waits: AtomicBool::new(false),
        turns: AtomicU64::new(0),
        serving: AtomicUsize::new(0),
        tasks: (0..options.workers.max(1))
            .map(|_| AtomicU64::new(0))
            .collect(),
        standby: AtomicUsize::new(NOBODY),
        standby_sleeps: AtomicBool::new(false),
        parked: Mutex::new(Vec::new()),
        threads: OnceLock::new(),
        panics: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        bodies: Mutex::default(),
        options: options.clone(),
        stopping: AtomicBool::new(false),
        stop_at_ns: AtomicU64::new(u64::MAX),
    });
    let (alive, ended) = mpsc::channel();
    let mut threads = Vec::new();
    let looker = start_beside(&shared, &alive, "look", Shared::look_after_connections)?;
    let slow = start_beside(&shared, &alive, "slow", Shared::write_slowly)?;
    for id in 0..options.workers.max(1) {
        let (shared, alive) = (shared.clone(), alive.clone());
        let all = shared.clone();
        let thread = thread::Builder::new()
            .name(format!("{}-{id}", options.name))
            .spawn(move || {
                let life = threads::born();
                // Until the starter has told everybody's handle, there is nobody to call.
                while shared.threads.get().is_none() {
                    thread::park_timeout(LOOK_INTERVAL);
                }
                shared.run(id);
                drop(life);
                drop(alive);
            });
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                // Those that have started wait to be told of one another; they hear of the end instead.
                all.stopping.store(true, Ordering::Release);
                all.slow.wake();
                let _ = all.threads.set(Vec::new());
                return Err(StartError::Thread(error));
            }
        }
    }
    let handles = threads
        .iter()
        .map(|thread| thread.thread().clone())
        .collect();
    let _ = shared.threads.set(handles);
    threads.extend([looker, slow]);
    Ok(Guard {
        shared,
        threads,
        ended,
    })
}

/// A thread that serves nobody.
fn start_beside(
    shared: &Arc<Shared>,
    alive: &mpsc::Sender<()>,
    name: &str,
    run: fn(&Shared),
) -> Result<JoinHandle<()>, StartError> {
    let (its, alive) = (shared.clone(), alive.clone());
    let thread = thread::Builder::new()
        .name(format!("{}-{name}", shared.options.name))
        .spawn(move || {
            let life = threads::born();
            run(&its);
            drop(life);
            drop(alive);
        });
    thread.map_err(|error| {
        shared.stopping.store(true, Ordering::Release);
        StartError::Thread(error)
    })
}

/// Reads a server's counters. Cheap to clone.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.stats()).finish()
    }
}

impl Watch {
    /// Counters as they stand.
    pub fn stats(&self) -> Stats {
        let answerer = &self.0.answerer;
        Stats {
            replies: answerer.replies.load(Ordering::Relaxed),
            write_failed: answerer.write_failed.load(Ordering::Relaxed),
            dropped: answerer.dropped.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
            panics: self.0.panics.load(Ordering::Relaxed),
            abandoned: answerer.abandoned.load(Ordering::Relaxed),
            accept_restarts: self.0.front.accept_restarts.load(Ordering::Relaxed),
        }
    }

    /// The pool's threads as they stand.
    pub fn workers(&self) -> Workers {
        let all = self.0.tasks.len();
        let working = self.0.serving.load(Ordering::Relaxed).min(all);
        let idle = all - working;
        Workers { idle, working }
    }
}

impl Guard {
    /// The address that is really bound; tells the port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.shared.front.address()
    }

    /// The address under which this process itself reaches the server: loopback where every address is
    /// bound.
    pub fn near_address(&self) -> SocketAddr {
        self.shared.front.near_address()
    }

    /// Counters as they stand.
    pub fn stats(&self) -> Stats {
        self.watch().stats()
    }

    /// A view of the counters that outlives the guard's owner.
    pub fn watch(&self) -> Watch {
        Watch(self.shared.clone())
    }

    /// Refuses new connections, answers what still arrives on the open ones until they fall silent or half
    /// the deadline has passed, and joins the pool.
    pub fn stop(mut self, deadline: Duration) -> Stopped {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Duration) -> Stopped {
        let shared = &self.shared;
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let now_ns = shared.clock.mono_ns();
        shared
            .stop_at_ns
            .store(now_ns.saturating_add(ns(deadline / 2)), Ordering::Release);
        shared.stopping.store(true, Ordering::Release);
        shared.front.close();
        let end_ns = now_ns.saturating_add(ns(deadline));
        let joined = loop {
            // Again and again: whoever polls the queue may swallow the call to wake up.
            shared.front.current().unblock();
            shared.front.unblock_retired();
            shared.slow.wake();
            shared
                .threads
                .get()
                .into_iter()
                .flatten()
                .for_each(Thread::unpark);
            match self.ended.recv_timeout(LOOK_INTERVAL * 5) {
                Err(RecvTimeoutError::Disconnected) => break true,
                _ if shared.clock.mono_ns() >= end_ns => break false,
                _ => {}
            }
        };
        if joined {
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
        }
        self.threads.clear();
        Stopped { joined }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.end(Duration::from_secs(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::Barrier;

    use super::*;

    fn serve(workers: usize, serve: impl Serve) -> Guard {
        let options = Options {
            name: "test",
            bind: "127.0.0.1:0".to_string(),
            workers,
        };
        start(&options, Arc::new(serve)).unwrap()
    }

    fn connect(guard: &Guard) -> TcpStream {
        let stream = TcpStream::connect(guard.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    /// Sends a head and returns the reply's head and body.
    fn ask(stream: &mut TcpStream, request: &str) -> (String, String) {
        stream.write_all(request.as_bytes()).unwrap();
        read_reply(stream, !request.starts_with("HEAD"))
    }

    fn read_reply(stream: &mut impl Read, reads_body: bool) -> (String, String) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length
            .filter(|_| reads_body)
            .map_or(0, |l| l.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    fn without_date(head: &str) -> String {
        head.lines()
            .filter(|line| !line.starts_with("Date: "))
            .collect::<Vec<_>>()
            .join("|")
    }

    #[test]
    fn a_reply_has_exactly_these_bytes_on_a_connection_that_stays() {
        let guard = serve(2, |request: &mut Request| match request.path() {
            "/empty" => Reply {
                status: 204,
                ..Reply::default()
            },
            "/evil" => Reply::text(200, "x").with_header("X-A", "a\r\nX-Evil: 1"),
            "/odd" => Reply {
                status: 99,
                ..Reply::default()
            },
            path => Reply::text(200, path.to_string()).with_header("X-A", "1"),
        });
        let mut stream = connect(&guard);
        let (head, body) = ask(&mut stream, "GET /a?b HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_eq!(
            without_date(&head),
            "HTTP/1.1 200 OK|Server: testapi|Content-Type: text/plain; charset=utf-8|X-A: 1|Content-Length: 2|"
        );
        assert!(head.contains("\r\nDate: ") && body == "/a");
        let (head, _) = ask(&mut stream, "HEAD /a HTTP/1.1\r\n\r\n");
        assert!(head.contains("Content-Length: 2\r\n"));
        let (head, _) = ask(&mut stream, "GET /empty HTTP/1.1\r\n\r\n");
        assert_eq!(
            without_date(&head),
            "HTTP/1.1 204 No Content|Server: testapi|"
        );
        let (head, _) = ask(&mut stream, "GET /evil HTTP/1.1\r\n\r\n");
        assert!(!head.contains("Evil"), "{head}");
        let (head, _) = ask(&mut stream, "GET /odd HTTP/1.1\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
        assert_eq!(guard.stats().replies, 5);
        let (head, _) = ask(
            &mut stream,
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        );
        assert!(head.contains("\r\nConnection: keep-alive\r\n"), "{head}");
        let (head, _) = ask(&mut stream, "GET / HTTP/1.0\r\n\r\n");
        assert!(!head.contains("Connection:"), "{head}");
        assert_eq!(
            stream.read(&mut [0]).unwrap(),
            0,
            "1.0 ends unless asked to stay"
        );
    }

    #[test]
    fn a_panic_is_a_500_and_the_thread_lives_on() {
        let guard = serve(1, |request: &mut Request| {
            assert_ne!(request.path(), "/panic");
            Reply::text(200, "ok")
        });
        let mut stream = connect(&guard);
        for _ in 0..3 {
            assert!(
                ask(&mut stream, "GET /panic HTTP/1.1\r\n\r\n")
                    .0
                    .contains(" 500 ")
            );
        }
        assert_eq!(ask(&mut stream, "GET /ok HTTP/1.1\r\n\r\n").1, "ok");
        assert_eq!((guard.stats().panics, guard.stats().replies), (3, 4));
    }

    #[test]
    fn handlers_that_block_run_on_every_thread_of_the_pool() {
        const N: usize = 6;
        let barrier = Arc::new(Barrier::new(N));
        let guard = serve(N, move |_: &mut Request| {
            barrier.wait();
            Reply::text(200, "met")
        });
        let mut streams: Vec<TcpStream> = (0..N).map(|_| connect(&guard)).collect();
        for stream in &mut streams {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        }
        for stream in &mut streams {
            assert_eq!(ask(stream, "").1, "met");
        }
    }

    #[test]
    fn who_works_and_who_is_idle_is_told() {
        let (entered, inside) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let guard = serve(3, move |_: &mut Request| {
            entered.send(()).unwrap();
            let _ = gate.lock().unwrap().recv();
            Reply::text(200, "done")
        });
        let watch = guard.watch();
        let workers = |idle, working| Workers { idle, working };
        assert_eq!(watch.workers(), workers(3, 0));
        let mut streams = [connect(&guard), connect(&guard)];
        for (at, stream) in streams.iter_mut().enumerate() {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            inside.recv().unwrap();
            assert_eq!(watch.workers(), workers(2 - at, 1 + at));
        }
        drop(go);
        for stream in &mut streams {
            assert_eq!(ask(stream, "").1, "done");
        }
        // A reply is out a moment before its thread is free again.
        while watch.workers() != workers(3, 0) {
            thread::yield_now();
        }
    }

    #[test]
    fn what_the_server_answers_itself_is_told() {
        #[derive(Default)]
        struct Told(Mutex<Vec<u16>>);
        impl Serve for Told {
            fn serve(&self, request: &mut Request) -> Reply {
                assert_ne!(request.path(), "/panic");
                Reply::text(200, "ok")
            }

            fn passed_over(&self, status: u16) {
                self.0.lock().unwrap().push(status);
            }
        }
        let told = Arc::new(Told::default());
        let options = Options {
            name: "test",
            bind: "127.0.0.1:0".to_string(),
            workers: 1,
        };
        let guard = start(&options, told.clone()).unwrap();
        let mut stream = connect(&guard);
        ask(&mut stream, "GET / HTTP/1.1\r\n\r\n");
        ask(&mut stream, "GET /panic HTTP/1.1\r\n\r\n");
        ask(&mut stream, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
        assert_eq!(*told.0.lock().unwrap(), [500, 400]);
    }

    #[test]
    fn a_body_that_nobody_asked_for_holds_no_thread_of_the_pool() {
        let guard = serve(1, |_: &mut Request| Reply::text(200, "ok"));
        let mut held: Vec<TcpStream> = Vec::new();
        for framing in [
            "Content-Length: 100000",
            "Content-Length: 5000\r\nExpect: 100-continue",
            "Transfer-Encoding: chunked",
            "Content-Length: 100000000000",
        ] {
            for _ in 0..3 {
                let mut stream = connect(&guard);
                write!(stream, "GET / HTTP/1.1\r\n{framing}\r\n\r\n").unwrap();
                held.push(stream);
            }
        }
        assert_eq!(ask(&mut connect(&guard), "GET / HTTP/1.1\r\n\r\n").1, "ok");
        drop(held);
    }

    #[test]
    fn a_body_that_was_not_asked_for_but_arrives_leaves_the_connection_usable() {
        let guard = serve(1, |request: &mut Request| {
            Reply::text(200, request.path().to_string())
        });
        let mut stream = connect(&guard);
        let body = "x".repeat(5_000);
        let post = format!("POST /a HTTP/1.1\r\nContent-Length: 5000\r\n\r\n{body}");
        assert_eq!(ask(&mut stream, &post).1, "/a");
        let chunked = "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n";
        assert_eq!(ask(&mut stream, chunked).1, "/b");
        assert_eq!(ask(&mut stream, "GET /c HTTP/1.1\r\n\r\n").1, "/c");
    }

    #[test]
    fn a_body_is_read_within_its_limit() {
        let guard = serve(1, |request: &mut Request| match request.body(2_000) {
            Ok(body) => Reply::text(200, body.len().to_string()),
            Err(error) => Reply::text(413, error.to_string()),
        });
        let mut stream = connect(&guard);
        for (length, answer) in [(0, "0"), (2_000, "2000"), (2_001, "body over 2000 bytes")] {
            let body = "x".repeat(length);
            let post = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}");
            assert_eq!(ask(&mut stream, &post).1, answer);
        }
    }

    #[test]
    fn after_a_stop_what_was_read_is_answered_and_nobody_new_comes_in() {
        let (entered, inside) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let guard = serve(1, move |_: &mut Request| {
            entered.send(()).unwrap();
            let _ = gate.lock().unwrap().recv();
            Reply::text(200, "done")
        });
        let mut first = connect(&guard);
        first.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        inside.recv().unwrap();
        let address = guard.address();
        let stopping = thread::Builder::new()
            .spawn(move || guard.stop(Duration::from_secs(5)))
            .unwrap();
        while TcpStream::connect(address).is_ok() {
            thread::yield_now();
        }
        drop(go);
        let (head, body) = ask(&mut first, "");
        assert!(
            head.contains("Connection: close\r\n") && body == "done",
            "{head}"
        );
        assert!(stopping.join().unwrap().joined);
    }

    #[test]
    fn bodies_on_their_way_leave_the_pool_free_to_answer_others() {
        let guard = serve(1, |request: &mut Request| match request.path() {
            "/read" => Reply::text(200, request.body(1 << 20).unwrap_or_default()),
            path => Reply::text(200, path.to_string()),
        });
        let mut held: Vec<TcpStream> = (0..6).map(|_| connect(&guard)).collect();
        for stream in &mut held {
            let head = "POST /read HTTP/1.1\r\nContent-Length: 2000\r\n\r\nx";
            stream.write_all(head.as_bytes()).unwrap();
        }
        let mut polite = connect(&guard);
        assert_eq!(ask(&mut polite, "GET /a HTTP/1.1\r\n\r\n").1, "/a");
        let rest = "y".repeat(1_999);
        assert_eq!(ask(&mut held[0], &rest).1, format!("x{rest}"));
    }

    #[test]
    fn after_a_head_that_smuggles_nothing_more_is_served_on_its_connection() {
        let served = Arc::new(AtomicUsize::new(0));
        let seen = served.clone();
        let guard = serve(1, move |request: &mut Request| {
            seen.fetch_add(1, Ordering::SeqCst);
            Reply::text(200, request.path().to_string())
        });
        let mut stream = connect(&guard);
        let hidden = "GET /hidden HTTP/1.1\r\n\r\n";
        let head = format!("GET / HTTP/1.1\r\nContent-Length: abc\r\n\r\n{hidden}");
        let (head, body) = ask(&mut stream, &head);
        assert!(
            head.contains(" 400 ") && head.contains("Connection: close"),
            "{head}"
        );
        assert_eq!(body, "Content-Length is not a number\n");
        assert_eq!(ask(&mut connect(&guard), "GET /b HTTP/1.1\r\n\r\n").1, "/b");
        assert_eq!(
            (served.load(Ordering::SeqCst), guard.stats().refused),
            (1, 1)
        );
    }

    #[test]
    fn a_client_that_does_not_read_is_hung_up_on() {
        let guard = serve(1, |_: &mut Request| Reply::text(200, vec![b'x'; 8 << 20]));
        let mut deaf = connect(&guard);
        deaf.write_all(b"GET / HTTP/1.1\r\n\r\n".repeat(50).as_slice())
            .unwrap();
        let mut polite = connect(&guard);
        polite
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        while guard.stats().write_failed == 0 {
            thread::yield_now();
        }
        assert_eq!(ask(&mut polite, "GET / HTTP/1.1\r\n\r\n").1.len(), 8 << 20);
    }

    const MEGABYTE: usize = 1 << 20;

    /// A server whose replies to `/big` no socket takes at once, and clients that ask for 60 and read nothing.
    fn with_deaf_peers(workers: usize, count: usize) -> (Guard, Vec<TcpStream>) {
        let guard = serve(workers, |request: &mut Request| match request.path() {
            "/big" => Reply::text(200, vec![b'x'; 10 * MEGABYTE]),
            path => Reply::text(200, path.to_string()),
        });
        let deaf = (0..count).map(|_| {
            let mut stream = connect(&guard);
            let requests = b"GET /big HTTP/1.1\r\n\r\n".repeat(60);
            stream.write_all(&requests).unwrap();
            stream
        });
        let deaf = deaf.collect();
        (guard, deaf)
    }

    #[test]
    fn peers_that_pipeline_and_do_not_read_hold_no_thread() {
        #[track_caller]
        fn check(rule: &str, workers: usize, peers: usize) {
            let (guard, deaf) = with_deaf_peers(workers, peers);
            let mut polite = connect(&guard);
            for _ in 0..100 {
                assert_eq!(ask(&mut polite, "GET /a HTTP/1.1\r\n\r\n").1, "/a");
            }
            while guard.stats().replies < 100 + peers as u64 || guard.watch().workers().working > 0
            {
                thread::yield_now();
            }
            assert_eq!(ask(&mut polite, "GET /b HTTP/1.1\r\n\r\n").1, "/b");
            // All this while each of them could still begin to read.
            let stats = guard.stats();
            let expected = (101 + peers as u64, 0, 0);
            assert_eq!(
                (stats.replies, stats.write_failed, stats.dropped),
                expected,
                "{rule}"
            );
            drop(deaf);
        }
        check("one peer has one reply at a time, and no thread", 2, 1);
        check("the only thread is free too", 1, 1);
        check("more peers than threads", 4, 6);
    }

    #[test]
    fn pipelined_requests_are_answered_in_order() {
        let guard = serve(4, |request: &mut Request| {
            let read = match request.path().starts_with("/read") {
                true => request.body(MEGABYTE).unwrap().len(),
                false => 0,
            };
            let body = format!("{} {read} {}", request.path(), "x".repeat(20_000));
            Reply::text(200, body)
        });
        let body = "y".repeat(2_000);
        let requests: String = (0..15)
            .map(|n| {
                let post = format!("HTTP/1.1\r\nContent-Length: 2000\r\n\r\n{body}");
                format!(
                    "GET /get{n} HTTP/1.1\r\n\r\nPOST /read{n} {post}HEAD /h HTTP/1.1\r\n\r\nPOST /left{n} {post}"
                )
            })
            .collect();
        let mut stream = connect(&guard);
        stream.write_all(requests.as_bytes()).unwrap();
        for n in 0..15 {
            for path in [format!("/get{n} 0 "), format!("/read{n} 2000 ")] {
                let (_, body) = read_reply(&mut stream, true);
                assert_eq!(&body[..body.len() - 20_000], path);
            }
            let (head, _) = read_reply(&mut stream, false);
            assert!(head.contains("Content-Length: 20005\r\n"), "{head}");
            let (_, body) = read_reply(&mut stream, true);
            assert_eq!(&body[..body.len() - 20_000], format!("/left{n} 0 "));
        }
        let stats = guard.stats();
        let counted = (stats.replies, stats.write_failed, stats.dropped);
        assert_eq!(counted, (60, 0, 0));
    }

    #[test]
    fn a_peer_that_reads_late_gets_all_its_replies() {
        let (guard, mut deaf) = with_deaf_peers(2, 1);
        // Its first reply has left the pool.
        while guard.stats().replies == 0 || guard.watch().workers().working > 0 {
            thread::yield_now();
        }
        for _ in 0..60 {
            assert_eq!(read_reply(&mut deaf[0], true).1.len(), 10 * MEGABYTE);
        }
        let stats = guard.stats();
        let counted = (stats.replies, stats.write_failed, stats.dropped);
        assert_eq!(counted, (60, 0, 0));
    }

    #[test]
    fn of_a_peer_that_does_not_read_every_request_is_counted() {
        let (guard, mut deaf) = with_deaf_peers(2, 1);
        while guard.stats().replies + guard.stats().dropped < 60 {
            thread::yield_now();
        }
        let stats = guard.stats();
        assert_eq!(stats.write_failed, 1, "{stats:?}");
        // What reaches it now is whole replies and a part of the one that failed, then the end.
        deaf[0].shutdown(std::net::Shutdown::Write).unwrap();
        let mut left = Vec::new();
        deaf[0].read_to_end(&mut left).unwrap();
        let mut left = &left[..];
        for _ in 0..stats.replies - stats.write_failed {
            assert_eq!(read_reply(&mut left, true).1.len(), 10 * MEGABYTE);
        }
        assert!(left.starts_with(b"HTTP/1.1 200 OK\r\n") && left.len() < 10 * MEGABYTE);
    }

    #[test]
    fn who_asks_for_too_much_at_once_is_shunned() {
        let (entered, inside) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let guard = serve(2, move |request: &mut Request| {
            if request.path() == "/held" {
                entered.send(()).unwrap();
                let _ = gate.lock().unwrap().recv();
            }
            Reply::text(200, "ok")
        });
        let mut greedy = connect(&guard);
        greedy.write_all(b"GET /held HTTP/1.1\r\n\r\n").unwrap();
        inside.recv().unwrap();
        let requests = b"GET /more HTTP/1.1\r\n\r\n".repeat(4_096 + 10);
        greedy.write_all(&requests).unwrap();
        while guard.stats().dropped < 10 {
            thread::yield_now();
        }
        assert_eq!(ask(&mut connect(&guard), "GET /a HTTP/1.1\r\n\r\n").1, "ok");
        drop(go);
        assert_eq!(ask(&mut greedy, "").1, "ok");
        while guard.stats().dropped < 4_096 + 10 {
            thread::yield_now();
        }
        assert_eq!(guard.stats().replies, 2);
    }

    #[test]
    fn a_body_that_no_memory_holds_is_left_alone_after_a_head_that_was_refused() {
        let guard = serve(1, |_: &mut Request| Reply::text(200, "ok"));
        let mut stream = connect(&guard);
        let refused = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
        let huge = "POST / HTTP/1.1\r\nContent-Length: 100000000000000\r\n\r\n";
        let (head, _) = ask(&mut stream, &format!("{refused}{huge}"));
        assert!(head.contains(" 400 "), "{head}");
        while guard.stats().dropped == 0 {
            thread::yield_now();
        }
        assert_eq!(ask(&mut connect(&guard), "GET / HTTP/1.1\r\n\r\n").1, "ok");
        assert_eq!(guard.stats().abandoned, 1);
    }

    #[test]
    fn a_server_with_peers_that_do_not_read_stops() {
        let (guard, deaf) = with_deaf_peers(2, 3);
        while guard.stats().replies < 3 {
            thread::yield_now();
        }
        let watch = guard.watch();
        assert!(guard.stop(Duration::from_secs(2)).joined);
        assert_eq!(watch.stats().write_failed, 3);
        drop((watch, deaf));
    }

    #[test]
    fn heads_that_smuggle_are_told_apart() {
        #[track_caller]
        fn check(headers: &[(&str, &str)], fault: Option<&str>) {
            assert_eq!(Request::made("GET", "/", headers, b"").fault(), fault);
        }
        check(&[("Host", "a"), ("Content-Length", "5")], None);
        check(
            &[("Content-Length", "+5")],
            Some("Content-Length is not a number"),
        );
        check(
            &[("Content-Length", "")],
            Some("Content-Length is not a number"),
        );
        check(
            &[("Content-Length", "0, 40")],
            Some("Content-Length is not a number"),
        );
        check(
            &[("Content-Length", "5"), ("content-length", "5")],
            Some("more than one Content-Length"),
        );
        check(
            &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
            Some("both Content-Length and Transfer-Encoding"),
        );
        check(&[("Host", "a"), ("Host", "b")], Some("more than one Host"));
        check(&[("X", "a\0b")], Some("a header holds a control character"));
        let huge = "9".repeat(23);
        check(
            &[("Content-Length", &huge)],
            Some("Content-Length is not a number"),
        );
        check(&[("Transfer-Encoding", "Chunked")], None);
        check(
            &[("Transfer-Encoding", "gzip, chunked")],
            Some("Transfer-Encoding is not chunked"),
        );
        check(&[("X", "a\tb")], None);
    }

    #[test]
    fn an_address_that_is_taken_is_named() {
        let guard = serve(1, |_: &mut Request| Reply::default());
        let bind = guard.address().to_string();
        let again = Options {
            name: "test",
            bind: bind.clone(),
            workers: 1,
        };
        let Err(error) = start(&again, Arc::new(|_: &mut Request| Reply::default())) else {
            panic!("bound twice");
        };
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot bind {bind}: ")),
            "{error}"
        );
    }
}
