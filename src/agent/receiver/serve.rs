//! Which path takes what, `/info`, and what is told to whom is refused.

use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::traces::Shape;
use crate::agent::options::Addresses;
use crate::agent::queue::Queue;
use crate::agent::store::{Cargo, Way};
use crate::agent::view::PayloadRow;
use crate::server::{BodyError, Method, Reply, Request, Serve};

/// The Agent's own limit, `apm_config.max_payload_size`.
pub(super) const TRACES_BYTES_MAX: usize = 25 << 20;
const VERSION: &str = "7.99.0-testapi";
const ENDPOINTS: [&str; 4] = [
    "/v0.3/traces",
    "/v0.4/traces",
    "/v0.5/traces",
    "/profiling/v1/input",
];

/// Answers what the Agent's port for traces and profiles is asked.
pub(in crate::agent) struct Receiver {
    pub(in crate::agent) queue: Queue,
    pub(in crate::agent) addresses: Arc<OnceLock<Addresses>>,
    pub(in crate::agent) default_env: String,
}

/// Why a payload is not taken: status and text.
pub(super) type Refusal = (u16, String);

/// What a path takes.
#[derive(Clone, Copy, Debug)]
enum Input {
    Traces(Shape),
    Profiles,
}

impl Serve for Receiver {
    fn serve(&self, request: &mut Request) -> Reply {
        let input = match request.path() {
            "/info" if matches!(request.method(), Method::Get | Method::Head) => {
                return self.with_state(Reply::new(200, "application/json", self.info()));
            }
            "/v0.3/traces" => Input::Traces(Shape::V03),
            "/v0.4/traces" => Input::Traces(Shape::V04),
            "/v0.5/traces" => Input::Traces(Shape::V05),
            "/profiling/v1/input" => Input::Profiles,
            _ => return self.refuse(request, None, (404, "no such endpoint here".to_string())),
        };
        let way = match input {
            Input::Traces(_) => Way::Traces,
            Input::Profiles => Way::Profiles,
        };
        let taken = match (input, request.method()) {
            (Input::Traces(shape), Method::Post | Method::Put) => self.traces(request, shape),
            (Input::Profiles, Method::Post) => self.profiles(request),
            (Input::Traces(_), _) => Err((405, format!("{} takes PUT or POST", request.path()))),
            (Input::Profiles, _) => Err((405, format!("{} takes POST", request.path()))),
        };
        match taken {
            Ok(reply) => self.with_state(reply),
            Err(refusal) => self.refuse(request, Some(way), refusal),
        }
    }
}

impl Receiver {
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

    pub(super) fn row(&self, request: &Request) -> PayloadRow {
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
            "endpoints": ENDPOINTS,
            "client_drop_p0s": false,
            "config": {
                "default_env": self.default_env,
                "statsd_port": statsd_port,
                "receiver_port": addresses.map_or(0, |a| a.receiver.port()),
                "max_request_bytes": TRACES_BYTES_MAX,
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

pub(super) fn read_body(request: &mut Request, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    request.body(bytes_max).map_err(|error| match error {
        BodyError::TooLarge(_) => (413, error.to_string()),
        _ => (400, error.to_string()),
    })
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

/// Fowler, Noll and Vo's hash: the same in every build, and all a change needs.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::store::{Bounds, Store, StoreJob};
    use crate::agent::view::Query;
    use crate::clock::Clock;
    use crate::worker::{self, Guard, Limits};
    use std::time::Duration;

    const ALL: &str = "{\"rate_by_service\":{\"service:,env:\":1}}\n";
    const MSGPACK: &str = "Content-Type: application/msgpack";

    fn receiver() -> (Receiver, Guard) {
        let store = Arc::new(Store::new(&Bounds::default(), ""));
        let lines_waiting_bytes = Arc::default();
        let job = StoreJob {
            store: store.clone(),
            clock: Clock::system(),
            lines_waiting_bytes: Arc::clone(&lines_waiting_bytes),
        };
        let clock = Clock::system();
        let (handle, guard) =
            worker::start("t-receive", Limits::default(), clock.clone(), job).unwrap();
        let queue = Queue {
            handle,
            store,
            clock,
            lines_waiting_bytes,
        };
        let addresses = Arc::new(OnceLock::new());
        (
            Receiver {
                queue,
                addresses,
                default_env: "none".into(),
            },
            guard,
        )
    }

    /// `POST /path|Header: value|Header: value`
    fn ask(receiver: &Receiver, head: &str, body: &[u8]) -> (u16, String) {
        let mut parts = head.split('|');
        let (method, target) = parts.next().unwrap().split_once(' ').unwrap();
        let headers: Vec<(&str, &str)> = parts.map(|h| h.split_once(": ").unwrap()).collect();
        let reply = receiver.serve(&mut Request::made(method, target, &headers, body));
        (reply.status, String::from_utf8(reply.body).unwrap())
    }

    #[test]
    fn what_the_agent_takes_is_taken() {
        let (receiver, _guard) = receiver();
        #[track_caller]
        fn check(rule: &str, asked: (u16, String), expected: &str) {
            assert_eq!((asked.0, &*asked.1), (200, expected), "{rule}");
        }
        let v04 = |more: &str| {
            ask(
                &receiver,
                &format!("POST /v0.4/traces|{MSGPACK}{more}"),
                &[0x90],
            )
        };
        check("the probe", v04(""), ALL);
        check(
            "rates that are known",
            v04("|Datadog-Rates-Payload-Version: keep-all-1"),
            "{}\n",
        );
        check(
            "rates that are not",
            v04("|Datadog-Rates-Payload-Version: 0"),
            ALL,
        );
        check(
            "a wrong count is no refusal",
            v04("|X-Datadog-Trace-Count: 3"),
            ALL,
        );
        let v03 = format!("PUT /v0.3/traces|{MSGPACK}");
        check("v0.3", ask(&receiver, &v03, &[0x90]), "OK\n");
        let v05 = format!("PUT /v0.5/traces|{MSGPACK}");
        check("v0.5", ask(&receiver, &v05, &[0x92, 0x90, 0x90]), ALL);
        let json = "POST /v0.4/traces|Content-Type: application/json; charset=utf-8";
        check("JSON", ask(&receiver, json, b"[]"), ALL);
        check(
            "no type is JSON",
            ask(&receiver, "POST /v0.3/traces", b"[]"),
            "OK\n",
        );
        receiver
            .queue
            .handle
            .flush(Duration::from_secs(20))
            .unwrap();
        let counted = Query {
            q: "Trace-Count".into(),
            ..Query::default()
        };
        let rows = receiver.queue.store.list_payloads(&counted);
        assert_eq!((rows.len(), rows[0].status), (1, 200));
        assert_eq!(
            rows[0].error,
            "X-Datadog-Trace-Count says \"3\", the payload holds 0"
        );
    }

    #[test]
    fn what_is_refused_is_told_why_and_listed() {
        let (receiver, _guard) = receiver();
        let check = |head: &str, body: &[u8], status: u16, text: &str| {
            assert_eq!(
                ask(&receiver, head, body),
                (status, format!("{text}\n")),
                "{head}"
            );
        };
        let v04 = format!("POST /v0.4/traces|{MSGPACK}");
        check(
            &v04,
            &[0x91],
            400,
            "1 elements announced at byte 0, more than bytes left",
        );
        check(&v04, &[], 400, "ends at byte 0, inside a value");
        check(
            &v04,
            &vec![0; TRACES_BYTES_MAX + 1],
            413,
            "body over 26214400 bytes",
        );
        let text = "POST /v0.5/traces|Content-Type: text/plain";
        check(
            text,
            &[0x90],
            415,
            "Content-Type \"text/plain\": expected application/msgpack",
        );
        check(
            "GET /v0.4/traces",
            &[],
            405,
            "/v0.4/traces takes PUT or POST",
        );
        check(
            "POST /v0.7/config|User-Agent: me",
            &[],
            404,
            "no such endpoint here",
        );
        check("POST /info", &[], 404, "no such endpoint here");
        receiver
            .queue
            .handle
            .flush(Duration::from_secs(20))
            .unwrap();
        let store = &receiver.queue.store;
        let strangers = Query {
            q: "pipeline:http -/info".into(),
            ..Query::default()
        };
        let row = &store.list_payloads(&strangers)[0];
        assert_eq!(
            (&*row.what, &*row.from, row.status),
            ("POST /v0.7/config", "me", 404)
        );
        let decode_errors = store.pipelines(0)[0].decode_errors;
        assert_eq!((decode_errors, store.rail().payload_findings), (5, 7));
    }
}
