//! The HTTP receiver: `/info` and the trace endpoints, as tracers of all languages ask for them.

use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::decode::{Chunks, chunks_json, chunks_v04, chunks_v05};
use super::options::Addresses;
use super::queue::Queue;
use super::store::{Cargo, Way};
use super::view::PayloadRow;
use crate::server::{BodyError, Method, Reply, Request, Serve};

/// The Agent's own limit, `apm_config.max_payload_size`.
const BODY_BYTES_MAX: usize = 25 << 20;
const VERSION: &str = "7.99.0-testapi";
/// The one set of rates that is ever told.
const RATES_VERSION: &str = "keep-all-1";

pub(super) struct Receiver {
    pub(super) queue: Queue,
    pub(super) addresses: Arc<OnceLock<Addresses>>,
    pub(super) default_env: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    V03,
    V04,
    V05,
}

/// Why a payload is not taken: status and text.
type Refusal = (u16, String);

impl Serve for Receiver {
    fn serve(&self, request: &mut Request) -> Reply {
        let shape = match request.path() {
            "/info" if matches!(request.method(), Method::Get | Method::Head) => {
                return self.with_state(Reply::new(200, "application/json", self.info()));
            }
            "/v0.3/traces" => Shape::V03,
            "/v0.4/traces" => Shape::V04,
            "/v0.5/traces" => Shape::V05,
            _ => return self.refuse(request, None, (404, "no such endpoint here".to_string())),
        };
        if !matches!(request.method(), Method::Post | Method::Put) {
            let text = format!("{} takes PUT or POST", request.path());
            return self.refuse(request, Some(Way::Traces), (405, text));
        }
        match self.traces(request, shape) {
            Ok(reply) => self.with_state(reply),
            Err(refusal) => self.refuse(request, Some(Way::Traces), refusal),
        }
    }
}

impl Receiver {
    fn traces(&self, request: &mut Request, shape: Shape) -> Result<Reply, Refusal> {
        let decode = decoder(request, shape)?;
        let body = request.body(BODY_BYTES_MAX).map_err(|error| match error {
            BodyError::TooLarge(_) => (413, error.to_string()),
            _ => (400, error.to_string()),
        })?;
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
        if !taken
            && request
                .header("Datadog-Send-Real-Http-Status")
                .is_some_and(is_true)
        {
            return Err((429, "the queue to the store is full".to_string()));
        }
        Ok(match shape {
            Shape::V03 => Reply::text(200, "OK\n"),
            Shape::V04 | Shape::V05 => rates(request.header("Datadog-Rates-Payload-Version")),
        })
    }

    fn refuse(&self, request: &Request, way: Option<Way>, (status, text): Refusal) -> Reply {
        let mut row = self.row(request);
        row.status = status;
        row.error.clone_from(&text);
        row.bytes = request
            .header("Content-Length")
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        self.queue.offer(Cargo::Refused {
            way,
            row: Box::new(row),
        });
        self.with_state(Reply::text(status, text + "\n"))
    }

    fn row(&self, request: &Request) -> PayloadRow {
        let what = format!("{} {}", request.method_text(), request.path());
        PayloadRow {
            time_unix_us: self.queue.now_unix_us(),
            what: what[..what.floor_char_boundary(300)].to_string(),
            from: sender(request),
            ..PayloadRow::default()
        }
    }

    /// Only what is decoded is listed: a tracer that finds more here would send it.
    fn info(&self) -> Vec<u8> {
        let addresses = self.addresses.get();
        let statsd_port = addresses.and_then(|a| a.dogstatsd).map_or(0, |a| a.port());
        let info = json!({
            "version": VERSION,
            "endpoints": ["/v0.3/traces", "/v0.4/traces", "/v0.5/traces"],
            "client_drop_p0s": false,
            "config": {
                "default_env": self.default_env,
                "statsd_port": statsd_port,
                "receiver_port": addresses.map_or(0, |a| a.receiver.port()),
                "max_request_bytes": BODY_BYTES_MAX,
            },
        });
        let mut body = info.to_string().into_bytes();
        body.push(b'\n');
        body
    }

    /// Tracers read `/info` again when this hash of it changes.
    fn with_state(&self, reply: Reply) -> Reply {
        let state = format!("{:016x}", fnv1a(&self.info()));
        reply
            .with_header("Datadog-Agent-State", state)
            .with_header("Datadog-Agent-Version", VERSION)
    }
}

type Decode = fn(Vec<u8>) -> Result<Chunks, super::decode::DecodeError>;

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

fn sender(request: &Request) -> String {
    let language = request
        .header("Datadog-Meta-Lang")
        .filter(|value| !value.is_empty());
    let text = match (language, request.header("User-Agent"), request.peer()) {
        (Some(language), ..) => {
            let version = request.header("Datadog-Meta-Tracer-Version").unwrap_or("");
            format!("{language} {version}").trim_end().to_string()
        }
        (None, Some(agent), _) => agent.to_string(),
        (None, None, peer) => peer.map(|peer| peer.to_string()).unwrap_or_default(),
    };
    text[..text.floor_char_boundary(200)].to_string()
}

/// The Agent's list of what counts as false.
fn is_true(value: &str) -> bool {
    !matches!(value, "" | "0" | "f" | "F" | "false" | "False" | "FALSE")
}

/// Fowler, Noll and Vo's hash: the same in every build, and all a change needs.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
