//! Users: each asks for one route after another, and waits for every answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use testapi::app::ROUTES;
use testapi::clock::Clock;
use testapi::http::{Call, Client, Limits, Target};

const USERS: usize = 6;
const REPLY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two requests of a user.
const PAUSE: Duration = Duration::from_millis(4);
/// Of a page of metrics.
const BODY_BYTES_MAX: usize = 16 << 20;

/// What they have seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) replies: u64,
    /// Of routes that the API counts, its calls to itself among them.
    pub(crate) observed: u64,
    pub(crate) failures: Vec<String>,
}

pub(crate) struct Users {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Seen>>,
}

impl Users {
    pub(crate) fn start(to: SocketAddr) -> io::Result<Users> {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |number: usize| {
            let stop = stop.clone();
            let builder = thread::Builder::new().name(format!("user-{number}"));
            builder.spawn(move || use_it(to, number, &stop))
        };
        let threads = (0..USERS).map(spawn).collect::<io::Result<Vec<_>>>()?;
        Ok(Users { stop, threads })
    }

    pub(crate) fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Release);
        let mut all = Seen::default();
        for thread in self.threads {
            match thread.join() {
                Ok(seen) => {
                    all.replies += seen.replies;
                    all.observed += seen.observed;
                    all.failures.extend(seen.failures);
                }
                Err(_) => all.failures.push("a user panicked".to_string()),
            }
        }
        all
    }
}

fn use_it(to: SocketAddr, number: usize, stop: &AtomicBool) -> Seen {
    let target = Target::Tcp(to.ip().to_string(), to.port());
    let limits = Limits {
        body_bytes_max: BODY_BYTES_MAX,
        ..Limits::default()
    };
    let mut client = Client::with_limits(target, Clock::system(), limits);
    let mut seen = Seen::default();
    let mut routes = ROUTES.iter().cycle().skip(number * 4);
    while !stop.load(Ordering::Acquire) {
        let Some(route) = routes.next() else { break };
        let path = match route.pattern {
            "/slow/{ms}" => "/slow/3",
            "/cpu/{ms}" => "/cpu/2",
            _ => route.example,
        };
        let call = Call {
            method: "GET",
            path,
            headers: &[],
            body: &[],
        };
        match client.exchange(&call, REPLY_WAIT_MAX) {
            Ok(reply) => {
                let is_own_call = route.pattern == "/trace/downstream" && reply.status == 200;
                seen.replies += 1;
                seen.observed += u64::from(route.observed) + u64::from(is_own_call);
            }
            Err(error) => seen.failures.push(format!("{}: {error}", route.pattern)),
        }
        thread::park_timeout(PAUSE);
    }
    seen
}
