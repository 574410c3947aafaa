//! `/api/profiles/<id>`: a flame graph as JSON, and attachments as they came, or without zstd.

use super::api::{problem, short, shown};
use super::asking::Agent;
use super::decode::{UNPACKED_BYTES_MAX, without_zstd};
use super::page::Views;
use super::trace_id::parse_trace_id;
use super::view::ProfileQuery;
use crate::server::{Reply, Request, percent_decode};

/// `/api/profiles/7`, `/api/profiles/all`, `/api/profiles/7/profile.pprof`, which `go tool pprof` can be given: it
/// reads gzip and not zstd.
pub(super) fn answer(agent: &Agent, request: &Request) -> Reply {
    let path = request.path();
    let path = path.strip_prefix("/api/profiles/").unwrap_or(path);
    let answered = match path.split_once('/') {
        Some((upload, name)) => attachment(agent, upload, name),
        None => flame(agent, path, request),
    };
    answered.unwrap_or_else(|(status, text)| problem(status, &text))
}

type Answered = Result<Reply, (u16, String)>;

fn attachment(agent: &Agent, upload: &str, name: &str) -> Answered {
    let upload = number("upload", upload)?;
    let name = percent_decode(name);
    let bytes = agent.attachment(upload, &name).ok_or_else(|| {
        let name = short(name.into_owned());
        (
            404,
            format!("upload {upload} with an attachment {name:?} is not held"),
        )
    })?;
    match without_zstd(bytes, UNPACKED_BYTES_MAX) {
        Ok(bytes) => Ok(Reply::new(200, "application/octet-stream", bytes)),
        Err(error) => Err((422, format!("this attachment cannot be unpacked: {error}"))),
    }
}

fn flame(agent: &Agent, upload: &str, request: &Request) -> Answered {
    let value = |key| short(request.query_value(key).unwrap_or_default());
    let upload = match upload {
        "all" => 0,
        upload => number("upload", upload)?,
    };
    let base = match &*value("base") {
        "" => 0,
        base => number("base", base)?,
    };
    let trace = match &*value("trace") {
        "" => 0,
        trace => {
            let id = parse_trace_id(trace);
            id.ok_or_else(|| (400, format!("trace {trace:?} is no trace id")))?
        }
    };
    let query = ProfileQuery {
        upload,
        base,
        trace,
        value: value("value"),
        route: value("route"),
        thread: value("thread"),
    };
    let Some(flame) = agent.flame(&query) else {
        let text = match base {
            0 => format!("upload {upload} is not held"),
            _ => format!("upload {upload} or base {base} is not held"),
        };
        return Err((404, text));
    };
    let is_there = |name: &str| {
        let rows = [Some(&flame.row), flame.base.as_ref()];
        let mut values = rows.into_iter().flatten().flat_map(|row| &row.values);
        values.any(|value| value.name == name)
    };
    if !query.value.is_empty() && !is_there(&query.value) {
        let text = format!("no sample type {:?} is in what is asked for", query.value);
        return Err((404, text));
    }
    Ok(shown(&flame))
}

/// Ids count up from 1.
fn number(what: &str, text: &str) -> Result<u64, (u16, String)> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        let shown = short(text.to_string());
        (400, format!("{what} {shown:?} is no number from 1 on"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::made::{self, EVENT, Made, made};
    use crate::agent::decode::{pprof, profile_event};
    use crate::agent::store::{Arrival, Cargo, Sent, Upload, Way};
    use crate::agent::view::PayloadRow;
    use crate::agent::{Guard, Options, start};
    use crate::clock::Clock;
    use serde_json::{Value, json};

    /// Bound to ports of its own; what arrives is applied at once.
    fn agent() -> (Agent, Guard) {
        let any = || "127.0.0.1:0".to_string();
        let options = Options {
            receiver_bind: any(),
            dogstatsd_bind: None,
            page_bind: any(),
            ..Options::default()
        };
        start(options, Clock::system()).unwrap()
    }

    fn apply(agent: &Agent, cargo: Cargo) {
        let arrival = Arrival {
            time_unix_us: 1,
            cargo,
        };
        agent.inner.store.apply(arrival);
    }

    /// One sample of so many nanoseconds, under the local root span 7.
    fn profile(nanoseconds: i64) -> Vec<u8> {
        let labels = &[
            ("local root span id", "#7"),
            ("trace endpoint", "GET /a"),
            ("thread name", "t"),
        ];
        let sample = Made {
            stack: &["main:1"],
            values: &[nanoseconds],
            labels,
        };
        made(&[("cpu-time", "nanoseconds")], &[sample])
    }

    fn send(agent: &Agent, nanoseconds: i64) {
        let bytes = profile(nanoseconds);
        let body = made::upload(EVENT, &[("a b.pprof", &bytes)]);
        let at = body
            .windows(bytes.len())
            .position(|part| part == bytes)
            .unwrap();
        let sent = Sent {
            time_unix_us: 1,
            event: profile_event(EVENT.as_bytes()).unwrap(),
            body,
            attachments: vec![("a b.pprof".to_string(), at..at + bytes.len())],
            findings: Vec::new(),
        };
        let upload = Box::new(Upload::new(sent, vec![pprof(&bytes).unwrap()]));
        let row = Box::new(PayloadRow::default());
        apply(agent, Cargo::Profiles { upload, row });
    }

    fn ask(agent: &Agent, target: &str) -> (u16, Value) {
        let request = Request::made("GET", target, &[("Host", "localhost")], b"");
        let reply = crate::agent::api::serve(agent, &[], &request);
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    #[test]
    fn flame_graphs_are_asked_for() {
        let (agent, _guard) = agent();
        assert_eq!(ask(&agent, "/api/profiles").1["rows"], json!([]));
        assert_eq!(ask(&agent, "/api/profiles/all").1["root"]["total"], 0);
        send(&agent, 5);
        send(&agent, 8);
        let total = |target: &str| ask(&agent, target).1["root"]["total"].clone();
        assert_eq!(
            (total("/api/profiles/1"), total("/api/profiles/all")),
            (json!(5), json!(13))
        );
        assert_eq!(
            total("/api/profiles/1?value=cpu-time&route=GET+/a&thread=t"),
            5
        );
        assert_eq!(total("/api/profiles/1?route=GET+/b"), 0);
        let (_, diff) = ask(&agent, "/api/profiles/2?base=1");
        assert_eq!(
            (&diff["row"]["id"], &diff["base"]["id"], &diff["base_total"]),
            (&json!(2), &json!(1), &json!(5))
        );
        let rows = &ask(&agent, "/api/profiles").1["rows"];
        assert_eq!((&rows[0]["id"], &rows[1]["id"]), (&json!(2), &json!(1)));
        assert_eq!(ask(&agent, "/api/overview").1["rail"]["profiles"], 2);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let (agent, _guard) = agent();
        send(&agent, 5);
        let check = |target: &str, status: u16, error: &str| {
            assert_eq!(
                ask(&agent, target),
                (status, json!({ "error": error })),
                "{target}"
            );
        };
        check(
            "/api/profiles/x",
            400,
            "upload \"x\" is no number from 1 on",
        );
        check(
            "/api/profiles/0",
            400,
            "upload \"0\" is no number from 1 on",
        );
        check("/api/profiles/", 400, "upload \"\" is no number from 1 on");
        check("/api/profiles/2", 404, "upload 2 is not held");
        check(
            "/api/profiles/1?base=a",
            400,
            "base \"a\" is no number from 1 on",
        );
        check(
            "/api/profiles/1?base=2",
            404,
            "upload 1 or base 2 is not held",
        );
        check("/api/profiles/1?trace=x", 400, "trace \"x\" is no trace id");
        check(
            "/api/profiles/all?value=x",
            404,
            "no sample type \"x\" is in what is asked for",
        );
        check(
            "/api/profiles/1/x",
            404,
            "upload 1 with an attachment \"x\" is not held",
        );
        check(
            "/api/profiles/all/a",
            400,
            "upload \"all\" is no number from 1 on",
        );
        check(
            "/api/profiles/9/a%20b.pprof",
            404,
            "upload 9 with an attachment \"a b.pprof\" is not held",
        );
    }

    #[test]
    fn an_attachment_is_given_as_it_came() {
        let (agent, _guard) = agent();
        send(&agent, 5);
        let request = Request::made(
            "GET",
            "/api/profiles/1/a%20b.pprof",
            &[("Host", "localhost")],
            b"",
        );
        let reply = crate::agent::api::serve(&agent, &[], &request);
        assert_eq!((reply.status, reply.body), (200, profile(5)));
        assert_eq!(reply.content_type, "application/octet-stream");
    }

    #[test]
    fn traces_and_profiles_are_joined_by_the_local_root() {
        let (agent, _guard) = agent();
        send(&agent, 5);
        send(&agent, 8);
        let share = |target: &str| ask(&agent, target).1["traces"][0].clone();
        let without = share("/api/profiles/all");
        assert_eq!(
            (&without["root_span_id"], &without["trace_id"]),
            (&json!("7"), &json!(""))
        );
        let spans = br#"[[{"trace_id":255,"span_id":7,"service":"a"},{"trace_id":255,"span_id":8,"parent_id":7,"service":"a"}],
            [{"trace_id":256,"span_id":9,"service":"a"}]]"#;
        let chunks = crate::agent::decode::chunks_json(spans).unwrap();
        let row = Box::new(PayloadRow::default());
        apply(
            &agent,
            Cargo::Traces {
                chunks,
                language: String::new(),
                row,
            },
        );
        assert_eq!(share("/api/profiles/all")["trace_id"], "255");
        let total = |target: &str| ask(&agent, target).1["root"]["total"].clone();
        assert_eq!(total("/api/profiles/all?trace=255"), 13);
        assert_eq!(
            total("/api/profiles/1?trace=000000000000000000000000000000ff"),
            5
        );
        assert_eq!(
            (
                total("/api/profiles/all?trace=256"),
                total("/api/profiles/all?trace=1")
            ),
            (json!(0), json!(0))
        );
        let samples = |id| agent.trace(id).map(|trace| trace.profile_samples);
        assert_eq!((samples(255), samples(256)), (Some(2), Some(0)));
        assert_eq!(
            agent.inner.store.pipelines(0)[Way::Profiles as usize].points,
            2
        );
    }
}
