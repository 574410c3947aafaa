//! Services seen in spans, counted since the start.

use std::collections::HashMap;

use super::latencies::Latencies;
use super::seconds::Seconds;
use crate::agent::view;

/// Services beyond this share one row.
const SERVICES_MAX: usize = 500;
const OTHER: &str = "(other)";
/// Of a name; Datadog itself takes 100.
const NAME_BYTES_MAX: usize = 200;

/// What one service-entry span, or a server span, adds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SpanCount<'a> {
    pub(crate) time_unix_us: u64,
    pub(crate) entry: bool,
    pub(crate) server: bool,
    pub(crate) error: bool,
    pub(crate) took_ns: u64,
    pub(crate) env: &'a str,
    pub(crate) version: &'a str,
    pub(crate) language: &'a str,
}

#[derive(Debug, Default)]
struct Counted {
    name: String,
    env: String,
    version: String,
    language: String,
    requests: u64,
    errors: u64,
    server_spans: u64,
    requests_history: Seconds,
    errors_history: Seconds,
    latencies: Latencies,
}

/// All services; each has a number that stays.
#[derive(Debug, Default)]
pub(crate) struct Services {
    counted: Vec<Counted>,
    numbers: HashMap<String, u32>,
}

impl Services {
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        let name = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let name = if self.counted.len() + 1 < SERVICES_MAX {
            name
        } else {
            OTHER
        };
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.counted.len() as u32;
        self.counted.push(Counted {
            name: name.to_string(),
            ..Counted::default()
        });
        self.numbers.insert(name.to_string(), number);
        number
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        self.counted
            .get(number as usize)
            .map_or("", |service| &service.name)
    }

    pub(crate) fn count(&mut self, number: u32, span: &SpanCount<'_>) {
        let Some(service) = self.counted.get_mut(number as usize) else {
            return;
        };
        service.server_spans += u64::from(span.server);
        if !span.entry {
            return;
        }
        service.requests += 1;
        service.requests_history.add(span.time_unix_us, 1);
        service.latencies.add(span.time_unix_us, span.took_ns);
        if span.error {
            service.errors += 1;
            service.errors_history.add(span.time_unix_us, 1);
        }
        let last = [
            (&mut service.env, span.env),
            (&mut service.version, span.version),
            (&mut service.language, span.language),
        ];
        for (kept, seen) in last {
            if !seen.is_empty() && kept != seen {
                *kept = seen[..seen.floor_char_boundary(NAME_BYTES_MAX)].to_string();
            }
        }
    }

    pub(crate) fn server_spans(&self) -> Vec<(String, u64)> {
        let counted = self
            .counted
            .iter()
            .filter(|service| service.server_spans > 0);
        counted
            .map(|service| (service.name.clone(), service.server_spans))
            .collect()
    }

    /// Busiest first. `durations` holds those of each service's entry spans.
    pub(crate) fn list(
        &self,
        mut durations: Vec<Vec<u64>>,
        now_unix_us: u64,
    ) -> Vec<view::Service> {
        durations.resize_with(self.counted.len(), Vec::new);
        let with_requests = self
            .counted
            .iter()
            .zip(durations)
            .filter(|(s, _)| s.requests > 0);
        let mut rows: Vec<view::Service> = with_requests
            .map(|(service, mut durations)| {
                durations.sort_unstable();
                view::Service {
                    name: service.name.clone(),
                    env: service.env.clone(),
                    version: service.version.clone(),
                    language: service.language.clone(),
                    requests: service.requests,
                    errors: service.errors,
                    requests_per_second: service.requests_history.rate(now_unix_us),
                    p50_ns: percentile(&durations, 50),
                    p95_ns: percentile(&durations, 95),
                    p99_ns: percentile(&durations, 99),
                    requests_history: service.requests_history.view(now_unix_us),
                    errors_history: service.errors_history.view(now_unix_us),
                    p50_history_ns: service.latencies.history(now_unix_us, 50),
                    p99_history_ns: service.latencies.history(now_unix_us, 99),
                }
            })
            .collect();
        rows.sort_by(|a, b| {
            b.requests
                .cmp(&a.requests)
                .then_with(|| a.name.cmp(&b.name))
        });
        rows
    }
}

/// Nearest rank of sorted values.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_counted_and_bounded() {
        let mut services = Services::default();
        let number = services.number("web");
        let span = SpanCount {
            entry: true,
            server: true,
            env: "dev",
            ..SpanCount::default()
        };
        services.count(number, &span);
        services.count(
            number,
            &SpanCount {
                error: true,
                version: "2",
                ..span
            },
        );
        services.count(
            number,
            &SpanCount {
                entry: false,
                ..span
            },
        );
        let row = &services.list(vec![vec![30, 10, 20]], 0)[0];
        assert_eq!(
            (row.requests, row.errors, &*row.env, &*row.version),
            (2, 1, "dev", "2")
        );
        assert_eq!((row.p50_ns, row.p99_ns), (20, 30));
        assert_eq!(services.server_spans(), [("web".to_string(), 3)]);
        for other in 0..2_000 {
            services.number(&other.to_string());
        }
        assert_eq!(services.counted.len(), SERVICES_MAX);
        let last = services.number("one more");
        assert_eq!((services.name(last), services.name(number)), (OTHER, "web"));
        let mut services = Services::default();
        let long = services.number(&"\u{e9}".repeat(5_000));
        assert_eq!(services.name(long).len(), NAME_BYTES_MAX);
        assert_eq!(percentile(&[], 50), 0);
    }
}
