//! The first page: services, what arrives, do the counts agree, what fails.

use super::figure::{self, bytes, duration, grouped, percent, rate};
use super::html::{esc, html, pct};
use super::piece;
use super::settings::environment;
use super::spark;
use super::views::Settings;
use crate::agent::view::{Count, ErrorGroup, Overview, Pipeline, Service};

/// Services that are shown as cards; the rest stand in one table.
const CARDS_MAX: usize = 3;

pub(super) fn main(overview: &Overview, settings: &Settings) -> String {
    let mut out = String::new();
    let waiting = overview.pipelines.iter().all(|p| p.state() == "waiting");
    if overview.services.is_empty() {
        nothing_yet(&mut out, waiting, settings);
    }
    let (cards, table) = overview
        .services
        .split_at(overview.services.len().min(CARDS_MAX));
    for service in cards {
        service_cards(&mut out, service);
    }
    if !table.is_empty() {
        service_table(&mut out, table);
    }
    piece::heading(
        &mut out,
        "What arrives",
        "last 60 seconds, figures since the start",
    );
    out.push_str("<div class=\"grid five\">");
    for pipeline in &overview.pipelines {
        pipeline_card(&mut out, pipeline, overview.now_unix_us);
    }
    out.push_str("</div><div class=\"grid split\">");
    let busy = overview
        .services
        .iter()
        .any(|service| service.requests_per_second > 0.0);
    reconcile(&mut out, &overview.reconcile, busy);
    top_errors(&mut out, &overview.errors, overview.now_unix_us);
    out.push_str("</div>");
    out
}

fn nothing_yet(out: &mut String, waiting: bool, settings: &Settings) {
    let title = match waiting {
        true => "Nothing has arrived yet",
        false => "No service has sent a trace yet",
    };
    html!(
        out,
        "<section class=\"card empty\"><h2>{title}</h2>\
         <p>Start any traced service with these two lines in its environment; it shows up here within seconds.</p>"
    );
    environment(out, settings);
    out.push_str("<p><a href=\"/settings\">Lines for each language</a></p></section>");
}

fn service_cards(out: &mut String, service: &Service) {
    let about = [&service.env, &service.version, &service.language].map(String::as_str);
    let about: Vec<&str> = about.into_iter().filter(|word| !word.is_empty()).collect();
    html!(
        out,
        "<h2><a href=\"/traces?q=service%3A{}\">{}</a> <small>{}</small></h2><div class=\"grid four\">",
        pct(&service.name),
        esc(&service.name),
        esc(about.join(" · "))
    );
    let (requests, errors) = (grouped(service.requests), grouped(service.errors));
    card(
        out,
        "Requests",
        &rate(service.requests_per_second),
        &format!("{requests} in all"),
    );
    history(
        out,
        "accent",
        "Requests per second",
        &service.requests_history,
    );
    let share = percent(service.errors, service.requests);
    card(out, "Errors", &share, &format!("{errors} of {requests}"));
    history(out, "err", "Errors per second", &service.errors_history);
    latency_cards(out, service);
    out.push_str("</div>");
}

fn latency_cards(out: &mut String, service: &Service) {
    let p95 = duration(service.p95_ns);
    let beside = format!("p95 {} {}", p95.digits, p95.unit);
    card(out, "Latency p50", &duration(service.p50_ns), &beside);
    latencies(out, "teal", "p50", &service.p50_history_ns);
    let times = figure::number(ratio(service.p99_ns, service.p50_ns));
    let beside = format!("{times} × the p50");
    card(out, "Latency p99", &duration(service.p99_ns), &beside);
    latencies(out, "amber", "p99", &service.p99_history_ns);
}

fn latencies(out: &mut String, class: &str, label: &str, values_ns: &[u64]) {
    let values: Vec<f64> = values_ns.iter().map(|ns| *ns as f64).collect();
    let high = duration(values_ns.iter().copied().max().unwrap_or(0));
    let label = format!(
        "{label} a second, last 60 seconds, at most {} {}",
        high.digits, high.unit
    );
    spark::line(out, class, &label, &values);
    out.push_str("</section>");
}

fn card(out: &mut String, name: &str, value: &figure::Figure, beside: &str) {
    html!(
        out,
        "<section class=\"card\"><h3>{name} <small>{}</small></h3><p class=\"big\">",
        esc(beside)
    );
    piece::figure(out, value);
    out.push_str("</p>");
}

fn history(out: &mut String, class: &str, label: &str, values: &[u32]) {
    let values: Vec<f64> = values.iter().copied().map(f64::from).collect();
    let high = values.iter().copied().fold(0.0, f64::max);
    let label = format!("{label}, last 60 seconds, at most {}", figure::number(high));
    spark::line(out, class, &label, &values);
    out.push_str("</section>");
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn service_table(out: &mut String, services: &[Service]) {
    piece::heading(out, "More services", "");
    out.push_str("<section class=\"card\">");
    let columns = [
        ("service", ""),
        ("requests", "num"),
        ("rate", "num"),
        ("errors", "num"),
        ("p50", "num"),
        ("p95", "num"),
        ("p99", "num"),
    ];
    piece::table(out, "More services", &columns);
    for service in services {
        html!(
            out,
            "<tr><th scope=\"row\"><a href=\"/traces?q=service%3A{}\">{}</a></th>",
            pct(&service.name),
            esc(&service.name)
        );
        piece::count_cell(out, service.requests);
        piece::figure_cell(out, &rate(service.requests_per_second));
        piece::figure_cell(out, &percent(service.errors, service.requests));
        for ns in [service.p50_ns, service.p95_ns, service.p99_ns] {
            piece::figure_cell(out, &duration(ns));
        }
        out.push_str("</tr>");
    }
    piece::table_end(out);
    out.push_str("</section>");
}

fn pipeline_card(out: &mut String, pipeline: &Pipeline, now_unix_us: u64) {
    let (state, name) = (pipeline.state(), title(pipeline.name));
    html!(
        out,
        "<section class=\"card pipeline\"><h3><b>{name}</b> <span class=\"{}\">{state}</span></h3>\
         <p class=\"mid\"><span class=\"fig\">{}</span> <span class=\"unit\">{}</span></p>",
        piece::tone(state),
        grouped(pipeline.points),
        pipeline.unit
    );
    let values: Vec<f64> = pipeline.per_second.iter().copied().map(f64::from).collect();
    let label = format!("{name}: {} per second, last 60 seconds", pipeline.unit);
    spark::line(out, "plain", &label, &values);
    facts(out, pipeline, now_unix_us);
    if let Some(error) = &pipeline.last_error {
        html!(out, "<p class=\"note warn\">last error: {}</p>", esc(error));
    }
    out.push_str("</section>");
}

fn facts(out: &mut String, pipeline: &Pipeline, now_unix_us: u64) {
    let size = bytes(pipeline.bytes);
    let tone = if pipeline.decode_errors > 0 {
        "warn"
    } else {
        "muted"
    };
    html!(
        out,
        "<dl class=\"facts\"><dt>payloads</dt><dd>{}</dd><dt>bytes</dt><dd>{} {}</dd>\
         <dt>decode errors</dt><dd class=\"{tone}\">{}</dd>",
        grouped(pipeline.payloads),
        size.digits,
        size.unit,
        grouped(pipeline.decode_errors)
    );
    if pipeline.evicted > 0 {
        let evicted = grouped(pipeline.evicted);
        html!(out, "<dt>let go at a bound</dt><dd>{evicted}</dd>");
    }
    out.push_str("<dt>last seen</dt><dd>");
    piece::when(out, now_unix_us, pipeline.last_seen_unix_us);
    out.push_str("</dd></dl>");
}

fn title(pipeline: &str) -> &str {
    match pipeline {
        "traces" => "Traces",
        "dogstatsd" => "DogStatsD",
        "prometheus" => "Prometheus",
        "logs" => "Logs",
        "profiles" => "Profiles",
        other => other,
    }
}

/// `busy`: requests came within the last seconds, so pipelines that report at longer intervals lag.
fn reconcile(out: &mut String, counts: &[Count], busy: bool) {
    out.push_str("<section class=\"card\">");
    piece::heading(out, "Reconcile", "the same requests, counted independently");
    if counts.is_empty() {
        out.push_str("<p class=\"muted\">Nothing to compare yet.</p></section>");
        return;
    }
    let columns = [
        ("counted at", ""),
        ("requests", "num"),
        ("difference", "num"),
        ("", ""),
    ];
    piece::table(out, "Reconcile", &columns);
    for count in counts {
        html!(out, "<tr><th scope=\"row\">{}</th>", esc(&count.counted_at));
        piece::count_cell(out, count.count);
        let (digits, word, tone) = match count.difference {
            None => ("–".to_string(), String::new(), "muted"),
            Some(by) => verdict(count.count, by, busy),
        };
        piece::word_cell(out, &format!("num {tone}"), &digits);
        piece::word_cell(out, tone, &word);
        out.push_str("</tr>");
    }
    piece::table_end(out);
    out.push_str("</section>");
}

/// A difference, its word, and their colour class.
fn verdict(count: u64, difference: i64, busy: bool) -> (String, String, &'static str) {
    let by = grouped(difference.unsigned_abs());
    let (word, tone) = match (count, difference) {
        (_, 0) => ("agrees".to_string(), "ok"),
        (0, _) => ("nothing yet".to_string(), "muted"),
        _ if busy => ("still arriving".to_string(), "muted"),
        (_, ..0) => (format!("{by} fewer"), "warn"),
        _ => (format!("{by} more"), "warn"),
    };
    (figure::signed(difference), word, tone)
}

fn top_errors(out: &mut String, groups: &[ErrorGroup], now_unix_us: u64) {
    out.push_str("<section class=\"card\">");
    piece::heading(out, "Errors", "grouped as Error Tracking would");
    if groups.is_empty() {
        out.push_str("<p class=\"ok\">No error so far.</p></section>");
        return;
    }
    piece::table(
        out,
        "Errors",
        &[("issue", ""), ("count", "num"), ("last seen", "when")],
    );
    for group in groups.iter().take(5) {
        super::errors::row_head(out, group);
        piece::count_cell(out, group.count);
        piece::when_cell(out, now_unix_us, group.last_seen_unix_us);
        out.push_str("</tr>");
    }
    piece::table_end(out);
    out.push_str("<p><a href=\"/errors\">All errors</a></p></section>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &str, count: u64, difference: i64, word: &str) {
        assert_eq!(verdict(count, difference, false).1, word, "{rule}");
    }

    #[test]
    fn a_difference_has_its_word() {
        check("none", 7, 0, "agrees");
        check("none of none", 0, 0, "agrees");
        check("a pipeline that has not begun", 0, -7, "nothing yet");
        check("too few", 1_204_106, -1_012, "1,012 fewer");
        check("too many", 8, 1, "1 more");
        assert_eq!(verdict(7, -1, true).1, "still arriving");
        assert_eq!(verdict(7, 0, true).1, "agrees");
        check("the limit", 1, i64::MIN, "9,223,372,036,854,775,808 fewer");
    }
}
