//! What DogStatsD brought under the name of a scraped series.

use std::collections::HashMap;

use super::context::Context;
use crate::agent::decode::Kind;
use crate::agent::view::Beside;

/// Contexts by what both sides call them.
pub(crate) struct Contexts<'c> {
    namespace: String,
    all: HashMap<String, Vec<(&'c str, &'c Context)>>,
}

/// A series as it was scraped.
pub(crate) struct Series<'s> {
    pub(crate) family: &'s str,
    pub(crate) kind: &'s str,
    /// `key:value`.
    pub(crate) labels: &'s [String],
    pub(crate) value: f64,
}

impl<'c> Contexts<'c> {
    /// Each with its key: name, sorted tags and type, a line each.
    pub(crate) fn of(
        namespace: &str,
        contexts: impl Iterator<Item = (&'c str, &'c Context)>,
    ) -> Contexts<'c> {
        let mut namespace = folded(namespace);
        if !namespace.is_empty() {
            namespace.push('_');
        }
        let mut all: HashMap<String, Vec<_>> = HashMap::new();
        for (key, context) in contexts {
            if !matches!(context.kind(), Kind::Count | Kind::Gauge) {
                continue;
            }
            let name = key.split('\n').next().unwrap_or("");
            let name = common(name, &namespace);
            all.entry(name).or_default().push((key, context));
        }
        Contexts { namespace, all }
    }

    /// Of counts the sum, of gauges the newest; those alone whose tags say what the labels say.
    pub(crate) fn beside(&self, series: &Series<'_>) -> Option<Beside> {
        let kind = match series.kind {
            "counter" => Kind::Count,
            "gauge" => Kind::Gauge,
            _ => return None,
        };
        let named = self.all.get(&common(series.family, &self.namespace))?;
        let fits = |(key, context): &&(&str, &Context)| {
            context.kind() == kind && agree(series.labels, tags(key))
        };
        let mut fitting: Vec<_> = named.iter().filter(fits).collect();
        fitting.sort_unstable_by_key(|(_, context)| std::cmp::Reverse(context.touched));
        let (key, newest) = fitting.first()?;
        let value = match kind {
            Kind::Gauge => newest.value(),
            _ => fitting.iter().map(|(_, context)| context.value()).sum(),
        };
        Some(Beside {
            name: key.split('\n').next().unwrap_or("").to_string(),
            value,
            difference: series.value - value,
            contexts: fitting.len() as u64,
        })
    }
}

/// Dots and hyphens are what Prometheus has no room for in a name; Datadog sees no case in one.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['.', '-'], "_")
}

fn common(name: &str, namespace: &str) -> String {
    let name = folded(name);
    let bare = name.strip_prefix(namespace).unwrap_or(&name);
    bare.strip_suffix("_total").unwrap_or(bare).to_string()
}

/// Between the name and the type.
fn tags(key: &str) -> impl Iterator<Item = &str> + Clone {
    let tags = key
        .rsplit_once('\n')
        .map_or("", |(known_by, _kind)| known_by);
    tags.split('\n').skip(1)
}

/// Whether what both have has one value, and both have something, or the series nothing.
fn agree<'t>(labels: &[String], tags: impl Iterator<Item = &'t str> + Clone) -> bool {
    let mut shared = 0;
    for label in labels {
        let Some((name, value)) = label.split_once(':') else {
            continue;
        };
        let mut same_key = tags.clone().filter_map(|tag| {
            let (key, value) = tag.split_once(':')?;
            (key == name).then_some(value)
        });
        let Some(first) = same_key.next() else {
            continue;
        };
        let equal = |tag: &str| tag.eq_ignore_ascii_case(value);
        if !equal(first) && !same_key.any(equal) {
            return false;
        }
        shared += 1;
    }
    shared > 0 || labels.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::datagram_lines;
    use crate::agent::store::contexts::{Contexts as Store, Limits};
    use crate::agent::store::lines::Received;

    /// `labels` with commas between; what stands beside 10.
    #[track_caller]
    fn check(
        rule: &str,
        sent: &str,
        (family, kind, labels): (&str, &str, &str),
        expected: Option<(f64, u64)>,
    ) {
        let mut store = Store::new(Limits {
            contexts_max: 100,
            bytes_max: 1 << 20,
            members_max: 10,
            values_max: 10,
        });
        for read in datagram_lines(sent.as_bytes()) {
            let (line, message) = read.unwrap();
            let crate::agent::decode::Message::Metric(metric) = message else {
                panic!("{rule}: no metric")
            };
            store.take(
                &metric,
                Received {
                    line,
                    time_unix_us: 7,
                },
            );
        }
        let contexts = Contexts::of("TESTAPI", store.iter());
        let labels: Vec<String> = labels.split_terminator(',').map(str::to_string).collect();
        let beside = contexts.beside(&Series {
            family,
            kind,
            labels: &labels,
            value: 10.0,
        });
        let shown = beside
            .as_ref()
            .map(|beside| (beside.value, beside.contexts));
        assert_eq!(shown, expected, "{rule}: {beside:?}");
        if let Some(beside) = beside {
            assert_eq!(beside.difference, 10.0 - beside.value, "{rule}");
        }
    }

    #[test]
    fn a_context_of_the_same_name_and_tags_stands_beside() {
        let counter = |labels| ("request_count", "counter", labels);
        let sent = "testapi.request_count:3|c|#method:GET,route:/a,env:dev\ntestapi.request_count:4|c|#method:GET,route:/b";
        check(
            "the shared tags",
            sent,
            counter("method:GET,route:/a"),
            Some((3.0, 1)),
        );
        check(
            "fewer labels: their sum",
            sent,
            counter("method:GET"),
            Some((7.0, 2)),
        );
        check(
            "more labels",
            sent,
            counter("method:get,route:/b,code:200"),
            Some((4.0, 1)),
        );
        check("another value", sent, counter("method:POST,route:/a"), None);
        check("no shared label", sent, counter("code:200"), None);
        check("no label", sent, counter(""), Some((7.0, 2)));
        check("another type", sent, ("request_count", "gauge", ""), None);
        check("another name", sent, ("requests", "counter", ""), None);
        check(
            "total and namespace",
            "TESTAPI.Request-Count:1|c",
            ("testapi_request_count_total", "counter", ""),
            Some((1.0, 1)),
        );
        check(
            "no namespace",
            "request_count:1|c",
            counter(""),
            Some((1.0, 1)),
        );
        check(
            "rates undone",
            "request_count:1|c|@0.1",
            counter(""),
            Some((10.0, 1)),
        );
        check(
            "a gauge: the newest",
            "warm:1|g\nwarm:2|g|#a:b",
            ("warm", "gauge", ""),
            Some((2.0, 2)),
        );
        check(
            "a timing is no count",
            "warm:1|ms",
            ("warm", "counter", ""),
            None,
        );
        check(
            "a tag with two values",
            "a:1|c|#k:x,k:y",
            ("a", "counter", "k:y"),
            Some((1.0, 1)),
        );
    }
}
