//! Who we are: service, env, version, host, container id, runtime id. Found once, passed down.
//!
//! Invariant: nothing here changes while the process runs, so every payload tells the same story.

use std::fs;

/// What every exporter says about this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// DD_SERVICE, or the program's name.
    pub service: String,
    /// DD_ENV, or empty.
    pub env: String,
    /// DD_VERSION, or empty.
    pub version: String,
    /// DD_HOSTNAME or the kernel's host name, or empty.
    pub hostname: String,
    /// Global tags of DD_TAGS, in order, without service, env and version.
    pub tags: Vec<(String, String)>,
    /// 64 hex digits and its kin from /proc/self/cgroup, where there is one.
    pub container_id: Option<String>,
    /// `ci-<container id>` or `in-<inode of the cgroup>`, where there is one.
    pub entity_id: Option<String>,
    /// DD_EXTERNAL_ENV as given, cleaned of what a header cannot hold.
    pub external_env: Option<String>,
    /// A random UUID, new for each process.
    pub runtime_id: String,
    /// Process id.
    pub process_id: u32,
}

impl Identity {
    /// Looks at the machine for what no setting says: host, container, process; draws a runtime id.
    pub fn of_process(service: impl Into<String>) -> Identity {
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Identity {
            service: service.into(),
            hostname: hostname.trim().to_string(),
            runtime_id: uuid_v4(),
            process_id: std::process::id(),
            ..Identity::default()
        }
    }
}

fn uuid_v4() -> String {
    let bits = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
