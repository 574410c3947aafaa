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
        let by_trace = self
            .spans
            .is_none_or(|spans| root != 0 && spans.contains(&root));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::decode::made::{Made, bytes, int, made};
    use crate::agent::decode::{ProfileEvent, pprof};
    use crate::agent::store::profile::Sent;
    use crate::agent::view::FlameNode;

    const TYPES: &[(&str, &str)] = &[("wall-time", "nanoseconds"), ("cpu-time", "nanoseconds")];

    fn labels<'l>(thread: &'l str, route: &'l str, root: &'l str) -> [(&'l str, &'l str); 3] {
        [
            ("thread name", thread),
            ("trace endpoint", route),
            ("local root span id", root),
        ]
    }

    fn upload(profiles: &[Vec<u8>]) -> Arc<Upload> {
        let sent = Sent {
            time_unix_us: 1,
            event: ProfileEvent {
                tags: vec![("service".to_string(), "web".to_string())],
                ..ProfileEvent::default()
            },
            attachments: Vec::new(),
            findings: Vec::new(),
            body: Vec::new(),
        };
        let profiles = profiles.iter().map(|bytes| pprof(bytes).unwrap());
        Arc::new(Upload::new(sent, profiles.collect()))
    }

    fn of(samples: &[Made<'_>]) -> Arc<Upload> {
        upload(&[made(TYPES, samples)])
    }

    fn ask(uploads: &[Arc<Upload>], base: Option<Arc<Upload>>, query: &ProfileQuery) -> Flame {
        let asked = Asked {
            uploads: uploads.to_vec(),
            base,
        };
        flame(&asked, query, None)
    }

    /// `name:line total own base[children]`, a number of those left out after `-`.
    fn shown(node: &FlameNode) -> String {
        let children: Vec<String> = node.children.iter().map(shown).collect();
        let FlameNode {
            name,
            line,
            total,
            own,
            base_total,
            ..
        } = node;
        let left_out = match node.left_out {
            0 => String::new(),
            count => format!("-{count}"),
        };
        format!(
            "{name}:{line} {total} {own} {base_total}[{}]{left_out}",
            children.join(" ")
        )
    }

    #[track_caller]
    fn check(rule: &str, samples: &[Made<'_>], expected: &str) {
        let flame = ask(&[of(samples)], None, &ProfileQuery::default());
        assert_eq!(shown(&flame.root), expected, "{rule}");
    }

    fn cpu<'m>(stack: &'m [&'m str], values: &'m [i64; 2]) -> Made<'m> {
        Made {
            stack,
            values,
            labels: &[],
        }
    }

    #[test]
    fn stacks_become_a_tree() {
        check("none", &[], "all:0 0 0 0[]");
        let one = cpu(&["main:1", "work:2"], &[9, 5]);
        check("one", &[one], "all:0 5 0 0[main:1 5 0 0[work:2 5 5 0[]]]");
        let other = cpu(&["main:1", "rest:7"], &[0, 3]);
        check(
            "two",
            &[one, other],
            "all:0 8 0 0[main:1 8 0 0[work:2 5 5 0[] rest:7 3 3 0[]]]",
        );
        let line = cpu(&["main:4"], &[0, 1]);
        check(
            "the line seen most",
            &[one, line, line],
            "all:0 7 0 0[main:4 7 2 0[work:2 5 5 0[]]]",
        );
        let nothing = cpu(&["main:1", "idle:1"], &[9, 0]);
        check("without the value", &[nothing], "all:0 0 0 0[]");
        check("without a stack", &[cpu(&[], &[0, 2])], "all:0 2 2 0[]");
        let again = cpu(&["a:1", "b:1", "a:2"], &[0, 2]);
        check(
            "recursion",
            &[again],
            "all:0 2 0 0[a:1 2 0 0[b:1 2 0 0[a:2 2 2 0[]]]]",
        );
        let most = cpu(&["x:1"], &[0, 999]);
        let least = cpu(&["y:1"], &[0, 1]);
        check(
            "a thousandth",
            &[most, least],
            "all:0 1000 0 0[x:1 999 999 0[] y:1 1 1 0[]]",
        );
        let more = cpu(&["x:1"], &[0, 1]);
        check(
            "less",
            &[most, least, more],
            "all:0 1001 0 0[x:1 1000 1000 0[]]-1",
        );
        let negative = cpu(&["freed:1"], &[0, -4]);
        check(
            "below zero",
            &[line, negative],
            "all:0 -3 0 0[freed:1 -4 -4 0[] main:4 1 1 0[]]",
        );
        let huge = cpu(&["a:1"], &[0, i64::MAX]);
        let all = i64::MAX;
        check(
            "more than fits",
            &[huge, huge],
            &format!("all:0 {all} 0 0[a:1 {all} {all} 0[]]"),
        );
    }

    #[test]
    fn a_function_counts_once_a_stack() {
        let samples = [
            cpu(&["a:1", "b:1", "a:2", "b:3"], &[0, 2]),
            cpu(&["a:1"], &[0, 3]),
        ];
        let flame = ask(&[of(&samples)], None, &ProfileQuery::default());
        let rows: Vec<_> = flame
            .functions
            .iter()
            .map(|f| (&*f.name, &*f.file, f.own, f.total))
            .collect();
        assert_eq!(rows, [("a", "a.rs", 3, 5), ("b", "b.rs", 2, 2)]);
        assert_eq!(flame.functions_left, 0);
        let names: Vec<String> = (0..203).map(|at| format!("f{at}:1")).collect();
        let stacks: Vec<[&str; 1]> = names.iter().map(|name| [&**name]).collect();
        let many: Vec<Made<'_>> = stacks.iter().map(|stack| cpu(stack, &[0, 1])).collect();
        let flame = ask(&[of(&many)], None, &ProfileQuery::default());
        assert_eq!((flame.functions.len(), flame.functions_left), (200, 3));
    }

    #[test]
    fn a_deep_stack_is_drawn_to_its_512th_frame() {
        for (depth, own, left_out) in [(511, 1, 0), (512, 1, 0), (513, 1, 1), (100_000, 1, 1)] {
            let stack = vec!["again:1"; depth];
            let flame = ask(
                &[of(&[cpu(&stack, &[0, 1])])],
                None,
                &ProfileQuery::default(),
            );
            let (mut node, mut drawn) = (&flame.root, 0);
            while let [child] = &node.children[..] {
                (node, drawn) = (child, drawn + 1);
            }
            assert_eq!(
                (drawn, node.own, node.left_out),
                (depth.min(512), own, left_out),
                "{depth}"
            );
            let json = serde_json::to_string(&flame).unwrap();
            assert_eq!(json.matches("children").count(), depth.min(512) + 1);
            assert_eq!((flame.functions[0].own, flame.functions[0].total), (1, 1));
        }
    }

    /// Two of one route on two threads, one of another, and one of which nothing is known.
    fn shared() -> Arc<Upload> {
        let made = |stack, values, labels| Made {
            stack,
            values,
            labels,
        };
        of(&[
            made(&["a:1"], &[10, 1], &labels("t1", "GET /x", "#7")),
            made(&["b:1"], &[20, 2], &labels("t2", "GET /x", "8")),
            made(
                &["c:1"],
                &[40, 4],
                &labels("t2", "GET /y", "#18446744073709551615"),
            ),
            made(&["d:1"], &[80, 8], &[]),
        ])
    }

    /// Total, samples, routes and threads.
    #[track_caller]
    fn check_shares(rule: &str, flame: &Flame, expected: (i64, u64, &str, &str)) {
        let names = |shares: &[Share]| -> String {
            let share = |share: &Share| format!("{}={} ", share.name, share.total);
            shares.iter().map(share).collect()
        };
        let (routes, threads) = (names(&flame.routes), names(&flame.threads));
        let found = (flame.root.total, flame.samples, &*routes, &*threads);
        assert_eq!(found, expected, "{rule}");
    }

    #[test]
    fn samples_are_chosen_and_shared_out() {
        let check = |rule, (value, route, thread): (&str, &str, &str), expected| {
            let query = ProfileQuery {
                value: value.to_string(),
                route: route.to_string(),
                thread: thread.to_string(),
                ..ProfileQuery::default()
            };
            check_shares(rule, &ask(&[shared()], None, &query), expected);
        };
        let routes = "=8 GET /y=4 GET /x=3 ";
        check("all", ("", "", ""), (15, 4, routes, "=8 t2=6 t1=1 "));
        check("a route", ("", "GET /x", ""), (3, 2, routes, "t2=2 t1=1 "));
        let of_t2 = "GET /y=4 GET /x=2 ";
        check("a thread", ("", "", "t2"), (6, 2, of_t2, "=8 t2=6 t1=1 "));
        check("both", ("", "GET /x", "t2"), (2, 1, of_t2, "t2=2 t1=1 "));
        check("no such", ("", "GET /z", ""), (0, 0, routes, ""));
        let wall = (150, 4, "=80 GET /y=40 GET /x=30 ", "=80 t2=60 t1=10 ");
        check("another value", ("wall-time", "", ""), wall);
        check("no such value", ("x", "", ""), (0, 0, "", ""));
    }

    #[test]
    fn samples_belong_to_traces() {
        let uploads = vec![shared()];
        let whole = ask(&uploads, None, &ProfileQuery::default());
        let trace = |t: &TraceShare| format!("{} {} {}", t.root_span_id, t.route, t.total);
        let traces: Vec<String> = whole.traces.iter().map(trace).collect();
        let expected = ["18446744073709551615 GET /y 4", "8 GET /x 2", "7 GET /x 1"];
        assert_eq!(traces, expected);
        let base = None;
        let asked = Asked { uploads, base };
        let query = ProfileQuery {
            trace: 1,
            ..ProfileQuery::default()
        };
        let of_trace = |ids: &[u64]| {
            let spans = ids.iter().copied().collect();
            flame(&asked, &query, Some(&spans))
        };
        let only = (2, 1, "GET /x=2 ", "t2=2 ");
        check_shares("a trace", &of_trace(&[8, 9]), only);
        check_shares("one that is not held", &of_trace(&[]), (0, 0, "", ""));
        // No span has the id 0, whatever a payload says.
        check_shares("no id", &of_trace(&[0, 8]), only);
    }

    #[test]
    fn the_first_of_the_usual_sample_types_is_shown() {
        #[track_caller]
        fn check(types: &[(&str, &str)], more: &[u8], expected: &str) {
            let one = upload(&[[&made(types, &[]), more].concat()]);
            let flame = ask(&[one], None, &ProfileQuery::default());
            assert_eq!(flame.value.name, expected, "{types:?}");
        }
        check(TYPES, b"", "cpu-time");
        check(&[("x", "count"), ("wall-time", "count")], b"", "wall-time");
        check(&[("x", "count"), ("y", "count")], b"", "x");
        // The texts are "", count, x, y.
        check(&[("x", "count"), ("y", "count")], &int(14, 3), "y");
        check(&[], b"", "");
    }

    #[test]
    fn uploads_are_put_together_and_those_without_the_type_skipped() {
        let other = upload(&[made(
            &[("alloc-space", "bytes")],
            &[Made {
                stack: &["a:1"],
                values: &[7],
                labels: &[],
            }],
        )]);
        let two = [
            made(
                &[("alloc-space", "bytes")],
                &[Made {
                    stack: &["b:1"],
                    values: &[5],
                    labels: &[],
                }],
            ),
            made(TYPES, &[cpu(&["a:1"], &[0, 2])]),
        ];
        let uploads = [of(&[cpu(&["a:1"], &[1, 1])]), other, upload(&two)];
        let flame = ask(&uploads, None, &ProfileQuery::default());
        assert_eq!(shown(&flame.root), "all:0 3 0 0[a:1 3 3 0[]]");
        let values: Vec<_> = flame
            .row
            .values
            .iter()
            .map(|v| (&*v.name, v.total))
            .collect();
        assert_eq!(
            values,
            [("wall-time", 1), ("cpu-time", 3), ("alloc-space", 12)]
        );
        assert_eq!(
            (flame.row.samples, &*flame.row.service, flame.value.total),
            (4, "web", 3)
        );
        let alloc = ProfileQuery {
            value: "alloc-space".to_string(),
            ..ProfileQuery::default()
        };
        let flame = ask(&uploads, None, &alloc);
        assert_eq!(shown(&flame.root), "all:0 12 0 0[a:1 7 7 0[] b:1 5 5 0[]]");
        let nothing = ask(&[], None, &alloc);
        assert_eq!(
            (
                nothing.value.total,
                nothing.root.total,
                &*nothing.value.name
            ),
            (0, 0, "alloc-space")
        );
    }

    #[test]
    fn a_base_stands_beside() {
        let now = of(&[
            cpu(&["a:1", "b:1"], &[0, 4]),
            cpu(&["a:1", "new:1"], &[0, 1]),
        ]);
        let before = of(&[
            cpu(&["a:1", "b:1"], &[0, 3]),
            cpu(&["a:1", "old:1"], &[0, 9]),
        ]);
        let flame = ask(
            &[now],
            Some(before),
            &ProfileQuery {
                upload: 1,
                base: 2,
                ..ProfileQuery::default()
            },
        );
        let expected = "all:0 5 0 12[a:1 5 0 12[old:1 0 0 9[] b:1 4 4 3[] new:1 1 1 0[]]]";
        assert_eq!(shown(&flame.root), expected);
        assert_eq!(
            (flame.base_total, flame.samples, flame.base.is_some()),
            (12, 2, true)
        );
        let rows: Vec<_> = flame
            .functions
            .iter()
            .map(|f| (&*f.name, f.own, f.total, f.base_own, f.base_total))
            .collect();
        assert_eq!(
            rows,
            [
                ("old", 0, 0, 9, 9),
                ("b", 4, 4, 3, 3),
                ("new", 1, 1, 0, 0),
                ("a", 0, 5, 0, 12)
            ]
        );
    }

    #[test]
    fn long_names_are_one_each_and_cut_where_there_are_many() {
        // 2,500 frames with a name and a file of 4,000 bytes each: 20 MB.
        let (name, file) = ("n".repeat(4_000), "f".repeat(4_000));
        let texts: Vec<u8> = ["", "cpu-time", &name, &file]
            .iter()
            .flat_map(|text| bytes(6, text.as_bytes()))
            .collect();
        let function = bytes(5, &[int(1, 1), int(2, 2), int(4, 3)].concat());
        let others = (2..502).map(|id| bytes(5, &[int(1, id), int(2, 2), int(3, 1)].concat()));
        let others: Vec<u8> = others.collect::<Vec<_>>().concat();
        let place = bytes(4, &[int(1, 1), bytes(4, &int(1, 1))].concat());
        let leaves = (2..7).map(|id| {
            let text = bytes(6, format!("leaf{id}").as_bytes());
            let function = bytes(5, &[int(1, 1_000 + id), int(2, id + 2)].concat());
            let line = bytes(4, &int(1, 1_000 + id));
            let place = bytes(4, &[int(1, id), line].concat());
            let mut stack = vec![1; 500];
            stack.push(id as u8);
            let sample = bytes(2, &[bytes(1, &stack), int(2, 1)].concat());
            [text, function, place, sample].concat()
        });
        let leaves: Vec<u8> = leaves.collect::<Vec<_>>().concat();
        let types = bytes(1, &int(1, 1));
        let whole = [texts, types, function, others, place, leaves].concat();
        let flame = ask(&[upload(&[whole])], None, &ProfileQuery::default());
        let mut waiting = vec![&flame.root];
        let (mut whole_names, mut cut) = (0, 0);
        while let Some(node) = waiting.pop() {
            waiting.extend(&node.children);
            match node.name.len() {
                4_000 => whole_names += 1,
                64 => cut += 1,
                _ => assert!(node.name.starts_with("leaf") || node.name == "all"),
            }
        }
        assert_eq!((whole_names, cut), (2_098, 402));
        assert_eq!(flame.functions.len(), 6);
    }

    #[test]
    fn inlined_functions_are_frames_and_places_without_lines_have_names() {
        let texts: Vec<u8> = ["", "cpu-time", "memcpy", "printf", "/bin/x", "_sys", "f.c"]
            .iter()
            .flat_map(|text| bytes(6, text.as_bytes()))
            .collect();
        let function = |id, field| bytes(5, &[int(1, id), field].concat());
        let line = |function, line| bytes(4, &[int(1, function), int(2, line)].concat());
        let location = |id, rest: &[u8]| bytes(4, &[&*int(1, id), rest].concat());
        let whole = [
            texts,
            bytes(1, &int(1, 1)),
            function(1, int(2, 2)),
            function(2, int(2, 3)),
            function(3, int(3, 5)),
            function(4, int(4, 6)),
            bytes(3, &[int(1, 1), int(5, 4)].concat()),
            location(1, &[line(1, 7), line(2, 8)].concat()),
            location(2, &[int(2, 1), int(3, 255)].concat()),
            location(3, &int(3, 16)),
            location(4, &int(2, 1)),
            location(5, b""),
            location(6, &line(3, 0)),
            location(7, &line(4, 0)),
            bytes(2, &[bytes(1, &[1, 2, 3, 4, 5, 6, 7]), int(2, 1)].concat()),
        ];
        let flame = ask(&[upload(&[whole.concat()])], None, &ProfileQuery::default());
        let (mut node, mut names) = (&flame.root, Vec::new());
        while let [child] = &node.children[..] {
            names.push(format!("{}:{}", child.name, child.line));
            node = child;
        }
        assert_eq!(
            names,
            [
                "f.c:0", "_sys:0", "?:0", "/bin/x:0", "0x10:0", "0xff:0", "printf:8", "memcpy:7"
            ]
        );
        let file = |name| {
            flame
                .functions
                .iter()
                .find(|f| f.name == name)
                .map(|f| &*f.file)
        };
        assert_eq!((file("0xff"), file("0x10")), (Some("/bin/x"), Some("")));
    }
}
