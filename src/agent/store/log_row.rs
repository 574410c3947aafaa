//! From held lines to the rows that are shown, under a bound in bytes.

use super::logs::Line;
use crate::agent::decode::{Cuts, log_shown};
use crate::agent::view::LogRow;

/// Who the rows are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A person: nobody reads the end of a long text on a page that is renewed every 2 s.
    Page,
    /// A program: texts are whole.
    Api,
}

/// What a row costs besides its texts, and a field besides its own, as HTML.
const ROW_BYTES: usize = 600;
const FIELD_BYTES: usize = 24;
/// What a byte that is written out takes more, in HTML and in JSON.
const ESCAPE_BYTES: usize = 5;

impl Reader {
    fn cuts(self) -> Cuts {
        match self {
            Reader::Api => Cuts::NONE,
            Reader::Page => Cuts {
                text_bytes: 16_000,
                value_bytes: 2_000,
                key_bytes: 200,
                fields_max: 100,
            },
        }
    }

    /// Of all rows of one answer, written out; one row is always given.
    fn bytes_max(self) -> usize {
        match self {
            Reader::Page => 4_000_000,
            Reader::Api => 16_000_000,
        }
    }

    /// Rows of the lines in their order, while there is room. The rest is not even read.
    pub(crate) fn rows<'l>(self, lines: impl Iterator<Item = &'l Line>) -> Vec<LogRow> {
        let (mut rows, mut room_bytes) = (Vec::new(), self.bytes_max());
        for line in lines {
            let row = row(line, self.cuts());
            let left = room_bytes.checked_sub(written_bytes(&row));
            if left.is_none() && !rows.is_empty() {
                break;
            }
            room_bytes = left.unwrap_or(0);
            rows.push(row);
        }
        rows
    }
}

/// At most what a row takes as HTML or as JSON.
fn written_bytes(row: &LogRow) -> usize {
    let once = [
        &row.message,
        &row.service,
        &row.error_kind,
        &row.error_stack,
    ];
    let once: usize = once.iter().map(|text| escaped_bytes(text)).sum();
    let field =
        |(key, value): &(String, String)| FIELD_BYTES + escaped_bytes(key) + escaped_bytes(value);
    let fields: usize = row.fields.iter().map(field).sum();
    ROW_BYTES + once + 3 * escaped_bytes(&row.logger) + fields
}

fn escaped_bytes(text: &str) -> usize {
    // The last three begin the marks and controls beyond ASCII that are written out.
    let may_be = |byte: &u8| {
        *byte < b' '
            || matches!(
                byte,
                b'&' | b'<' | b'>' | b'"' | b'\'' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2
            )
    };
    text.len() + ESCAPE_BYTES * text.as_bytes().iter().filter(|byte| may_be(byte)).count()
}

fn row(line: &Line, cuts: Cuts) -> LogRow {
    let read = log_shown(line.text(), cuts);
    let id = |id: u64| {
        if id == 0 {
            String::new()
        } else {
            id.to_string()
        }
    };
    let mut fields = read.fields;
    if !read.error_message.is_empty() {
        fields.push(("error.message".to_string(), read.error_message));
        fields.sort();
    }
    LogRow {
        seq: line.seq(),
        time_unix_us: read.time_unix_us.unwrap_or(line.arrived_unix_us()),
        json: read.json,
        truncated: read.truncated,
        status: read.status.name(),
        service: read.service,
        logger: read.logger,
        message: read.message,
        trace_id: id(read.trace_id),
        span_id: id(read.span_id),
        error_kind: read.error_kind,
        error_stack: read.error_stack,
        fields,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::store::errors::Errors;
    use crate::agent::store::logs::{Held, Logs};
    use crate::agent::view::Query;

    fn held(lines: impl Iterator<Item = String>) -> Held {
        let (mut logs, mut errors) = (Logs::new(64 << 20), Errors::new(9));
        lines.for_each(|line| logs.take(&line, 77, &mut errors));
        logs.held()
    }

    fn query(since: u64) -> Query {
        Query {
            since,
            limit: 1_000,
            ..Query::default()
        }
    }

    fn stacks(count: usize) -> Held {
        let stack = "x".repeat(600_000);
        held(
            (1..=count)
                .map(|n| format!(r#"{{"message":"{n}","trace_id":7,"error.stack":"{stack}"}}"#)),
        )
    }

    /// Sequence numbers of the first and the last row, and how many were left out.
    #[track_caller]
    fn check(rule: &str, reader: Reader, lines: usize, expected: (u64, u64, u64)) {
        let held = stacks(lines);
        let list = held.list(&query(0), reader);
        let ends = |rows: &[LogRow]| (rows.first().unwrap().seq, rows.last().unwrap().seq);
        let (first, last) = ends(&list.rows);
        assert_eq!((first, last, list.left_out), expected, "{rule}");
        assert_eq!(
            list.next_since, lines as u64,
            "{rule}: the newest are there"
        );
        let (rows, left_out) = held.of_trace(7, reader);
        let (first, last) = ends(&rows);
        assert_eq!((first, last, left_out), expected, "{rule}, of a trace");
    }

    #[test]
    fn the_newest_rows_stay_where_there_is_no_room_for_all() {
        check("one", Reader::Api, 1, (1, 1, 0));
        check("what fits", Reader::Api, 26, (1, 26, 0));
        check("one over", Reader::Api, 27, (2, 27, 1));
        check("cut on the page", Reader::Page, 27, (1, 27, 0));
        let page = stacks(1).list(&query(0), Reader::Page);
        assert!(page.rows[0].error_stack.ends_with("x\u{2026} 584 KB more"));
        let quotes = "\"".repeat(600_000);
        let many = held((0..100).map(|_| quotes.clone()));
        let rows = many.list(&query(0), Reader::Page).rows.len();
        assert_eq!(
            rows,
            4_000_000 / (600 + 6 * 16_000 + 20),
            "as they are written out"
        );
    }

    #[test]
    fn who_reads_on_misses_no_line() {
        let held = stacks(60);
        let (mut since, mut seen, mut asked) = (1, Vec::new(), 0);
        loop {
            let list = held.list(&query(since), Reader::Api);
            asked += 1;
            let bytes = serde_json::to_string(&list).unwrap().len();
            assert!(bytes < 16_100_000, "{bytes}");
            assert_eq!(list.left_out, list.matching - list.rows.len() as u64);
            seen.extend(list.rows.iter().map(|row| row.seq));
            since = list.next_since;
            if list.left_out == 0 {
                break;
            }
        }
        assert_eq!((seen, asked, since), ((2..=60).collect(), 3, 60));
        let large = format!(
            r#"{{"{}":{{{}"":1}}}}"#,
            "k".repeat(400_000),
            "\"\":1,".repeat(1_000)
        );
        let large = held_twice(&large);
        let list = large.list(
            &Query {
                limit: 2,
                ..query(0)
            },
            Reader::Api,
        );
        assert_eq!(
            (list.rows.len(), list.left_out),
            (2, 0),
            "fields have their own bound"
        );
        let controls = held_twice(&"\u{1}".repeat(3_000_000));
        let list = controls.list(&query(0), Reader::Api);
        assert_eq!(
            (list.rows[0].seq, list.left_out),
            (2, 1),
            "one is always given"
        );
    }

    fn held_twice(line: &str) -> Held {
        held((0..2).map(|_| line.to_string()))
    }

    #[test]
    fn facets_are_not_read_of_large_lines() {
        let line = |bytes: usize| {
            let start = r#"{"service":"s","error.kind":"E","a":""#;
            format!("{start}{}\"}}", "x".repeat(bytes - start.len() - 2))
        };
        let list = held([64_000, 64_001].map(line).into_iter()).list(&query(0), Reader::Page);
        assert_eq!((list.facet_lines, list.facet_lines_large), (2, 1));
        let lines = |key: &str| {
            let facet = list.facets.iter().find(|facet| facet.key == key).unwrap();
            facet.values[0].lines
        };
        assert_eq!([lines("service"), lines("error.kind")], [2, 1]);
    }

    #[test]
    fn what_is_written_takes_no_more_than_was_said() {
        let text = "\"'<>&\\ \u{0}\u{7f}\u{9f}\u{202e}\u{61c}\u{2069}a\n\u{e9}".repeat(50);
        let row = LogRow {
            message: text.clone(),
            logger: text.clone(),
            fields: vec![(text.clone(), text.clone()); 9],
            ..LogRow::default()
        };
        let json = serde_json::to_string(&row).unwrap();
        assert!(json.len() <= written_bytes(&row));
    }
}
