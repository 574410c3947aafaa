//! Who we are: service, env, version, host, container id, runtime id. Found once, passed down.
//!
//! Invariant: nothing here changes while the process runs, so every payload tells the same story.
//!
//! The container's id is read as Datadog's own clients read it (datadog-go, `container_linux.go`): the
//! first match in `/proc/self/cgroup`, else the `hostname` mount in `/proc/self/mountinfo`, else the
//! inode of the cgroup, which the Agent can map back unless we share its namespace with the host.
//!
//! ```
//! use testapi::identity::Identity;
//!
//! let identity = Identity::of_process("shop");
//! assert_eq!((identity.service.as_str(), identity.runtime_id.len()), ("shop", 36));
//! ```

use std::fs;
use std::os::unix::fs::MetadataExt;

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

/// The inode of the initial cgroup namespace, fixed in the kernel (`include/linux/proc_ns.h`).
const HOST_CGROUP_NAMESPACE: u64 = 0xeffffffb;

impl Identity {
    /// Looks at the machine for what no setting says: host, container, process; draws a runtime id.
    pub fn of_process(service: impl Into<String>) -> Identity {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cgroup = read("/proc/self/cgroup");
        let container_id = container_in_cgroup(&cgroup)
            .or_else(|| container_in_mounts(&read("/proc/self/mountinfo")));
        let entity_id = match &container_id {
            Some(id) => Some(format!("ci-{id}")),
            None => cgroup_inode(&cgroup).map(|inode| format!("in-{inode}")),
        };
        Identity {
            service: service.into(),
            hostname: read("/proc/sys/kernel/hostname").trim().to_string(),
            container_id,
            entity_id,
            runtime_id: uuid_v4(),
            process_id: std::process::id(),
            ..Identity::default()
        }
    }

    /// Headers by which the Agent finds the container that a payload comes from, as far as it is known
    /// (datadog-agent, `pkg/trace/api/internal/header`).
    pub fn origin_headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("Datadog-Container-ID", &self.container_id),
            ("Datadog-Entity-ID", &self.entity_id),
            ("Datadog-External-Env", &self.external_env),
        ];
        let known = all
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        known.filter(|(_, value)| !value.is_empty())
    }
}

/// The last path segment of a line that looks like a container's: 64 hex digits, an ECS task
/// (32 hex, a dash, digits) or a UUID (garden).
fn container_in_cgroup(cgroup: &str) -> Option<String> {
    cgroup.lines().find_map(|line| {
        let segment = line.rsplit('/').next()?;
        let segment = segment.strip_suffix(".scope").unwrap_or(segment);
        (0..segment.len())
            .filter_map(|at| segment.get(at..))
            .find(|tail| is_container_id(tail))
            .map(str::to_string)
    })
}

fn is_container_id(text: &str) -> bool {
    let hex = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let ecs = || {
        text.split_once('-').is_some_and(|(task, number)| {
            let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            task.len() == 32 && hex(task) && digits
        })
    };
    let uuid = || {
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        lengths == [8, 4, 4, 4, 12] && hex(&text.replace('-', ""))
    };
    (text.len() == 64 && hex(text)) || ecs() || uuid()
}

/// Docker and containerd mount `<id>/hostname` into the container.
fn container_in_mounts(mounts: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let source = line.split(' ').nth(3)?;
        let mut parts = source.strip_suffix("/hostname")?.rsplit('/');
        let id = parts.next()?;
        let sandbox = parts.next() == Some("sandboxes");
        (!sandbox && is_container_id(id)).then(|| id.to_string())
    })
}

fn cgroup_inode(cgroup: &str) -> Option<u64> {
    let inode = |path: &str| fs::metadata(path).ok().map(|file| file.ino());
    if inode("/proc/self/ns/cgroup") == Some(HOST_CGROUP_NAMESPACE) {
        return None;
    }
    cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let root = match fields.next()? {
            "" => "/sys/fs/cgroup",
            controllers if controllers.split(',').any(|c| c == "memory") => "/sys/fs/cgroup/memory",
            _ => return None,
        };
        inode(&format!("{root}{}", fields.next()?)).filter(|inode| *inode > 2)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860";

    #[track_caller]
    fn check(rule: &str, cgroup: &str, expected: Option<&str>) {
        assert_eq!(container_in_cgroup(cgroup).as_deref(), expected, "{rule}");
    }

    #[test]
    fn every_form_of_a_cgroup_gives_its_container() {
        let task = "432624d2150b349fe35ba397284dea78-2025162289";
        let garden = "6f265890-5165-7fab-6b52-18d1ed5a23ba";
        check(
            "docker",
            &format!("13:name=systemd:/docker/{ID}\n"),
            Some(ID),
        );
        check(
            "kubernetes",
            &format!("11:cpu:/kubepods/besteffort/pod3d2/{ID}"),
            Some(ID),
        );
        check(
            "systemd scope",
            &format!("0::/system.slice/docker-{ID}.scope"),
            Some(ID),
        );
        check(
            "containerd scope",
            &format!("1:x:/a/cri-containerd-{ID}.scope"),
            Some(ID),
        );
        check(
            "ECS task",
            &format!("9:perf_event:/ecs/55091c13/{task}"),
            Some(task),
        );
        check(
            "garden",
            &format!("1:name=systemd:/garden/{garden}"),
            Some(garden),
        );
        check(
            "the first that fits wins",
            &format!("1:a:/\n2:b:/docker/{ID}"),
            Some(ID),
        );
        check("version 2 in its own namespace", "0::/\n", None);
        check(
            "a user session",
            "0::/user.slice/user-0.slice/session-1.scope",
            None,
        );
        check("too short", "1:a:/docker/3726184226f5", None);
        check("not ASCII", "1:a:/docker/\u{e9}\u{1f980}", None);
        check("nothing", "", None);
    }

    #[test]
    fn the_hostname_mount_names_the_container_and_not_its_sandbox() {
        let line =
            |path: &str| format!("608 554 0:42 {path}/hostname /etc/hostname rw - ext4 /dev/a rw");
        let docker = format!("/var/lib/docker/containers/{ID}");
        assert_eq!(container_in_mounts(&line(&docker)).as_deref(), Some(ID));
        assert_eq!(
            container_in_mounts(&line(&format!("/run/sandboxes/{ID}"))),
            None
        );
        assert_eq!(container_in_mounts(&line("/var/lib/x")), None);
        assert_eq!(container_in_mounts(""), None);
    }

    #[test]
    fn runtime_ids_are_version_4_and_differ() {
        let (one, two) = (uuid_v4(), uuid_v4());
        assert_ne!(one, two);
        assert!(is_container_id(&one) && one.as_bytes()[14] == b'4', "{one}");
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
