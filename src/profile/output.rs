//! Profiles as files, for those who look at them with tools of their own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::identity::Identity;

/// Writes `<service>-<pid>-<seq>.pprof` whole: whoever looks finds no half of it. Old ones are left to their owner.
///
/// # Errors
/// Where it cannot be written; nothing is left of it then.
pub(super) fn write(
    folder: &Path,
    identity: &Identity,
    seq: u64,
    profile: &[u8],
) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let name = file_name(&identity.service, identity.process_id, seq);
    let (path, half) = (folder.join(&name), folder.join(format!(".{name}.half")));
    let written = fs::write(&half, profile).and_then(|()| fs::rename(&half, &path));
    match written {
        Ok(()) => Ok(path),
        Err(error) => {
            // It may not be there at all.
            let _ = fs::remove_file(&half);
            Err(error)
        }
    }
}

/// Bytes of a service's name in a file's; the kernel takes 255 in all.
const SERVICE_BYTES_MAX: usize = 128;

fn file_name(service: &str, process_id: u32, seq: u64) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let service: String = service
        .chars()
        .take(SERVICE_BYTES_MAX)
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    format!("{service}-{process_id}-{seq}.pprof")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, service: &str, expected: &str) {
        assert_eq!(file_name(service, 42, 7), expected, "{rule}");
    }

    #[test]
    fn a_service_cannot_leave_the_folder() {
        check("a name", "shop-1.b_c", "shop-1.b_c-42-7.pprof");
        check("none", "", "-42-7.pprof");
        check("a path", "../../etc/x", ".._.._etc_x-42-7.pprof");
        check("unicode", "caf\u{e9} \0", "caf___-42-7.pprof");
        let long = "a".repeat(SERVICE_BYTES_MAX);
        check("the limit", &long, &format!("{long}-42-7.pprof"));
        check(
            "one more",
            &format!("{long}a"),
            &format!("{long}-42-7.pprof"),
        );
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let name = format!("testapi-profile-output-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let identity = Identity {
            service: "shop".to_string(),
            ..Identity::default()
        };
        let path = write(&folder.join("deep"), &identity, 1, b"abc").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(
            write(&folder.join("deep"), &identity, 1, b"d").unwrap(),
            path
        );
        assert_eq!(fs::read(&path).unwrap(), b"d");
        assert!(
            write(&path, &identity, 2, b"").is_err(),
            "a file in the folder's place"
        );
        fs::create_dir(folder.join("deep/shop-0-3.pprof")).unwrap();
        assert!(write(&folder.join("deep"), &identity, 3, b"").is_err());
        assert_eq!(fs::read_dir(folder.join("deep")).unwrap().count(), 2);
        fs::remove_dir_all(folder).unwrap();
    }
}
