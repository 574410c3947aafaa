//! Signals that nobody of this process sent: plain ones, and queued ones that carry whatever they like.

use std::process::{Command, Stdio};

/// Fifty plain ones close upon one another, then one queued for each value: no slot, the first, the last, one of
/// another use, small and large numbers, and what is no number of a slot at all. Some may be turned away, as so many
/// wait. The tool takes no negative values but by their bits.
const BURST: &str = "n=0; while [ $n -lt 50 ]; do kill -PROF $0; n=$((n + 1)); done
for v in 0 1 511 512 513 514 515 520 530 540 1023 1024 1025 1030 1536 2048 65535 4194303 2147483647; do
/bin/kill -q $v -PROF $0; done; exit 0";

/// How many plain signals and how many queued ones a burst has.
pub(crate) const IN_BURST: u64 = 50 + 19;

/// Sends a burst to this process and waits until it has been sent.
pub(crate) fn burst() -> Result<(), String> {
    let process = std::process::id().to_string();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", BURST, &process]).stderr(Stdio::null());
    let status = shell.status().map_err(|error| error.to_string())?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("no signal could be sent: {status}")),
    }
}
