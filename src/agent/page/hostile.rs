//! Values in which every text is hostile.

use super::{Settings, Views};
use crate::agent::lint::{Finding, Weight};
use crate::agent::view::*;

/// A tag, both quotes, an entity, a link that runs, NUL and a mark that turns the direction.
const HOSTILE: &str =
    "\"><img src=x onerror=alert(1)>' onclick='x' &lt; javascript:alert(1) \0 \u{202e}";

pub(super) struct Hostile;

fn h() -> String {
    HOSTILE.to_string()
}

fn trace_row() -> TraceRow {
    TraceRow {
        trace_id: h(),
        trace_id_hex: h(),
        service: h(),
        name: h(),
        resource: h(),
        status_code: h(),
        duration_ns: u64::MAX,
        errors: 1,
        ..TraceRow::default()
    }
}

fn log_row() -> LogRow {
    LogRow {
        status: HOSTILE,
        service: h(),
        logger: h(),
        message: h(),
        trace_id: h(),
        span_id: h(),
        error_kind: h(),
        error_stack: h(),
        fields: vec![(h(), h())],
        json: true,
        truncated: true,
        time_unix_us: u64::MAX,
        ..LogRow::default()
    }
}

fn error(ignored_because: &str) -> ErrorGroup {
    ErrorGroup {
        fingerprint: h(),
        service: h(),
        error_type: h(),
        message: h(),
        culprit: h(),
        resource: h(),
        trace_id: h(),
        stack: h(),
        ignored_because: ignored_because.to_string(),
        ..ErrorGroup::default()
    }
}

fn metric(source: &'static str, kind: &str) -> MetricRow {
    MetricRow {
        name: h(),
        source,
        kind: kind.to_string(),
        tags: vec![h(), h()],
        value: f64::NAN,
        aggregates: vec![("p95", f64::INFINITY)],
        members: vec![h()],
        history: vec![f64::NAN, 1.0, f64::NEG_INFINITY],
        scraped: Some(Scraped {
            family: h(),
            sent_as: h(),
            sent_kind: HOSTILE,
            distribution: h(),
            beside: Some(Beside {
                name: h(),
                value: f64::NAN,
                difference: f64::INFINITY,
                contexts: u64::MAX,
            }),
        }),
        ..MetricRow::default()
    }
}

fn profile_row(id: u64) -> ProfileRow {
    let value = |name: &str, unit: &str| ValueTotal {
        name: name.to_string(),
        unit: unit.to_string(),
        total: i64::MIN,
    };
    ProfileRow {
        id,
        end_unix_us: u64::MAX,
        service: h(),
        env: h(),
        version: h(),
        language: h(),
        host: h(),
        process_id: h(),
        family: h(),
        tags: vec![(h(), h())],
        attachments: vec![(h(), u64::MAX)],
        bytes: u64::MAX,
        samples: u64::MAX,
        values: vec![value("cpu-time", "nanoseconds"), value(HOSTILE, HOSTILE)],
        endpoints: vec![(h(), u64::MAX); 5],
        findings: vec![h(), h()],
        ..ProfileRow::default()
    }
}

fn flame(query: &ProfileQuery) -> Flame {
    let leaf = FlameNode {
        name: h(),
        file: h(),
        line: i64::MIN,
        total: i64::MAX,
        own: i64::MIN,
        base_total: i64::MIN,
        left_out: u64::MAX,
        ..FlameNode::default()
    };
    let node = FlameNode {
        children: vec![leaf.clone(), leaf.clone()],
        ..leaf.clone()
    };
    let share = Share {
        name: h(),
        total: i64::MAX,
    };
    let function = |total| FunctionRow {
        name: h(),
        file: h(),
        own: i64::MIN,
        total,
        base_own: i64::MAX,
        base_total: i64::MIN,
    };
    let trace = TraceShare {
        root_span_id: h(),
        trace_id: h(),
        route: h(),
        total: i64::MAX,
    };
    let lost = TraceShare {
        trace_id: String::new(),
        ..trace.clone()
    };
    Flame {
        row: profile_row(query.upload),
        base: (query.base != 0).then(|| profile_row(query.base)),
        value: ValueTotal {
            name: h(),
            unit: h(),
            total: i64::MAX,
        },
        samples: 1,
        base_total: i64::MIN,
        routes: vec![share.clone(); 9],
        threads: vec![share; 300],
        traces: vec![trace, lost],
        root: FlameNode {
            children: vec![node],
            ..leaf
        },
        functions: vec![function(i64::MAX), function(0)],
        functions_left: u64::MAX,
    }
}

impl Views for Hostile {
    fn overview(&self) -> Overview {
        let service = Service {
            name: h(),
            env: h(),
            version: h(),
            language: h(),
            requests_per_second: f64::NAN,
            p99_ns: u64::MAX,
            ..Service::default()
        };
        let pipeline = Pipeline {
            name: "traces",
            decode_errors: 1,
            last_error: Some(h()),
            ..Pipeline::default()
        };
        Overview {
            services: vec![service; 5],
            pipelines: vec![pipeline],
            errors: vec![error("")],
            reconcile: vec![Count {
                counted_at: h(),
                count: 1,
                difference: Some(-1),
            }],
            ..Overview::default()
        }
    }

    fn traces(&self, _: &Query) -> Traces {
        Traces {
            rows: vec![trace_row()],
            matching: 9,
            ..Traces::default()
        }
    }

    fn trace(&self, _: u64) -> Option<Trace> {
        let span = Span {
            span_id: h(),
            parent_id: h(),
            depth: u32::MAX - 1,
            parent_missing: true,
            service: h(),
            name: h(),
            resource: h(),
            kind: h(),
            offset_ns: u64::MAX,
            error: true,
            meta: vec![(h(), h())],
            metrics: vec![(h(), f64::NAN)],
            error_type: h(),
            error_message: h(),
            error_stack: h(),
            ..Span::default()
        };
        Some(Trace {
            row: trace_row(),
            extent_ns: 0,
            spans: vec![span],
            logs: vec![log_row()],
            logs_left_out: u64::MAX,
            profile_samples: u64::MAX,
        })
    }

    fn metrics(&self) -> Metrics {
        let kinds = [
            "count",
            "gauge",
            "set",
            "timing",
            "histogram",
            "distribution",
            HOSTILE,
        ];
        let mut rows: Vec<MetricRow> = kinds.iter().map(|k| metric("dogstatsd", k)).collect();
        rows.push(metric("prometheus", HOSTILE));
        Metrics {
            rows,
            overflow: 1,
            events: vec![EventRow {
                title: h(),
                text: h(),
                alert_type: h(),
                tags: vec![h()],
                ..EventRow::default()
            }],
            checks: vec![CheckRow {
                name: h(),
                status: HOSTILE,
                message: h(),
                tags: vec![h()],
                ..CheckRow::default()
            }],
            failing: vec![FailingScrape {
                url: h(),
                why: h(),
                time_unix_us: u64::MAX,
            }],
        }
    }

    fn explain(&self, which: &Which) -> Metrics {
        let mut all = self.metrics();
        all.rows
            .retain(|row| which.kind.is_empty() || row.kind == which.kind);
        for row in &mut all.rows {
            let lines = [false, true].map(|cut| RawLine {
                text: h(),
                bytes: u64::MAX,
                cut,
                time_unix_us: u64::MAX,
            });
            let bucket = MetricBucket {
                start_unix_us: u64::MAX,
                samples: u64::MAX,
                total: Some(f64::INFINITY),
                aggregates: vec![("avg", f64::NAN), ("p95", f64::NEG_INFINITY)],
                members: vec![h(), h()],
                capped: true,
            };
            row.explained = Some(Explained {
                lines: lines.into(),
                current: MetricBucket::default(),
                finished: Some(bucket),
            });
        }
        all
    }

    fn raw_page(&self, url: &str) -> Option<RawPage> {
        let finding = |line| Finding {
            line,
            rule: HOSTILE,
            weight: Weight::Fails,
            what: h(),
            why: HOSTILE,
            whom: HOSTILE,
        };
        Some(RawPage {
            url: if url.is_empty() { h() } else { url.to_string() },
            content_type: h(),
            format: HOSTILE,
            text: format!("{HOSTILE}\n{HOSTILE}\n# HELP {HOSTILE}\n# TYPE {HOSTILE}\n"),
            cut: true,
            error: h(),
            time_unix_us: 1,
            failed_unix_us: 1,
            failure: h(),
            findings: vec![finding(0), finding(2), finding(usize::MAX)],
            findings_left_out: u64::MAX,
            exemplars: vec![ExemplarRow {
                line: 1,
                trace_id: h(),
                trace_held: true,
                value: f64::NAN,
                time_unix_ms: Some(i64::MIN),
            }],
            samples_over: u64::MAX,
            ..RawPage::default()
        })
    }

    fn logs(&self, _: &Query) -> Logs {
        Logs {
            rows: vec![
                log_row(),
                LogRow {
                    json: false,
                    ..log_row()
                },
            ],
            matching: 9,
            left_out: u64::MAX,
            facets: vec![Facet {
                key: HOSTILE,
                values: vec![FacetValue {
                    value: h(),
                    lines: u64::MAX,
                }],
                others: u64::MAX,
            }],
            facet_lines: 3,
            facet_lines_large: 2,
            ..Logs::default()
        }
    }

    fn errors(&self) -> Vec<ErrorGroup> {
        vec![error(""), error(HOSTILE)]
    }

    fn payloads(&self, _: &Query) -> Vec<PayloadRow> {
        vec![PayloadRow {
            pipeline: HOSTILE,
            what: h(),
            from: h(),
            error: h(),
            ..PayloadRow::default()
        }]
    }

    fn profiles(&self) -> Profiles {
        Profiles {
            rows: vec![profile_row(7), profile_row(6), profile_row(u64::MAX)],
            held_bytes: u64::MAX,
            evicted: u64::MAX,
        }
    }

    fn flame(&self, query: &ProfileQuery) -> Option<Flame> {
        (query.upload != 404).then(|| flame(query))
    }

    fn settings(&self) -> Settings {
        Settings {
            receiver: h(),
            dogstatsd: h(),
            page: h(),
            files: vec![h()],
            scrapes: vec![h()],
            openmetrics_namespace: h(),
            started_unix_us: 0,
        }
    }
}
