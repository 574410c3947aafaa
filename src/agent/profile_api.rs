//! `/api/profiles/<id>`: a flame graph as JSON, and attachments as they came.

use super::api::{problem, short, shown};
use super::asking::Agent;
use super::page::Views;
use super::trace_id::parse_trace_id;
use super::view::ProfileQuery;
use crate::server::{Reply, Request, percent_decode};

/// `/api/profiles/7`, `/api/profiles/all`, `/api/profiles/7/profile.pprof`, which `go tool pprof` can be given.
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
    Ok(Reply::new(200, "application/octet-stream", bytes))
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
