//! The table of routes: one place for the router, the index page, README and the demo's load.

use super::handlers::{errors, health, index, load, logging, prometheus, sdmetrics, tracing};
use super::{Fault, Services};
use crate::server::{Params, Reply, Request};

/// What a route does.
pub(super) type Handler = fn(&Services, &Request, &Params) -> Result<Reply, Fault>;

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Its path; `{name}` is a parameter.
    pub pattern: &'static str,
    /// What it emits, in one line.
    pub purpose: &'static str,
    /// A path to try it with.
    pub example: &'static str,
    /// Whether its requests are themselves counted, timed, traced and logged.
    pub observed: bool,
    pub(super) handler: Named,
}

/// A handler, and the path of its function for the stack of an error that has none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) run: Handler,
    pub(super) name: fn() -> &'static str,
}

macro_rules! named {
    ($handler:path) => {
        Named {
            run: $handler,
            name: || std::any::type_name_of_val(&$handler),
        }
    };
}

const fn route(
    pattern: &'static str,
    example: &'static str,
    purpose: &'static str,
    handler: Named,
) -> Route {
    Route {
        pattern,
        purpose,
        example,
        observed: true,
        handler,
    }
}

const fn unobserved(route: Route) -> Route {
    Route {
        observed: false,
        ..route
    }
}

/// Every route. All take GET and HEAD alone.
pub const ROUTES: &[Route] = &[
    route(
        "/",
        "/",
        "this list; JSON when Accept asks for it",
        named!(index::page),
    ),
    route(
        "/health",
        "/health",
        "how each exporter stands, with its ledger",
        named!(health::health),
    ),
    route(
        "/logging/{level}",
        "/logging/warning",
        "a log record: debug, info, warning, error or critical",
        named!(logging::logging),
    ),
    route(
        "/server_error/",
        "/server_error/",
        "an error with a chain of sources, as a 500",
        named!(errors::server_error),
    ),
    route(
        "/panic/",
        "/panic/",
        "a panic, as a 500",
        named!(errors::panic),
    ),
    route(
        "/status/{code}",
        "/status/404",
        "that status, 200 to 599; from 500 on it is an error",
        named!(errors::status),
    ),
    route(
        "/sdmetrics/increment/{value}",
        "/sdmetrics/increment/1",
        "DogStatsD count, up: testapi.count",
        named!(sdmetrics::increment),
    ),
    route(
        "/sdmetrics/decrement/{value}",
        "/sdmetrics/decrement/1",
        "DogStatsD count, down: testapi.count",
        named!(sdmetrics::decrement),
    ),
    route(
        "/sdmetrics/gauge/{value}",
        "/sdmetrics/gauge/36.6",
        "DogStatsD gauge: testapi.gauge",
        named!(sdmetrics::gauge),
    ),
    route(
        "/sdmetrics/set/{member}",
        "/sdmetrics/set/ana",
        "DogStatsD set; its value is a member's name: testapi.set",
        named!(sdmetrics::set),
    ),
    route(
        "/sdmetrics/histogram/{value}",
        "/sdmetrics/histogram/12.5",
        "DogStatsD histogram: testapi.histogram",
        named!(sdmetrics::histogram),
    ),
    route(
        "/sdmetrics/distribution/{value}",
        "/sdmetrics/distribution/12.5",
        "DogStatsD distribution: testapi.distribution",
        named!(sdmetrics::distribution),
    ),
    route(
        "/sdmetrics/timer/{ms}",
        "/sdmetrics/timer/12.5",
        "DogStatsD timing, in milliseconds: testapi.timing",
        named!(sdmetrics::timer),
    ),
    route(
        "/sdmetrics/event/{title}",
        "/sdmetrics/event/deployed",
        "DogStatsD event",
        named!(sdmetrics::event),
    ),
    route(
        "/sdmetrics/check/{status}",
        "/sdmetrics/check/warning",
        "DogStatsD service check: ok, warning, critical or unknown",
        named!(sdmetrics::check),
    ),
    route(
        "/prometheus_counter_inc/{count_type}/{value}",
        "/prometheus_counter_inc/apples/3",
        "Prometheus counter custom_metric",
        named!(prometheus::counter_inc),
    ),
    unobserved(route(
        "/metrics",
        "/metrics",
        "Prometheus exposition of everything",
        named!(prometheus::exposition),
    )),
    route(
        "/trace/nested/{depth}",
        "/trace/nested/3",
        "child spans, each inside the one before",
        named!(tracing::nested),
    ),
    route(
        "/trace/fanout/{n}",
        "/trace/fanout/5",
        "child spans side by side",
        named!(tracing::fanout),
    ),
    route(
        "/trace/linked/{event}",
        "/trace/linked/restocked",
        "two child spans, the second with a link to the first and a span event",
        named!(tracing::linked),
    ),
    route(
        "/trace/downstream",
        "/trace/downstream",
        "a call of this API to itself: one trace across two requests",
        named!(tracing::downstream),
    ),
    route(
        "/slow/{ms}",
        "/slow/50",
        "sleeps, up to 10,000 ms",
        named!(load::slow),
    ),
    route(
        "/cpu/{ms}",
        "/cpu/20",
        "burns CPU, up to 10,000 ms",
        named!(load::cpu),
    ),
    unobserved(route(
        "/style.css",
        "/style.css",
        "the look of this list",
        named!(index::style),
    )),
];
