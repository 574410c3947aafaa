//! Child spans, and a call of the API to itself.

use std::time::Duration;

use serde_json::json;

use crate::api::segment::whole;
use crate::api::{Fault, Refusal, Services};
use crate::http::{Call, Client};
use crate::server::{Params, Reply, Request};
use crate::trace::{self, ErrorTags, SpanEvent, SpanLink};

const DEPTH_MAX: u64 = 100;
const FANOUT_MAX: u64 = 1_000;
const EVENT_BYTES_MAX: usize = 100;
const DOWNSTREAM_TIMEOUT: Duration = Duration::from_secs(2);
const DOWNSTREAM_PATH: &str = "/trace/nested/2";

pub(in crate::api) fn nested(_: &Services, _: &Request, p: &Params) -> Result<Reply, Fault> {
    let depth = whole(p, "depth", 1, DEPTH_MAX)?;
    descend(1, depth);
    Ok(Reply::json(
        200,
        &json!({ "emitted": emitted(), "nested": depth }),
    ))
}

/// What a reply says: with tracing off there is nothing to say.
fn emitted() -> Option<&'static str> {
    trace::active_ids().map(|_| "spans")
}

fn descend(level: u64, depth: u64) {
    let mut span = trace::span("testapi.nested");
    span.set_resource(&format!("nested {level}"));
    span.set_metric("testapi.level", level as f64);
    if level < depth {
        descend(level + 1, depth);
    }
}

pub(in crate::api) fn fanout(_: &Services, _: &Request, p: &Params) -> Result<Reply, Fault> {
    let n = whole(p, "n", 1, FANOUT_MAX)?;
    for number in 1..=n {
        let mut span = trace::span("testapi.fanout");
        span.set_resource(&format!("fanout {number}"));
    }
    Ok(Reply::json(
        200,
        &json!({ "emitted": emitted(), "side_by_side": n }),
    ))
}

pub(in crate::api) fn linked(services: &Services, _: &Request, p: &Params) -> Result<Reply, Fault> {
    let event = p.value("event");
    if event.len() > EVENT_BYTES_MAX {
        let takes = format!("a name of at most {EVENT_BYTES_MAX} bytes");
        return Err(Refusal::segment("event", event, takes).into());
    }
    let cause = trace::span("testapi.linked").resource("cause");
    let (trace_id, span_id) = trace::active_ids().unwrap_or_default();
    cause.finish();
    let mut effect = trace::span("testapi.linked").resource("effect");
    effect.add_link(SpanLink {
        trace_id,
        span_id,
        attributes: vec![("reason".to_string(), "caused".to_string())],
        ..SpanLink::default()
    });
    effect.add_event(SpanEvent {
        name: event.to_string(),
        unix_ns: services.clock.unix_ns(),
        attributes: vec![("testapi.asked_for_by".to_string(), "/trace/linked".into())],
    });
    Ok(Reply::json(
        200,
        &json!({ "emitted": emitted(), "link": "to the first", "event": event }),
    ))
}

pub(in crate::api) fn downstream(
    services: &Services,
    _: &Request,
    _: &Params,
) -> Result<Reply, Fault> {
    let Some(target) = services.own_address.get() else {
        return Ok(Reply::json(
            503,
            &json!({ "error": "the API is not bound yet" }),
        ));
    };
    let Some(_passage) = services.self_calls.enter() else {
        let body = json!({ "error": "busy", "because": "half of the pool already waits for the other half" });
        return Ok(Reply::json(429, &body).with_header("Retry-After", "1"));
    };
    let resource = ["GET ", DOWNSTREAM_PATH].concat();
    let mut span = trace::span("http.client.request")
        .resource(&resource)
        .kind("http");
    for (key, value) in [
        ("span.kind", "client"),
        ("http.method", "GET"),
        ("component", "testapi"),
    ] {
        span.set_meta(key, value);
    }
    span.set_meta("http.url", format!("{target}{DOWNSTREAM_PATH}"));
    let carried = trace::headers();
    let mut headers: Vec<(&str, &str)> = carried.iter().map(|(n, v)| (*n, v.as_str())).collect();
    headers.push(("User-Agent", "testapi-downstream"));
    // The connection is used once and would hold one of the server's threads while it stays open.
    headers.push(("Connection", "close"));
    let call = Call {
        method: "GET",
        path: DOWNSTREAM_PATH,
        headers: &headers,
        body: &[],
    };
    let mut client = Client::new(target.clone(), services.clock.clone());
    match client.exchange(&call, DOWNSTREAM_TIMEOUT) {
        Ok(response) => {
            let status = response.status;
            span.set_meta("http.status_code", status.to_string());
            if services.tracer.web().client_errors.contains(status) {
                span.set_error(&ErrorTags {
                    kind: "http.status",
                    message: &format!("the API answered itself {status}"),
                    stack: &format!("0: {}\n    at {}:{}\n", module_path!(), file!(), line!()),
                });
            }
            Ok(Reply::json(
                200,
                &json!({ "emitted": "a trace across two requests", "downstream_status": status }),
            ))
        }
        Err(error) => {
            let fault = Fault::failed(502, &error);
            if let Some(tags) = fault.tags() {
                span.set_error(&tags);
            }
            Err(fault)
        }
    }
}
