//! The trace endpoints.

use super::serve::{Receiver, Refusal, TRACES_BYTES_MAX, read_body};
use crate::agent::decode::{Chunks, DecodeError, chunks_json, chunks_v04, chunks_v05};
use crate::agent::store::Cargo;
use crate::server::{Reply, Request};

/// The one set of rates that is ever told.
const RATES_VERSION: &str = "keep-all-1";

/// What a version's payload looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    V03,
    V04,
    V05,
}

impl Receiver {
    pub(super) fn traces(&self, request: &mut Request, shape: Shape) -> Result<Reply, Refusal> {
        let decode = decoder(request, shape)?;
        let body = read_body(request, TRACES_BYTES_MAX)?;
        let mut row = self.row(request);
        row.bytes = body.len() as u64;
        row.status = 200;
        let chunks = decode(body).map_err(|error| (400, error.to_string()))?;
        row.error = count_finding(request, &chunks).unwrap_or_default();
        let language = request
            .header("Datadog-Meta-Lang")
            .unwrap_or("")
            .to_string();
        let row = Box::new(row);
        let taken = self.queue.offer(Cargo::Traces {
            chunks,
            language,
            row,
        });
        // The Agent hides its full queue from those who do not ask for the real status.
        let real_status = request.header("Datadog-Send-Real-Http-Status");
        if !taken && real_status.is_some_and(is_true) {
            return Err((429, "the queue to the store is full".to_string()));
        }
        Ok(match shape {
            Shape::V03 => Reply::text(200, "OK\n"),
            Shape::V04 | Shape::V05 => rates(request.header("Datadog-Rates-Payload-Version")),
        })
    }
}

type Decode = fn(Vec<u8>) -> Result<Chunks, DecodeError>;

/// By `Content-Type`; like the Agent, JSON where a v0.3 or v0.4 request names none.
fn decoder(request: &Request, shape: Shape) -> Result<Decode, Refusal> {
    let content_type = request.header("Content-Type").unwrap_or("");
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    match (&*media_type, shape) {
        ("application/msgpack", Shape::V05) => Ok(|body| chunks_v05(&body)),
        ("application/msgpack", _) => Ok(chunks_v04),
        ("application/json" | "text/json" | "", Shape::V03 | Shape::V04) => {
            Ok(|body| chunks_json(&body))
        }
        (_, Shape::V05) => Err((
            415,
            format!("Content-Type {content_type:?}: expected application/msgpack"),
        )),
        _ => Err((
            415,
            format!(
                "Content-Type {content_type:?}: expected application/msgpack or application/json"
            ),
        )),
    }
}

fn rates(known: Option<&str>) -> Reply {
    const ALL: &[u8] = b"{\"rate_by_service\":{\"service:,env:\":1}}\n";
    match known {
        None | Some("") => Reply::new(200, "application/json", ALL),
        Some(version) => {
            let body = if version == RATES_VERSION {
                &b"{}\n"[..]
            } else {
                ALL
            };
            Reply::new(200, "application/json", body)
                .with_header("Datadog-Rates-Payload-Version", RATES_VERSION)
        }
    }
}

fn count_finding(request: &Request, chunks: &Chunks) -> Option<String> {
    let said = request.header("X-Datadog-Trace-Count")?;
    let found = chunks.announced;
    (said.trim().parse() != Ok(found))
        .then(|| format!("X-Datadog-Trace-Count says {said:?}, the payload holds {found}"))
}

/// The Agent's list of what counts as false.
fn is_true(value: &str) -> bool {
    !matches!(value, "" | "0" | "f" | "F" | "false" | "False" | "FALSE")
}
