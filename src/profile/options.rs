//! What a profiler may be told.

use std::path::PathBuf;
use std::time::Duration;

use crate::http::Target;

/// How stacks are sampled and where profiles go.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The Agent, which takes `POST /profiling/v1/input`.
    pub agent: Target,
    /// Time between two uploads.
    pub upload_interval: Duration,
    /// Time before the first one, if that is shorter.
    pub first_upload: Duration,
    /// Over connect, write and read of one attempt.
    pub timeout: Duration,
    /// Each upload's profile is written there too.
    pub output_dir: Option<PathBuf>,
    /// Further tags of every upload.
    pub tags: Vec<(String, String)>,
    /// Whether samples carry the ids of the span that was active.
    pub hotspots: bool,
    /// Whether they carry what that span's local root was asked for, and uploads how often each was.
    pub endpoints: bool,
    /// Samples for each second of CPU time that a thread uses, 1 to 1,000.
    pub cpu_hz: u32,
    /// Samples for each second of a watched thread's life, busy or not, up to 100; 0 for none.
    pub wall_hz: u32,
    /// Bytes that a watched thread allocates from one sample to the next, where a
    /// [`CountingAllocator`](super::CountingAllocator) is the program's; 0 for none.
    pub heap_every_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            agent: Target::Tcp("127.0.0.1".to_string(), 8126),
            upload_interval: Duration::from_secs(60),
            first_upload: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            output_dir: None,
            tags: Vec::new(),
            hotspots: true,
            endpoints: true,
            cpu_hz: 99,
            wall_hz: 20,
            heap_every_bytes: 0,
        }
    }
}
