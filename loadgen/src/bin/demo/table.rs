//! At the end: the same requests as everybody counted them.

use std::fmt::Write as _;

use loadgen::stats::Seen;
use testapi::app::AgentCounts;

/// The same requests as everybody counted them.
pub(crate) struct Table {
    rows: Vec<(String, u64, Option<i64>)>,
}

impl Table {
    pub(crate) fn new(seen: &Seen, answered: u64, counts: &AgentCounts) -> Table {
        let known = seen.observed + seen.downstream;
        let others = answered as i64 - known as i64;
        let mut rows = vec![
            ("sent by the users".to_string(), seen.observed, None),
            (
                "calls of the API to itself".to_string(),
                seen.downstream,
                None,
            ),
            (
                "other clients".to_string(),
                others.max(0) as u64,
                Some(others.min(0)),
            ),
            ("answered by the API".to_string(), answered, None),
        ];
        let whole = |sum: f64| sum.round() as u64;
        for (name, count) in [
            ("server spans received", counts.server_spans_sum()),
            (
                "request_count on /metrics",
                whole(counts.prometheus_sum("request_count_total")),
            ),
            (
                "testapi.request_count (DogStatsD)",
                whole(counts.dogstatsd_sum("testapi.request_count")),
            ),
            ("access log lines", counts.access_log_lines),
        ] {
            rows.push((
                name.to_string(),
                count,
                Some(count as i64 - answered as i64),
            ));
        }
        Table { rows }
    }

    pub(crate) fn agrees(&self) -> bool {
        self.rows
            .iter()
            .all(|(_, _, difference)| difference.is_none_or(|d| d == 0))
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "\n{:<36}{:>10}{:>12}\n",
            "counted at", "requests", "difference"
        );
        for (name, count, difference) in &self.rows {
            let (difference, word) = match difference {
                None => (String::new(), ""),
                Some(0) => ("0".to_string(), "  agrees"),
                Some(d) => (format!("{d:+}"), "  DIFFERS"),
            };
            let _ = writeln!(
                text,
                "{name:<36}{:>10}{difference:>12}{word}",
                grouped(*count)
            );
        }
        text
    }
}

/// Thousands apart, as people read them.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_agrees_and_what_differs() {
        let seen = loadgen::stats::Stats::default().seen();
        let mut counts = AgentCounts {
            access_log_lines: 2,
            ..AgentCounts::default()
        };
        assert!(!Table::new(&seen, 2, &counts).agrees());
        counts.server_spans.insert("testapi".to_string(), 2);
        counts
            .prometheus
            .insert("request_count_total".to_string(), 2.0);
        counts
            .dogstatsd
            .insert("testapi.request_count".to_string(), 2.0);
        let table = Table::new(&seen, 2, &counts);
        assert!(table.agrees(), "{}", table.text());
        counts.access_log_lines = 1_234;
        let text = Table::new(&seen, 2, &counts).text();
        let row = format!("access log lines{:25}1,234{:7}+1232  DIFFERS", "", "");
        assert!(text.contains(&row), "{text}");
    }
}
