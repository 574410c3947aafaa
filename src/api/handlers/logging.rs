//! One log record.

use serde_json::json;

use crate::api::instrument::write_record;
use crate::api::{Fault, Refusal, Services};
use crate::log::{Level, Record, Value};
use crate::server::{Params, Reply, Request};

pub(in crate::api) fn logging(
    services: &Services,
    _: &Request,
    params: &Params,
) -> Result<Reply, Fault> {
    let text = params.value("level");
    let level: Level = text
        .parse()
        .map_err(|_| Refusal::segment("level", text, "debug, info, warning, error or critical"))?;
    let message = format!("a record at level {text}, asked for by /logging");
    let fields = [("demo.route", Value::Str("/logging/{level}"))];
    let record = Record {
        logger: "testapi.demo",
        fields: &fields,
        ..Record::new(level, &message)
    };
    write_record(services, &record);
    let written = services.logger.is_on(level);
    Ok(Reply::json(
        200,
        &json!({ "emitted": "log", "status": level.status(), "message": message, "written": written }),
    ))
}
