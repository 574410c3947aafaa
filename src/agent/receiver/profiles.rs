//! The endpoint for profiles. The Agent passes uploads on unread; here they are read, and what is wrong is told.

use std::ops::Range;
use std::sync::PoisonError;

use super::serve::{Receiver, Refusal, read_body};
use crate::agent::decode::{
    MultipartError, Part, PprofError, Profile, ProfileEvent, UNPACKED_BYTES_MAX, multipart,
    pprof_within, profile_event,
};
use crate::agent::lint::{ProfileUpload, lint_profile};
use crate::agent::queue::BYTES_MAX;
use crate::agent::store::{Cargo, Sent, Upload};
use crate::server::{Reply, Request};

/// The limit of the Agent's proxy.
const PROFILES_BYTES_MAX: usize = 50 << 20;

impl Receiver {
    pub(super) fn profiles(&self, request: &mut Request) -> Result<Reply, Refusal> {
        let content_type = request.header("Content-Type").unwrap_or("").to_string();
        if let Err(error @ MultipartError::ContentType(_)) = multipart(&content_type, b"") {
            return Err((415, error.to_string()));
        }
        let body = read_body(request, PROFILES_BYTES_MAX)?;
        let mut row = self.row(request);
        row.bytes = body.len() as u64;
        row.status = 200;
        // What unpacks may be a thousand times what came, so one upload is read at a time until the queue counts
        // it; the next one waits, since a profiler does not send again what was refused. A panic leaves nothing
        // half done behind this lock.
        let _alone = self.decoding.lock().unwrap_or_else(PoisonError::into_inner);
        let upload = read(&content_type, body, row.time_unix_us).map_err(|why| (400, why))?;
        let cargo = Cargo::Profiles {
            upload: Box::new(upload),
            row: Box::new(row),
        };
        never_fits(cargo.bytes()).map_or(Ok(()), Err)?;
        let taken = self.queue.offer(cargo);
        match taken {
            true => Ok(Reply::text(200, "OK\n")),
            false => Err((429, "the queue to the store is full".to_string())),
        }
    }
}

/// Who is told to come again later with what is too large by itself would come for ever.
fn never_fits(bytes: usize) -> Option<Refusal> {
    let text =
        || format!("takes {bytes} bytes once it is decoded, over the {BYTES_MAX} that may wait");
    (bytes > BYTES_MAX).then(|| (413, text()))
}

/// Takes an upload apart, or says what is wrong and where.
fn read(content_type: &str, body: Vec<u8>, time_unix_us: u64) -> Result<Upload, String> {
    let parts = multipart(content_type, &body).map_err(|error| error.to_string())?;
    let is_event = |part: &Part| part.name == "event" || part.filename == "event.json";
    let event = parts.iter().find(|part| is_event(part));
    let event = event.ok_or("no part is named `event`")?;
    let event = profile_event(&body[event.range.clone()])
        .map_err(|error| format!("event.json: {error}"))?;
    let attachments: Vec<(String, Range<usize>)> = parts
        .into_iter()
        .filter(|part| !is_event(part))
        .map(|part| match part.filename.is_empty() {
            true => (part.name, part.range),
            false => (part.filename, part.range),
        })
        .collect();
    let (names, profiles) = read_profiles(&body, &attachments)?;
    let findings = findings(&event, &attachments, &names, &profiles);
    let sent = Sent {
        time_unix_us,
        event,
        body,
        attachments,
        findings,
    };
    Ok(Upload::new(sent, profiles))
}

/// All profiles of an upload have the room that one alone has: many small ones come together, and none is large.
fn read_profiles<'a>(
    body: &[u8],
    attachments: &'a [(String, Range<usize>)],
) -> Result<(Vec<&'a str>, Vec<Profile>), String> {
    let (mut names, mut profiles) = (Vec::new(), Vec::new());
    let mut left = UNPACKED_BYTES_MAX;
    for (name, range) in attachments {
        if !name.ends_with(".pprof") {
            continue;
        }
        let profile = pprof_within(&body[range.clone()], left).map_err(|error| {
            let shown = &name[..name.floor_char_boundary(100)];
            match error {
                PprofError::Large(_) if !profiles.is_empty() => {
                    format!("{shown}: over {UNPACKED_BYTES_MAX} bytes with the profiles before it")
                }
                _ => format!("{shown}: {error}"),
            }
        })?;
        left = left.saturating_sub(profile.bytes());
        profiles.push(profile);
        names.push(name.as_str());
    }
    Ok((names, profiles))
}

fn findings(
    event: &ProfileEvent,
    attachments: &[(String, Range<usize>)],
    names: &[&str],
    profiles: &[Profile],
) -> Vec<String> {
    let attached: Vec<&str> = attachments.iter().map(|(name, _)| &**name).collect();
    let named: Vec<(&str, &Profile)> = names.iter().copied().zip(profiles).collect();
    lint_profile(&ProfileUpload {
        event,
        attached: &attached,
        profiles: &named,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::made::{CONTENT_TYPE, EVENT, bytes, upload};
    use std::io::Write;

    /// A packed profile that is so many MiB of texts once it is unpacked.
    fn texts(mebibytes: usize) -> Vec<u8> {
        let text = bytes(6, &[b'a'; 4_093]);
        let raw = [bytes(6, b""), text.repeat(mebibytes << 8)].concat();
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(&raw).unwrap();
        out.finish().unwrap()
    }

    #[track_caller]
    fn check(rule: &str, profiles: &[&[u8]], expected: Result<usize, &str>) {
        let names = ["a.pprof", "b.pprof", "c.pprof"];
        let attached: Vec<(&str, &[u8])> = names.into_iter().zip(profiles.to_vec()).collect();
        let read = read(CONTENT_TYPE, upload(EVENT, &attached), 0);
        let read = read.map(|upload| upload.profiles.len());
        assert_eq!(read, expected.map_err(String::from), "{rule}");
    }

    #[test]
    fn what_can_never_wait_is_not_told_to_come_again() {
        for (rule, bytes, expected) in [
            ("nothing", 0, None),
            ("all of the room", BYTES_MAX, None),
            ("a byte more", BYTES_MAX + 1, Some(413)),
        ] {
            let status = never_fits(bytes).map(|(status, _)| status);
            assert_eq!(status, expected, "{rule}");
        }
        let (_, text) = never_fits(67_108_865).unwrap();
        assert_eq!(
            text,
            "takes 67108865 bytes once it is decoded, over the 67108864 that may wait"
        );
    }

    #[test]
    fn all_profiles_of_an_upload_have_one_bound() {
        let [third, half, most] = [20, 31, 60].map(texts);
        let over = Err("b.pprof: over 67108864 bytes with the profiles before it");
        check("none", &[], Ok(0));
        check("one", &[&most], Ok(1));
        check("two halves", &[&half, &half], Ok(2));
        check("three thirds", &[&third, &third, &third], Ok(3));
        check("one and more", &[&most, &third], over);
        check("more and one", &[&third, &most], over);
        let alone = texts(65);
        let large = "a.pprof: over 67108864 bytes once it is unpacked";
        check("one alone", &[&alone], Err(large));
    }
}
