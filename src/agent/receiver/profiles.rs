//! The endpoint for profiles. The Agent passes uploads on unread; here they are read, and what is wrong is told.

use std::ops::Range;

use super::serve::{Receiver, Refusal, read_body};
use crate::agent::decode::{
    MultipartError, Part, Profile, ProfileEvent, multipart, pprof, profile_event,
};
use crate::agent::lint::{ProfileUpload, lint_profile};
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
        let upload = read(&content_type, body, row.time_unix_us).map_err(|why| (400, why))?;
        let taken = self.queue.offer(Cargo::Profiles {
            upload: Box::new(upload),
            row: Box::new(row),
        });
        match taken {
            true => Ok(Reply::text(200, "OK\n")),
            false => Err((429, "the queue to the store is full".to_string())),
        }
    }
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
    let (mut names, mut profiles) = (Vec::new(), Vec::new());
    for (name, range) in &attachments {
        if name.ends_with(".pprof") {
            let read = pprof(&body[range.clone()]);
            let shown = name.floor_char_boundary(100);
            profiles.push(read.map_err(|error| format!("{}: {error}", &name[..shown]))?);
            names.push(name.as_str());
        }
    }
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
