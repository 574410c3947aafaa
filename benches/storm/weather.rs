//! What goes on beside the API from the first round to the last.

use std::fs;
use std::hint::black_box;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testapi::clock::Clock;
use testapi::http::{Call, Client, Error, Target};
use testapi::threads;

use crate::signals;
use crate::tally::Tally;

/// Of the thread that nearly fills its own.
const STACK_BYTES: usize = 512 << 10;
/// What is left of it then, for the frame of a signal and its handler.
const LEFT_BYTES: usize = 48 << 10;
const WAIT: Duration = Duration::from_millis(15);

pub(crate) struct Weather {
    stop: Arc<AtomicBool>,
    tally: Tally,
    threads: Vec<JoinHandle<()>>,
}

type Turn = fn(&Tally) -> Result<(), String>;

const KINDS: [(&str, &str, Turn); 7] = [
    ("w-births", "threads that came and went", births),
    ("w-deep", "stacks nearly filled", deep),
    ("w-signals", "signals of others", shots),
    ("w-wait", "reads that ran into their time", wait),
    ("w-http", "exchanges that ran into their deadline", exchange),
    ("w-accept", "connections accepted", accept),
    ("w-files", "files written and read", files),
];

impl Weather {
    pub(crate) fn start(tally: &Tally) -> Weather {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = KINDS.iter().filter_map(|&(name, what, turn)| {
            let (stop, tally) = (stop.clone(), tally.clone());
            let run = move || {
                while !stop.load(Ordering::Acquire) {
                    if let Err(why) = turn(&tally) {
                        tally.fail(format!("{what}: {why}"));
                    }
                }
            };
            thread::Builder::new()
                .name(name.to_string())
                .spawn(run)
                .ok()
        });
        Weather {
            threads: threads.collect(),
            stop,
            tally: tally.clone(),
        }
    }

    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        if self.threads.len() < KINDS.len() {
            self.tally.fail("a thread did not start".to_string());
        }
        for thread in self.threads {
            if thread.join().is_err() {
                self.tally
                    .fail("a thread of the weather panicked".to_string());
            }
        }
    }
}

/// Uses the CPU.
#[inline(never)]
pub(crate) fn work(time: Duration) {
    let started = Instant::now();
    let mut state = 1_u64;
    while started.elapsed() < time {
        state = black_box(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        );
    }
}

fn born(name: &str, bytes: usize, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new()
        .name(name.to_string())
        .stack_size(bytes);
    let joined = builder.spawn(run)?.join();
    joined.map_err(|_| io::Error::other("the thread panicked"))
}

/// Reported, unreported, one that panics and catches it, one that says twice that it is there.
fn births(tally: &Tally) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    born("born", 64 << 10, || {
        let _life = threads::born();
        work(Duration::from_micros(500));
    })
    .map_err(told)?;
    born("unreported", 64 << 10, || work(Duration::from_millis(2))).map_err(told)?;
    born("unlucky", 128 << 10, || {
        let _life = threads::born();
        let caught = panic::catch_unwind(|| {
            let _again = threads::born();
            work(Duration::from_micros(500));
            panic::resume_unwind(Box::new("caught"))
        });
        drop(caught);
        work(Duration::from_micros(500));
    })
    .map_err(told)?;
    born("brief", 64 << 10, || drop(threads::born())).map_err(told)?;
    tally.add("threads that came and went", 4);
    Ok(())
}

/// Works where hardly any stack is left, watched or not.
fn deep(tally: &Tally) -> Result<(), String> {
    for is_watched in [true, false] {
        born("deep", STACK_BYTES, move || {
            let _life = is_watched.then(threads::born);
            let here = 0_u8;
            black_box(descend(std::ptr::from_ref(&here).addr()));
        })
        .map_err(|error| error.to_string())?;
    }
    tally.add("stacks nearly filled", 2);
    Ok(())
}

#[inline(never)]
fn descend(top: usize) -> u64 {
    let frame = black_box([1_u64; 32]);
    let used = top.saturating_sub(std::ptr::from_ref(&frame).addr());
    if used > STACK_BYTES - LEFT_BYTES {
        work(Duration::from_millis(3));
        return frame[0];
    }
    descend(top).wrapping_add(black_box(frame)[31])
}

fn shots(tally: &Tally) -> Result<(), String> {
    signals::burst()?;
    tally.add("signals of others", signals::IN_BURST);
    thread::park_timeout(WAIT);
    Ok(())
}

/// A read that a signal interrupts is asked for again; anything else but the end of its time is wrong.
fn wait(tally: &Tally) -> Result<(), String> {
    let (mut near, _far) = UnixStream::pair().map_err(|error| error.to_string())?;
    let udp = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let waits = near
        .set_read_timeout(Some(WAIT))
        .and(udp.set_read_timeout(Some(WAIT)));
    waits.map_err(|error| error.to_string())?;
    let _life = threads::born();
    in_vain(|| near.read(&mut [0]))?;
    in_vain(|| udp.recv(&mut [0]))?;
    tally.add("reads that ran into their time", 2);
    Ok(())
}

fn in_vain(mut read: impl FnMut() -> io::Result<usize>) -> Result<(), String> {
    loop {
        match read() {
            Ok(bytes) => return Err(format!("{bytes} bytes from nobody")),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(()),
                _ => return Err(error.to_string()),
            },
        }
    }
}

/// One that accepts and never answers.
fn exchange(tally: &Tally) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let target = Target::Tcp(address.ip().to_string(), address.port());
    let mut client = Client::new(target, Clock::system());
    let call = Call {
        method: "POST",
        path: "/",
        headers: &[],
        body: &[b"x"],
    };
    let _life = threads::born();
    match client.exchange(&call, WAIT) {
        Err(Error::Deadline(..)) => {}
        Err(error) => return Err(error.to_string()),
        Ok(reply) => return Err(format!("answered {}", reply.status)),
    }
    tally.add("exchanges that ran into their deadline", 1);
    Ok(())
}

fn accept(tally: &Tally) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    let listener = TcpListener::bind("127.0.0.1:0").map_err(told)?;
    let address: SocketAddr = listener.local_addr().map_err(told)?;
    let caller = move || {
        thread::park_timeout(WAIT);
        let stream = TcpStream::connect(address);
        drop(stream.and_then(|mut stream| stream.write_all(b"hello")));
    };
    let builder = thread::Builder::new().name("caller".to_string());
    let caller = builder.spawn(caller).map_err(told)?;
    let _life = threads::born();
    // std goes on after a signal here, and with the read below.
    let (mut stream, _) = listener.accept().map_err(told)?;
    let mut all = String::new();
    stream.read_to_string(&mut all).map_err(told)?;
    let joined = caller.join().is_ok();
    match joined && all == "hello" {
        true => tally.add("connections accepted", 1),
        false => return Err(format!("{all:?} came")),
    }
    Ok(())
}

fn files(tally: &Tally) -> Result<(), String> {
    let told = |error: io::Error| error.to_string();
    let path = std::env::temp_dir().join(format!("testapi-storm-{}.bytes", std::process::id()));
    let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
    let _life = threads::born();
    fs::write(&path, &bytes).map_err(told)?;
    let read = fs::read(&path).map_err(told)?;
    fs::remove_file(&path).map_err(told)?;
    tally.add("files written and read", 1);
    thread::park_timeout(WAIT);
    match read == bytes {
        true => Ok(()),
        false => Err("what was read is not what was written".to_string()),
    }
}
