//! Prometheus: a counter to add to, and the exposition.

use serde_json::json;

use crate::api::segment::whole;
use crate::api::{Fault, Services};
use crate::prometheus::Format;
use crate::server::{Params, Reply, Request, gzip};

/// Most that one request adds: doubles, as scrapers hold counters, stay exact up to here.
const ADD_MAX: u64 = 1 << 53;

pub(in crate::api) fn counter_inc(
    services: &Services,
    _: &Request,
    params: &Params,
) -> Result<Reply, Fault> {
    let count_type = params.value("count_type");
    let value = whole(params, "value", 0, ADD_MAX)?;
    services.families.custom.with(&[count_type]).add(value);
    Ok(Reply::json(
        200,
        &json!({
            "emitted": "prometheus counter",
            "metric": "custom_metric_total",
            "count_type": count_type,
            "added": value,
        }),
    ))
}

pub(in crate::api) fn exposition(
    services: &Services,
    request: &Request,
    _: &Params,
) -> Result<Reply, Fault> {
    let (format, content_type) = Format::negotiate(request.header_values("accept"));
    let packed = gzip::is_accepted(request.header_values("accept-encoding"));
    services.exporter_families.look(services);
    let reply = services.registry.with_page(format, |page| match packed {
        true => {
            Reply::new(200, content_type, gzip::pack(page)).with_header("Content-Encoding", "gzip")
        }
        false => Reply::new(200, content_type, page),
    });
    Ok(reply.with_header("Vary", "Accept, Accept-Encoding"))
}
