//! Which path takes what, `/info`, and what is told to whom is refused.

use std::sync::{Arc, Mutex, OnceLock};

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
    /// Held while an upload of profiles is unpacked and decoded.
    pub(in crate::agent) decoding: Mutex<()>,
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
    use crate::agent::decode::made::{self, CONTENT_TYPE, EVENT, Made, made};
    use crate::agent::store::{Bounds, Store, StoreJob};
    use crate::agent::view::Query;
    use crate::clock::Clock;
    use crate::worker::{self, Guard, Limits};
    use std::io::Write;
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
                decoding: Mutex::default(),
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

    /// An upload's head, and its body with a packed profile.
    fn upload(profile: &[u8]) -> (String, Vec<u8>) {
        let head = format!("POST /profiling/v1/input|Content-Type: {CONTENT_TYPE}");
        (head, made::upload(EVENT, &[("profile.pprof", profile)]))
    }

    fn profile() -> Vec<u8> {
        made(
            &[("cpu-time", "nanoseconds")],
            &[Made {
                stack: &["main:1"],
                values: &[5],
                labels: &[("local root span id", "#7")],
            }],
        )
    }

    #[test]
    fn profiles_are_taken_raw_and_packed() {
        let (receiver, _guard) = receiver();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&profile()).unwrap();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let zstd = ruzstd::encoding::compress_to_vec(&profile()[..], level);
        for bytes in [profile(), gzip.finish().unwrap(), zstd] {
            let (head, body) = upload(&bytes);
            assert_eq!(ask(&receiver, &head, &body), (200, "OK\n".to_string()));
        }
        let (head, _) = upload(b"");
        let body = made::upload(EVENT, &[("code.json", b"{}")]);
        assert_eq!(ask(&receiver, &head, &body).0, 200, "odd, and no error");
        let deadline = Duration::from_secs(20);
        receiver.queue.handle.flush(deadline).unwrap();
        let store = &receiver.queue.store;
        let rows = store.list_profiles().rows;
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (row.id, row.samples, row.findings.len()))
            .collect();
        assert_eq!(shown, [(4, 0, 3), (3, 1, 0), (2, 1, 0), (1, 1, 0)]);
        let row = &rows[3];
        let words = [
            &row.service,
            &row.env,
            &row.version,
            &row.language,
            &row.host,
            &row.process_id,
        ];
        assert_eq!(words, ["web", "dev", "1.0", "native", "h", "7"]);
        assert_eq!(row.endpoints[0], ("GET /b".to_string(), 5));
        assert_eq!(
            row.attachments,
            [("profile.pprof".to_string(), profile().len() as u64)]
        );
        let pipeline = &store.pipelines(0)[Way::Profiles as usize];
        let counted = (pipeline.payloads, pipeline.points, pipeline.decode_errors);
        assert_eq!(
            (pipeline.name, pipeline.unit, counted),
            ("profiles", "samples", (4, 3, 0))
        );
        let payloads = store.list_payloads(&Query {
            q: "pipeline:profiles".into(),
            ..Query::default()
        });
        assert_eq!(
            (payloads.len(), payloads[3].points, payloads[3].status),
            (4, 1, 200)
        );
        assert!(
            payloads[0].error.starts_with("profile.pprof is named"),
            "{}",
            payloads[0].error
        );
    }

    #[test]
    fn no_beginning_of_an_upload_is_taken() {
        let (receiver, _guard) = receiver();
        let (head, body) = upload(&profile());
        for end in 0..body.len() {
            assert_eq!(ask(&receiver, &head, &body[..end]).0, 400, "{end}");
        }
        assert_eq!(ask(&receiver, &head, &body).0, 200);
    }

    #[test]
    fn profiles_that_are_refused_are_told_why() {
        let (receiver, _guard) = receiver();
        #[track_caller]
        fn check(asked: (u16, String), status: u16, text: &str) {
            assert_eq!(asked, (status, format!("{text}\n")));
        }
        let (head, body) = upload(b"");
        let empty = "profile.pprof: empty";
        check(ask(&receiver, &head, &body), 400, empty);
        let torn = made::upload(EVENT, &[("a.json", b"{"), ("cpu.pprof", b"\x0a\x05")]);
        check(
            ask(&receiver, &head, &torn),
            400,
            "cpu.pprof: Profile ends inside a field",
        );
        let no_event = String::from_utf8(made::upload("", &[]))
            .unwrap()
            .replace("event", "other");
        check(
            ask(&receiver, &head, no_event.as_bytes()),
            400,
            "no part is named `event`",
        );
        let json =
            "event.json: not the JSON expected: EOF while parsing a value at line 1 column 0";
        check(ask(&receiver, &head, &made::upload("", &[])), 400, json);
        check(
            ask(&receiver, &head, b""),
            400,
            "no part begins with the boundary",
        );
        let get = head.replace("POST", "GET");
        check(
            ask(&receiver, &get, b""),
            405,
            "/profiling/v1/input takes POST",
        );
        let put = head.replace("POST", "PUT");
        check(
            ask(&receiver, &put, &body),
            405,
            "/profiling/v1/input takes POST",
        );
        let no_type = "POST /profiling/v1/input";
        check(
            ask(&receiver, no_type, &body),
            415,
            "Content-Type \"\": expected multipart/form-data",
        );
        let no_boundary = "POST /profiling/v1/input|Content-Type: multipart/form-data";
        let told = "Content-Type has no boundary of 1 to 70 characters";
        check(ask(&receiver, no_boundary, &body), 400, told);
        let large = vec![0; (50 << 20) + 1];
        check(
            ask(&receiver, &head, &large),
            413,
            "body over 52428800 bytes",
        );
        receiver
            .queue
            .handle
            .flush(Duration::from_secs(20))
            .unwrap();
        let pipeline = &receiver.queue.store.pipelines(0)[Way::Profiles as usize];
        assert_eq!((pipeline.decode_errors, pipeline.points), (10, 0));
        assert_eq!(pipeline.state(), "look");
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
