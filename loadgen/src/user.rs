//! Users: threads that draw a task, send it, wait for the reply and look at the clock.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use testapi::clock::Clock;
use testapi::http::{Call, Client, Target};

use crate::pace::Pace;
use crate::plan;
use crate::stats::Stats;

/// What users are told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the API is.
    pub target: Target,
    /// How many users.
    pub users: u32,
    /// Requests a second of all together; 0 is as fast as replies come.
    pub per_second: u32,
    /// Whether the API counts requests of this route itself.
    pub is_observed: fn(&str) -> bool,
}

/// Users at work.
#[derive(Debug)]
pub struct Users {
    stop: Arc<AtomicBool>,
    stats: Arc<Stats>,
    threads: Vec<JoinHandle<()>>,
}

/// One request, from connect to the last byte.
const REPLY_WAIT_MAX: Duration = Duration::from_secs(15);
/// After a request that failed: nobody hammers on a door that is shut.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// Starts the users.
///
/// # Errors
/// When the system refuses a thread; those that had started are stopped.
pub fn start(options: &Options, clock: &Clock) -> io::Result<Users> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut users = Users {
        stop,
        stats: Arc::new(Stats::default()),
        threads: Vec::new(),
    };
    for number in 0..options.users {
        let user = User {
            client: Client::new(options.target.clone(), clock.clone()),
            pace: Pace::new(options.per_second, options.users, number),
            is_observed: options.is_observed,
            clock: clock.clone(),
            stop: users.stop.clone(),
            stats: users.stats.clone(),
        };
        let named = thread::Builder::new().name(format!("user-{number}"));
        users.threads.push(named.spawn(move || user.run())?);
    }
    Ok(users)
}

impl Users {
    /// What they have seen so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Lets every user finish the request it is at, and waits for all.
    pub fn stop(mut self) -> Arc<Stats> {
        self.end();
        self.stats.clone()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.end();
    }
}

struct User {
    client: Client,
    pace: Pace,
    is_observed: fn(&str) -> bool,
    clock: Clock,
    stop: Arc<AtomicBool>,
    stats: Arc<Stats>,
}

impl User {
    fn run(mut self) {
        let mut rng = Rng::new();
        let started_ns = self.clock.mono_ns();
        loop {
            let wait = self
                .pace
                .wait(self.clock.mono_ns().saturating_sub(started_ns));
            self.pause(wait);
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let (task, path) = plan::draw(&mut rng);
            let headers = [("User-Agent", "testapi-loadgen"), ("Accept", "*/*")];
            let call = Call {
                method: "GET",
                path: &path,
                headers: &headers,
                body: &[],
            };
            let sent_ns = self.clock.mono_ns();
            match self.client.exchange(&call, REPLY_WAIT_MAX) {
                Ok(response) => {
                    let took = Duration::from_nanos(self.clock.mono_ns().saturating_sub(sent_ns));
                    let observed = (self.is_observed)(task.route);
                    self.stats
                        .reply(task.route, (response.status, took), observed);
                }
                Err(error) => {
                    self.stats.failure(error.to_string());
                    self.pause(FAILURE_PAUSE);
                }
            }
        }
    }

    /// Waits, unless a stop is asked for meanwhile.
    fn pause(&self, wait: Duration) {
        let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let end_ns = self.clock.mono_ns().saturating_add(wait_ns);
        while !self.stop.load(Ordering::Acquire) {
            match end_ns.saturating_sub(self.clock.mono_ns()) {
                0 => return,
                left_ns => thread::park_timeout(Duration::from_nanos(left_ns)),
            }
        }
    }
}
