//! A service that profiles itself: stacks sampled in process, tied to spans, sent to the Agent as pprof.
//!
//! Invariants:
//! - A thread is interrupted for some microseconds, never made to wait, and nothing grows without a bound.
//! - A stack is what was there or the inner part of it, never something else.
//! - The ledger balances: every look at a thread is in a profile, or was dropped and counted by reason; and the
//!   CPU time of all samples is that of the process.
//!
//! How it works: each thread has a timer of the kernel's on its own CPU time, which interrupts it every hundredth of
//! a second that it works (`stack/`). The handler follows the frame pointers into the thread's ring. `dd-stacks` empties
//! the rings, and has it looked in turn at the threads that wait. `dd-profile` finds the names, and uploads.
//!
//! Linux and x86-64. What is compiled without frame pointers, as the system's C library is, can be left out of a
//! stack or end it early: `-C force-frame-pointers=yes` gives them to Rust's code.
//!
//! Follows pprof (`profile.proto` of github.com/google/pprof) and what the Agent's `/profiling/v1/input` takes
//! from Datadog's own profilers (dd-trace-go, `profiler/upload.go`; libdatadog, `libdd-profiling`).
//!
//! ```
//! # #[cfg(all(target_os = "linux", target_arch = "x86_64"))] {
//! use std::io::{Read, Write};
//! use std::time::{Duration, Instant};
//! use testapi::clock::Clock;
//! use testapi::identity::Identity;
//! use testapi::profile::{self, Options};
//!
//! let agent = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let options = Options {
//!     agent: format!("http://{}", agent.local_addr()?).parse()?,
//!     ..Options::default()
//! };
//! let taken = std::thread::spawn(move || {
//!     let (mut stream, _) = agent.accept().unwrap();
//!     let mut upload = Vec::new();
//!     // The last boundary of a multipart body ends with two hyphens and a line's end.
//!     while !upload.ends_with(b"--\r\n") {
//!         let mut some = [0; 4_096];
//!         let length = stream.read(&mut some).unwrap();
//!         upload.extend_from_slice(&some[..length]);
//!     }
//!     stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
//!     upload
//! });
//!
//! let (profiler, guards) = profile::start(options, &Identity::of_process("shop"), Clock::system())?;
//! let watched = profiler.watch_this_thread();
//! let start = Instant::now();
//! while start.elapsed() < Duration::from_millis(200) {
//!     std::hint::spin_loop();
//! }
//! assert_eq!(profiler.flush(Duration::from_secs(10)), Ok(()));
//! assert!(taken.join().unwrap().starts_with(b"POST /profiling/v1/input HTTP/1.1\r\n"));
//! drop(watched);
//! for guard in guards {
//!     assert!(guard.stop(Duration::from_secs(2)).joined);
//! }
//! let ledger = profiler.ledger();
//! assert!(ledger.sent > 0 && ledger.balances(), "{ledger:?}");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod armed;
mod bounds;
mod cache;
mod calls;
mod counts;
#[cfg(test)]
mod deliveries;
mod elf;
mod error;
mod event;
mod figures;
mod files;
mod headers;
mod maps;
mod multipart;
mod named;
mod notes;
mod options;
mod output;
mod owed;
mod pace;
mod period;
mod pprof;
mod profiler;
mod protobuf;
mod record;
mod registry;
mod ring;
mod sampler;
mod slot;
mod source_path;
mod stack;
mod start;
mod symbols;
mod tally;
mod told;
mod turns;
mod unwind;
mod upload;

pub use error::Error;
pub use options::Options;
pub use profiler::{ProfileCounts, Profiler};
pub use stack::CountingAllocator;
pub use start::start;
