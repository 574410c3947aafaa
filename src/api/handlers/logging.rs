//! One log record.

use serde::Serialize;

use crate::api::instrument::write_record;
use crate::api::{Fault, Refusal, Services};
use crate::log::{Level, Record, Value};
use crate::server::{Params, Reply, Request};

#[derive(Serialize)]
struct Said<'a> {
    emitted: &'a str,
    status: &'a str,
    message: &'a str,
    written: bool,
}

pub(in crate::api) fn logging(
    services: &Services,
    _: &Request,
    params: &Params,
) -> Result<Reply, Fault> {
    let text = params.value("level");
    let level: Level = text
        .parse()
        .map_err(|_| Refusal::segment("level", text, "debug, info, warning, error or critical"))?;
    let message = ["a record at level ", text, ", asked for by /logging"].concat();
    let fields = [("demo.route", Value::Str("/logging/{level}"))];
    let record = Record {
        logger: "testapi.demo",
        fields: &fields,
        ..Record::new(level, &message)
    };
    write_record(services, &record);
    let written = services.logger.is_on(level);
    let said = Said {
        emitted: "log",
        status: level.status(),
        message: &message,
        written,
    };
    Ok(Reply::json(200, &said))
}
