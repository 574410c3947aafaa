//! Log lines held in memory, as the text that came.

use std::collections::VecDeque;
use std::sync::Arc;

use super::errors::Errors;
use super::facets::{Facets, paths};
use super::fingerprint::ErrorSeen;
use super::log_row::Reader;
use super::query::{Term, contains, rows_max, terms};
use crate::agent::decode::{LogLine, Status, each_leaf, log_summary};
use crate::agent::view::{self, LogRow, Query};

/// What a line costs besides its text: itself with its two counts, what the allocator adds to both,
/// and its slot in the ring, of which half may be spare.
const LINE_OVERHEAD_BYTES: usize = size_of::<Line>() + 16 + 2 * 16 + 2 * size_of::<Arc<Line>>();
/// Of a service's name, by which lines are searched; Datadog itself takes 100.
const SERVICE_BYTES_MAX: usize = 200;
/// The logger whose lines are the access log.
const ACCESS_LOGGER: &str = "testapi.access";

/// One line and what the list is searched by.
#[derive(Debug)]
pub(crate) struct Line {
    seq: u64,
    arrived_unix_us: u64,
    status: Status,
    trace_id: u64,
    service: Arc<str>,
    text: Box<str>,
}

impl Line {
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn arrived_unix_us(&self) -> u64 {
        self.arrived_unix_us
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Lines in the order of their arrival, oldest let go first.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    bytes_max: usize,
    evicted: u64,
    next_seq: u64,
    access_lines: u64,
    /// Lines of one service come in runs, so the last name is nearly always the next.
    last_service: Arc<str>,
}

/// What a search works on, taken under the lock and used without it.
pub(crate) struct Held {
    lines: Vec<Arc<Line>>,
    evicted: u64,
    next_seq: u64,
}

impl Logs {
    pub(crate) fn new(bytes_max: usize) -> Logs {
        Logs {
            bytes_max,
            ..Logs::default()
        }
    }

    pub(crate) fn take(&mut self, text: &str, arrived_unix_us: u64, errors: &mut Errors) {
        let read = log_summary(text);
        self.next_seq += 1;
        let access = read.logger == ACCESS_LOGGER && !read.http_status_code.is_empty();
        self.access_lines += u64::from(access);
        if let Some(seen) = error(&read) {
            errors.see(arrived_unix_us, &seen);
        }
        let service = &read.service[..read.service.floor_char_boundary(SERVICE_BYTES_MAX)];
        if *self.last_service != *service {
            self.last_service = service.into();
        }
        self.bytes += text.len() + LINE_OVERHEAD_BYTES;
        self.lines.push_back(Arc::new(Line {
            seq: self.next_seq,
            arrived_unix_us,
            status: read.status,
            trace_id: read.trace_id,
            service: self.last_service.clone(),
            text: text.into(),
        }));
        while self.bytes > self.bytes_max
            && let Some(gone) = self.lines.pop_front()
        {
            self.bytes -= gone.text.len() + LINE_OVERHEAD_BYTES;
            self.evicted += 1;
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.lines.len() as u64
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn access_lines(&self) -> u64 {
        self.access_lines
    }

    pub(crate) fn held(&self) -> Held {
        let lines = self.lines.iter().cloned().collect();
        Held {
            lines,
            evicted: self.evicted,
            next_seq: self.next_seq,
        }
    }
}

impl Held {
    /// Without `since` the newest; with it the oldest that came after, so that a reader who goes on from
    /// `next_since` misses none, also where the rows stop for their size.
    pub(crate) fn list(&self, query: &Query, reader: Reader) -> view::Logs {
        let terms = terms(query, &["status", "level", "service", "trace_id"]);
        let fits = |line: &&Line| terms.iter().all(|term| passes(line, term));
        let max = rows_max(query);
        let mut kept: Vec<&Line> = Vec::new();
        let mut matching = 0_u64;
        let after = self.lines.partition_point(|line| line.seq <= query.since);
        let lines = self.lines[after..].iter().map(|line| &**line);
        let mut facets = Facets::default();
        if query.since == 0 {
            for line in lines.rev().filter(fits) {
                matching += 1;
                facets.see(line);
                if kept.len() < max {
                    kept.push(line);
                }
            }
        } else {
            for line in lines.filter(fits) {
                matching += 1;
                if kept.len() < max {
                    kept.push(line);
                }
            }
        }
        let mut rows = reader.rows(kept.iter().copied());
        let whole = query.since == 0 || matching == rows.len() as u64;
        let last = rows.last().map_or(query.since, |row| row.seq);
        if query.since == 0 {
            rows.reverse();
        }
        let (facets, facet_lines, facet_lines_large) = facets.view();
        view::Logs {
            facets,
            facet_lines,
            facet_lines_large,
            matching,
            left_out: (kept.len() - rows.len()) as u64,
            rows,
            held: self.lines.len() as u64,
            evicted: self.evicted,
            next_since: if whole { self.next_seq } else { last },
        }
    }

    /// Lines of one trace, oldest first, at most the newest 1,000; and how many older ones there are.
    pub(crate) fn of_trace(&self, trace_id: u64, reader: Reader) -> (Vec<LogRow>, u64) {
        let lines = self.lines.iter().rev().map(|line| &**line);
        let of_trace = lines.filter(|line| line.trace_id == trace_id);
        let all = of_trace.clone().count();
        let mut rows = reader.rows(of_trace.take(1_000));
        rows.reverse();
        let left_out = (all - rows.len()) as u64;
        (rows, left_out)
    }
}

fn passes(line: &Line, term: &Term) -> bool {
    term.passes(|value| match term.key {
        Some("status") => line.status.name() == value,
        // A field of this name is most often what the status was read from, but may hold anything.
        Some("level") => line.status.name() == value || holds(line, "level", value),
        Some("service") if term.exact => line.service.eq_ignore_ascii_case(value),
        Some("service") => contains(&line.service, value),
        Some(_) => line.trace_id != 0 && id_is(line.trace_id, value),
        None => {
            let field = term.field.as_ref();
            contains(&line.text, value) || field.is_some_and(|(key, value)| holds(line, key, value))
        }
    })
}

/// Whether the line's JSON has this value under this key; a `*` at the value's end stands for any end.
fn holds(line: &Line, key: &str, value: &str) -> bool {
    let (start, open) = value
        .strip_suffix('*')
        .map_or((value, false), |start| (start, true));
    // What JSON writes as it is must be there; most lines are done with after this look.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let text = &*line.text;
    if !text.trim_start().starts_with('{') || (start.chars().all(plain) && !contains(text, start)) {
        return false;
    }
    // Datadog's own spelling of an attribute; a key may begin with it all the same.
    let bare = key.strip_prefix('@').unwrap_or(key);
    let same_key = paths(bare);
    let is = |text: &str| match open {
        true => text
            .get(..start.len())
            .is_some_and(|text| text.eq_ignore_ascii_case(start)),
        false => text.eq_ignore_ascii_case(start),
    };
    let mut found = false;
    let read = each_leaf(text, |path, leaf| {
        found |= !found
            && ([key, bare].iter().any(|key| path.eq_ignore_ascii_case(key))
                || same_key.contains(&path))
            && is(&leaf.text());
    });
    found && read.is_ok()
}

/// Decimal, or hex of 64 or 128 bits.
fn id_is(id: u64, value: &str) -> bool {
    let hex = if value.len() == 32 {
        &value[value.floor_char_boundary(16)..]
    } else {
        value
    };
    value.parse() == Ok(id) || (hex.len() == 16 && u64::from_str_radix(hex, 16) == Ok(id))
}

/// Error Tracking takes lines of status error or worse that have a kind or a stack.
fn error(read: &LogLine) -> Option<ErrorSeen<'_>> {
    if !read.json || read.status > Status::Error {
        return None;
    }
    let bare = read.error_kind.is_empty() && read.error_stack.is_empty();
    let message = if read.error_message.is_empty() {
        &read.message
    } else {
        &read.error_message
    };
    Some(ErrorSeen {
        service: &read.service,
        error_type: &read.error_kind,
        message,
        stack: &read.error_stack,
        resource: "",
        trace_id: read.trace_id,
        ignored_because: if bare { "no error.stack" } else { "" },
        is_log: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(lines: &[&str], bytes_max: usize) -> (Logs, Errors) {
        let (mut logs, mut errors) = (Logs::new(bytes_max), Errors::new(9));
        for line in lines {
            logs.take(line, 77, &mut errors);
        }
        (logs, errors)
    }

    const SEARCHED: [&str; 3] = [
        "plain text",
        r#"{"status":"info","service":"web","logger":{"name":"testapi.access"},"http":{"status_code":200},"message":"GET /"}"#,
        r#"{"status":"error","service":"web","message":"Boom","error":{"kind":"E","message":"m 1","stack":"s"},"dd":{"trace_id":"6b02c8760000000000000000000000ff"}}"#,
    ];

    #[track_caller]
    fn check(logs: &Logs, q: &str, since: u64, expected: &[u64]) {
        let query = Query {
            q: q.to_string(),
            since,
            limit: 2,
        };
        let list = logs.held().list(&query, Reader::Api);
        let seqs: Vec<u64> = list.rows.iter().map(|row| row.seq).collect();
        assert_eq!((seqs.as_slice(), list.next_since), (expected, 3), "{q}");
    }

    #[test]
    fn any_field_can_be_searched_for() {
        let (logs, _) = filled(&SEARCHED, 1 << 20);
        check(&logs, "service:\"we\"", 0, &[]);
        check(&logs, "service:\"WEB\"", 0, &[2, 3]);
        check(&logs, "http.status_code:200", 0, &[2]);
        check(&logs, "http.status_code:20", 0, &[]);
        check(&logs, "http.status_code:20*", 0, &[2]);
        check(&logs, "-http.status_code:200", 0, &[1, 3]);
        check(&logs, "logger.name:testapi.access", 0, &[2]);
        check(&logs, "Logger:TESTAPI.*", 0, &[2]);
        check(&logs, "error.type:e error.kind:E", 0, &[3]);
        check(&logs, "error.message:\"m 1\"", 0, &[3]);
        check(&logs, "message:\"GET /\"", 0, &[2]);
        check(&logs, "status_code:200", 0, &[]);
        check(&logs, "@http.status_code:200", 0, &[2]);
        check(&logs, "@logger.name:testapi.*", 0, &[2]);
        check(&logs, "-@http.status_code:200", 0, &[1, 3]);
        check(&logs, "@@http.status_code:200", 0, &[]);
        check(&logs, "@service:web @status:error", 0, &[3]);
        check(&logs, "level:error", 0, &[3]);
        check(&logs, "-@level:info", 0, &[3]);
        let (logs, _) = filled(
            &[r#"{"@timestamp":"x1"}"#, r#"{"level":"30"}"#, "c"],
            1 << 20,
        );
        check(&logs, "@timestamp:x1", 0, &[1]);
        check(&logs, "timestamp:x1", 0, &[]);
        check(&logs, "level:30", 0, &[2]);
    }

    #[test]
    fn lines_are_kept_counted_and_searched() {
        let (logs, errors) = filled(&SEARCHED, 1 << 20);
        assert_eq!(
            (logs.access_lines(), logs.count(), logs.evicted()),
            (1, 3, 0)
        );
        check(&logs, "", 0, &[2, 3]);
        check(&logs, "", 2, &[3]);
        let one = |since| {
            let list = logs.held().list(
                &Query {
                    limit: 1,
                    since,
                    ..Query::default()
                },
                Reader::Api,
            );
            (list.rows[0].seq, list.matching, list.next_since)
        };
        assert_eq!(
            [one(1), one(2)],
            [(2, 2, 2), (3, 1, 3)],
            "one by one, none is missed"
        );
        check(&logs, "status:error", 0, &[3]);
        check(&logs, "-status:error plain", 0, &[1]);
        check(&logs, "service:WEB boom", 0, &[3]);
        check(&logs, "trace_id:255", 0, &[3]);
        check(&logs, "trace_id:6b02c8760000000000000000000000ff", 0, &[3]);
        check(&logs, "trace_id:00000000000000ff", 0, &[3]);
        check(&logs, "trace_id:0", 0, &[]);
        let row = &logs.held().of_trace(255, Reader::Page).0[0];
        assert_eq!(
            (&*row.message, &*row.trace_id, row.time_unix_us),
            ("Boom", "255", 77)
        );
        assert_eq!(
            row.fields,
            [("error.message".to_string(), "m 1".to_string())]
        );
        let group = &errors.list()[0];
        assert_eq!(
            (&*group.message, &*group.trace_id, &*group.ignored_because),
            ("m 1", "255", "")
        );
    }

    #[track_caller]
    fn check_facet(rule: &str, (lines, q): (&[&str], &str), key: &str, expected: &[(&str, u64)]) {
        let query = Query {
            q: q.to_string(),
            ..Query::default()
        };
        let list = filled(lines, 1 << 20).0.held().list(&query, Reader::Api);
        let facet = list.facets.iter().find(|facet| facet.key == key);
        let values = facet.map_or(&[][..], |facet| &facet.values);
        let values: Vec<_> = values.iter().map(|v| (&*v.value, v.lines)).collect();
        assert_eq!(values, expected, "{rule}: {key}");
        for (value, lines) in &expected[..expected.len().min(1)] {
            let narrow = format!("{q} {key}:\"{value}\"");
            let query = Query {
                q: narrow,
                ..Query::default()
            };
            let there = filled_list(&list, &query);
            assert_eq!(there, *lines, "{rule}: a link finds what it says");
        }
    }

    /// How many of the shown rows a search finds, by their whole text again.
    fn filled_list(list: &view::Logs, query: &Query) -> u64 {
        assert_eq!(list.rows.len() as u64, list.matching);
        let (logs, _) = filled(&FACETED, 1 << 20);
        logs.held().list(query, Reader::Api).matching
    }

    const FACETED: [&str; 5] = [
        "plain",
        r#"{"status":"error","service":"a b","error":{"type":"E"},"http":{"status_code":500,"method":"GET"}}"#,
        r#"{"status":"error","service":"a b","error.kind":"F","http.status_code":"500"}"#,
        r#"{"level":"warn","logger":"x","http":{"status_code":null}}"#,
        r#"{"status":"error""#,
    ];

    #[test]
    fn facets_count_what_matches() {
        let all = (&FACETED[..], "");
        check_facet(
            "levels",
            all,
            "status",
            &[("error", 2), ("info", 2), ("warn", 1)],
        );
        check_facet("services", all, "service", &[("a b", 2)]);
        check_facet("numbers and text", all, "http.status_code", &[("500", 2)]);
        check_facet("both names", all, "error.kind", &[("E", 1), ("F", 1)]);
        check_facet("a plain logger", all, "logger.name", &[("x", 1)]);
        check_facet(
            "of a search",
            (&FACETED, "status:error"),
            "http.method",
            &[("GET", 1)],
        );
        check_facet("none of it", (&FACETED, "status:warn"), "error.kind", &[]);
        check_facet("no lines", (&[], ""), "status", &[]);
    }

    #[test]
    fn facets_have_their_bounds() {
        let lines: Vec<String> = (0..6_000)
            .map(|n| {
                format!(
                    r#"{{"service":"s{n}","logger":"{}"}}"#,
                    "x".repeat(n % 2 * 300)
                )
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let list = filled(&lines, 64 << 20)
            .0
            .held()
            .list(&Query::default(), Reader::Api);
        assert_eq!((list.facet_lines, list.matching), (5_000, 6_000));
        let facet = |key: &str| list.facets.iter().find(|facet| facet.key == key).unwrap();
        let service = facet("service");
        assert_eq!((service.values.len(), service.others), (8, 4_992));
        assert_eq!(&*service.values[0].value, "s5000", "of the newest lines");
        assert_eq!(
            (
                facet("logger.name").values.len(),
                facet("logger.name").others
            ),
            (1, 2_500)
        );
        let after = filled(&lines[..3], 1 << 20).0.held().list(
            &Query {
                since: 1,
                ..Query::default()
            },
            Reader::Api,
        );
        assert_eq!(
            (after.facets.len(), after.facet_lines),
            (0, 0),
            "who reads on asks for none"
        );
    }

    #[test]
    fn a_cut_line_is_marked() {
        let lines = [r#"{"truncated":true}"#, r#"{"truncated":false}"#, "text"];
        let list = filled(&lines, 1 << 20)
            .0
            .held()
            .list(&Query::default(), Reader::Api);
        let shown: Vec<_> = list
            .rows
            .iter()
            .map(|row| (row.truncated, row.json))
            .collect();
        assert_eq!(shown, [(true, true), (false, true), (false, false)]);
    }

    #[test]
    fn the_oldest_go_first() {
        let lines: Vec<String> = (0..50).map(|n| format!("line {n}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (logs, _) = filled(&lines, 10 * (LINE_OVERHEAD_BYTES + 7));
        assert_eq!((logs.count(), logs.evicted()), (10, 40));
        let list = logs.held().list(&Query::default(), Reader::Api);
        assert_eq!(
            (&*list.rows[0].message, list.matching, list.evicted),
            ("line 40", 10, 40)
        );
        let long = format!(r#"{{"message":"m","service":"{}"}}"#, "s".repeat(5_000));
        assert_eq!(
            filled(&[&long], 1 << 20).0.last_service.len(),
            SERVICE_BYTES_MAX
        );
        assert_eq!(filled(&["x"], 0).0.count(), 0);
    }
}
