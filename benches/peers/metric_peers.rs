//! Single calls of the registries that are measured, each as its own documentation has it.

use std::array::from_fn;
use std::hint::black_box;
use std::sync::{LazyLock, OnceLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use testapi::prometheus::{HistogramSpec, Registry};

use super::Subject;

pub(crate) const OURS: &str = "testapi";
pub(crate) const PROMETHEUS: &str = "prometheus";
pub(crate) const CLIENT: &str = "prometheus-client";
pub(crate) const EXPORTER: &str = "metrics-exporter-prometheus";

/// Those of the Go client and of rust-prometheus, in seconds.
pub(crate) const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

const LABELS: [&str; 3] = ["method", "route", "status"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

type Set = [&'static str; 3];

/// All that a family holds.
static SETS: LazyLock<[Set; 100]> = LazyLock::new(|| {
    from_fn(|at| {
        let route: &str = format!("/cart/{}/items", at / 4).leak();
        [METHODS[at % 4], route, "200"]
    })
});

/// Those that are looked up in turns.
static LOOKED_UP: LazyLock<[Set; 16]> = LazyLock::new(|| from_fn(|at| SETS[at * 6]));

/// From below the first bound to above the last, in no order that a branch predictor could learn.
pub(crate) static SECONDS: LazyLock<[f64; 1_024]> = LazyLock::new(|| {
    let mut state = 42_u64;
    from_fn(|_| {
        // Constants of Knuth's MMIX.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = (state >> 11) as f64 / (1_u64 << 53) as f64;
        0.001 * 20_000_f64.powf(share)
    })
});

static EXPORTED: OnceLock<PrometheusHandle> = OnceLock::new();

/// The recorder of `metrics`, of which a process has one.
pub(crate) fn install() {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS);
    let recorder = builder.expect("bounds").build_recorder();
    let _ = EXPORTED.set(recorder.handle());
    metrics::set_global_recorder(recorder).expect("it is the first");
}

/// What metrics-exporter-prometheus asks to be called every few seconds: until then it keeps each
/// observation.
pub(crate) fn upkeep() {
    if let Some(exported) = EXPORTED.get() {
        exported.run_upkeep();
    }
}

fn again(client: &'static str, call: impl Fn() + Sync + 'static) -> Subject {
    Subject::new(client, move |calls| (0..calls).for_each(|_| call()))
}

/// A call with each of the values in turns.
fn turns<T: Sync, const N: usize>(
    client: &'static str,
    of: &'static [T; N],
    call: impl Fn(&'static T) + Sync + 'static,
) -> Subject {
    Subject::new(client, move |calls| {
        for at in 0..calls as usize {
            call(black_box(&of[at % N]));
        }
    })
}

pub(crate) fn counters() -> Vec<Subject> {
    let family = Registry::new().counter("handle", "Calls.", &LABELS);
    let ours = family.expect("a good name").with(&SETS[0]).clone();
    let official = prometheus_counters("handle").with_label_values(&SETS[0]);
    let client = Counter::<u64>::default();
    let [method, route, status] = SETS[0];
    let exporter =
        metrics::counter!("handle", "method" => method, "route" => route, "status" => status);
    vec![
        again(OURS, move || black_box(&ours).inc()),
        again(PROMETHEUS, move || black_box(&official).inc()),
        again(CLIENT, move || {
            black_box(&client).inc();
        }),
        again(EXPORTER, move || black_box(&exporter).increment(1)),
    ]
}

fn prometheus_counters(name: &str) -> prometheus::IntCounterVec {
    let opts = prometheus::Opts::new(name, "Calls.");
    prometheus::IntCounterVec::new(opts, &LABELS).expect("a good name")
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Constant {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Owned {
    method: String,
    route: String,
    status: String,
}

fn constant([method, route, status]: Set) -> Constant {
    Constant {
        method,
        route,
        status,
    }
}

fn owned(set: Set) -> Owned {
    let [method, route, status] = set.map(str::to_string);
    Owned {
        method,
        route,
        status,
    }
}

pub(crate) fn look_ups() -> Vec<Subject> {
    let family = Registry::new().counter("look_up", "Calls.", &LABELS);
    let ours = family.expect("a good name");
    let official = prometheus_counters("look_up");
    let constants = Family::<Constant, Counter>::default();
    let strings = Family::<Owned, Counter>::default();
    for set in SETS.iter() {
        ours.with(set).inc();
        official.with_label_values(set).inc();
        constants.get_or_create(&constant(*set)).inc();
        strings.get_or_create(&owned(*set)).inc();
        exporter_look_up(set);
        exporter_look_up_strings(set);
    }
    let sets = &*LOOKED_UP;
    vec![
        turns(OURS, sets, move |set| ours.with(set).inc()),
        turns(PROMETHEUS, sets, move |set| {
            official.with_label_values(set).inc();
        }),
        turns("prometheus-client, constants", sets, move |set| {
            constants.get_or_create(&constant(*set)).inc();
        }),
        turns("prometheus-client, strings", sets, move |set| {
            strings.get_or_create(&owned(*set)).inc();
        }),
        turns(
            "metrics-exporter-prometheus, constants",
            sets,
            exporter_look_up,
        ),
        turns(
            "metrics-exporter-prometheus, strings",
            sets,
            exporter_look_up_strings,
        ),
    ]
}

fn exporter_look_up(&[method, route, status]: &Set) {
    metrics::counter!("look_up", "method" => method, "route" => route, "status" => status)
        .increment(1);
}

fn exporter_look_up_strings(set: &Set) {
    let [method, route, status] = set.map(str::to_string);
    metrics::counter!("look_up_strings", "method" => method, "route" => route, "status" => status)
        .increment(1);
}

pub(crate) fn histograms() -> Vec<Subject> {
    let spec = HistogramSpec {
        labels: &[],
        bounds: &BOUNDS,
    };
    let family = Registry::new().histogram("seconds", "Calls.", spec);
    let ours = family.expect("a good name").with(&[]).clone();
    let opts = prometheus::HistogramOpts::new("seconds", "Calls.").buckets(BOUNDS.to_vec());
    let official = prometheus::Histogram::with_opts(opts).expect("a good name");
    let client = Histogram::new(BOUNDS);
    let exporter = metrics::histogram!("seconds");
    let folded = metrics::histogram!("folded_seconds");
    let values = &*SECONDS;
    vec![
        turns(OURS, values, move |&value| ours.observe(value)),
        turns(PROMETHEUS, values, move |&value| official.observe(value)),
        turns(CLIENT, values, move |&value| client.observe(value)),
        turns(EXPORTER, values, move |&value| exporter.record(value)),
        Subject::new("metrics-exporter-prometheus, upkeep too", move |calls| {
            for at in 0..calls as usize {
                folded.record(*black_box(&values[at % values.len()]));
            }
            upkeep();
        }),
    ]
}
