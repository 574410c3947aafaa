//! A flame graph of the samples that are asked for, and what stands around it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::flame_tree::{Side, Tree};
use super::profile::{Labels, Upload};
use super::profiles::Asked;
use crate::agent::decode::Profile;
use crate::agent::view::{Flame, ProfileQuery, ProfileRow, Share, TraceShare, ValueTotal};

const TRACES_MAX: usize = 50;
/// Routes, and threads.
const SHARES_MAX: usize = 200;

/// `spans`: those that a sample's local root has to be one of.
pub(super) fn flame(asked: &Asked, query: &ProfileQuery, spans: Option<&HashSet<u64>>) -> Flame {
    let mut value = value(asked, query);
    let mut adding = Adding {
        query,
        spans,
        value: value.clone(),
        tree: Tree::new(),
        samples: 0,
        routes: HashMap::new(),
        threads: HashMap::new(),
        traces: HashMap::new(),
    };
    for upload in &asked.uploads {
        adding.add(upload, Side::Shown);
    }
    if let Some(base) = &asked.base {
        adding.add(base, Side::Base);
    }
    let row = match &asked.uploads[..] {
        [one] if query.upload != 0 => one.row.clone(),
        all => together(all),
    };
    let root = adding.tree.root();
    let (functions, functions_left) = adding.tree.table();
    value.total = row
        .values
        .iter()
        .filter(|v| (&v.name, &v.unit) == (&value.name, &value.unit))
        .fold(0, |sum, v| v.total.saturating_add(sum));
    Flame {
        row,
        base: asked.base.as_ref().map(|base| base.row.clone()),
        value,
        samples: adding.samples,
        base_total: root.base_total,
        routes: shares(&adding.routes),
        threads: shares(&adding.threads),
        traces: trace_shares(&adding.traces),
        root,
        functions,
        functions_left,
    }
}

/// The sample type asked for; else what most people look for first, else what the profile itself prefers.
fn value(asked: &Asked, query: &ProfileQuery) -> ValueTotal {
    let uploads = || asked.uploads.iter().chain(&asked.base);
    let types = || uploads().flat_map(|upload| &upload.row.values);
    let named = |name: &str| types().find(|value| value.name == name).cloned();
    if !query.value.is_empty() {
        return named(&query.value).unwrap_or_else(|| ValueTotal {
            name: query.value.clone(),
            ..ValueTotal::default()
        });
    }
    let usual = ["cpu-time", "wall-time"].into_iter().find_map(named);
    let preferred = || {
        let mut profiles = uploads().flat_map(|upload| &upload.profiles);
        profiles.find_map(|profile| named(profile.text(profile.default_sample_type)))
    };
    let found = usual.or_else(preferred);
    found
        .or_else(|| types().next().cloned())
        .unwrap_or_default()
}

struct Adding<'a> {
    query: &'a ProfileQuery,
    spans: Option<&'a HashSet<u64>>,
    value: ValueTotal,
    tree: Tree<'a>,
    samples: u64,
    routes: HashMap<&'a str, i64>,
    threads: HashMap<&'a str, i64>,
    /// Route and sum.
    traces: HashMap<u64, (&'a str, i64)>,
}

impl<'a> Adding<'a> {
    fn add(&mut self, upload: &'a Upload, side: Side) {
        for profile in &upload.profiles {
            let shown = (&*self.value.name, &*self.value.unit);
            let mut types = profile.sample_types.iter();
            let at = types.position(|v| (profile.text(v.name), profile.text(v.unit)) == shown);
            if let Some(at) = at {
                self.add_profile(profile, at, side);
            }
        }
    }

    fn add_profile(&mut self, profile: &'a Profile, at: usize, side: Side) {
        let mut numbered = self.tree.number(profile);
        for sample in profile.samples() {
            let value = sample.values[at];
            if value == 0 {
                continue;
            }
            let labels = Labels::of(profile, &sample);
            if self.matches(labels, value, side) {
                self.tree.add(&mut numbered, sample.stack, (side, value));
            }
        }
    }

    /// Counts the sample where it belongs.
    fn matches(&mut self, labels: Labels<'a>, value: i64, side: Side) -> bool {
        let Labels {
            thread,
            route,
            root,
        } = labels;
        let by_trace = self.spans.is_none_or(|spans| spans.contains(&root));
        let by_route = self.query.route.is_empty() || self.query.route == route;
        let by_thread = self.query.thread.is_empty() || self.query.thread == thread;
        let all = by_trace && by_route && by_thread;
        if side == Side::Base {
            return all;
        }
        let add = |sum: &mut i64| *sum = sum.saturating_add(value);
        if by_trace && by_thread {
            add(self.routes.entry(route).or_default());
        }
        if by_trace && by_route {
            add(self.threads.entry(thread).or_default());
        }
        self.samples += u64::from(all);
        if all && root != 0 {
            let (known, sum) = self.traces.entry(root).or_insert((route, 0));
            add(sum);
            if known.is_empty() {
                *known = route;
            }
        }
        all
    }
}

fn shares(sums: &HashMap<&str, i64>) -> Vec<Share> {
    let mut shares: Vec<_> = sums.iter().collect();
    shares.sort_by_key(|(name, total)| (Reverse(**total), **name));
    let share = |(name, total): (&&str, &i64)| Share {
        name: name.to_string(),
        total: *total,
    };
    shares.into_iter().take(SHARES_MAX).map(share).collect()
}

fn trace_shares(sums: &HashMap<u64, (&str, i64)>) -> Vec<TraceShare> {
    let mut shares: Vec<_> = sums.iter().collect();
    shares.sort_by_key(|(root, (_, total))| (Reverse(*total), **root));
    let share = |(root, (route, total)): (&u64, &(&str, i64))| TraceShare {
        root_span_id: root.to_string(),
        trace_id: String::new(),
        route: route.to_string(),
        total: *total,
    };
    shares.into_iter().take(TRACES_MAX).map(share).collect()
}

/// One row for all: what they have in common, from the first start to the last end.
fn together(uploads: &[Arc<Upload>]) -> ProfileRow {
    let rows = || uploads.iter().map(|upload| &upload.row);
    let common = |text: fn(&ProfileRow) -> &String| {
        let first = rows().next().map(text).cloned().unwrap_or_default();
        match rows().all(|row| *text(row) == first) {
            true => first,
            false => String::new(),
        }
    };
    let mut tags = rows()
        .next()
        .map(|row| row.tags.clone())
        .unwrap_or_default();
    tags.retain(|tag| rows().all(|row| row.tags.contains(tag)));
    let mut values: Vec<ValueTotal> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    let mut endpoints: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows() {
        for value in &row.values {
            let next = values.len();
            let at = *places.entry((&value.name, &value.unit)).or_insert(next);
            if at == next {
                values.push(ValueTotal {
                    total: 0,
                    ..value.clone()
                });
            }
            values[at].total = values[at].total.saturating_add(value.total);
        }
        for (name, count) in &row.endpoints {
            let sum = endpoints.entry(name).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
    let mut endpoints: Vec<(String, u64)> = endpoints
        .into_iter()
        .map(|(name, count)| (name.to_string(), count))
        .collect();
    endpoints.sort_by_key(|(_, count)| Reverse(*count));
    ProfileRow {
        id: 0,
        time_unix_us: rows().map(|row| row.time_unix_us).max().unwrap_or(0),
        start_unix_us: rows().map(|row| row.start_unix_us).min().unwrap_or(0),
        end_unix_us: rows().map(|row| row.end_unix_us).max().unwrap_or(0),
        service: common(|row| &row.service),
        env: common(|row| &row.env),
        version: common(|row| &row.version),
        language: common(|row| &row.language),
        host: common(|row| &row.host),
        process_id: common(|row| &row.process_id),
        family: common(|row| &row.family),
        tags,
        attachments: Vec::new(),
        bytes: rows().map(|row| row.bytes).sum(),
        samples: rows().map(|row| row.samples).sum(),
        values,
        endpoints,
        findings: Vec::new(),
    }
}
