//! The tracers that are measured, each used as its own documentation has it.

use std::net::SocketAddr;
use std::time::Duration;

use datadog_opentelemetry::configuration::Config;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanKind, TraceContextExt, Tracer as _, TracerProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use testapi::clock::Clock;
use testapi::identity::Identity;
use testapi::trace::{self, Entry, EntryOptions, Options, Tracer};
use tracing::{Dispatch, info_span};
use tracing_datadog::DatadogTraceLayer;
use tracing_subscriber::layer::SubscriberExt;

use super::rounds::{Cost, cost};
use super::{CHILD, ROWS, SERVER};

pub(crate) trait Peer {
    fn name(&self) -> &'static str;
    /// So many traces, of a server span and so many children.
    fn traces(&self, traces: u64, children: u64);
    /// The cost of each of so many children, inside a server span.
    fn children(&self, count: u64) -> Cost;
    /// Sends what is finished, and waits until the Agent has it or surely does not get it.
    fn flush(&self);
}

pub(crate) struct Ours(Tracer);

impl Ours {
    pub(crate) fn start(agent: SocketAddr) -> Ours {
        let agent = format!("http://{agent}").parse().expect("an address");
        let identity = Identity {
            env: "bench".into(),
            version: "1".into(),
            ..Identity::of_process("bench")
        };
        let options = Options {
            agent,
            ..Options::default()
        };
        let (tracer, guard) =
            trace::start(options, &identity, Clock::system()).expect("a thread starts");
        std::mem::forget(guard);
        Ours(tracer)
    }

    fn entry(&self) -> Entry {
        let mut entry = self.0.enter(EntryOptions {
            name: "http.request".into(),
            resource: "GET /cart/{id}/items",
            kind: "web",
            ..EntryOptions::default()
        });
        for (key, value) in SERVER {
            entry.set_meta(key, value);
        }
        entry
    }
}

fn our_child() {
    let mut child = trace::span("select");
    for (key, value) in CHILD {
        child.set_meta(key, value);
    }
    child.set_metric(ROWS.0, ROWS.1);
}

impl Peer for Ours {
    fn name(&self) -> &'static str {
        "testapi"
    }

    fn traces(&self, traces: u64, children: u64) {
        for _ in 0..traces {
            let entry = self.entry();
            (0..children).for_each(|_| our_child());
            entry.finish();
        }
    }

    fn children(&self, count: u64) -> Cost {
        let entry = self.entry();
        let cost = cost(count, || (0..count).for_each(|_| our_child()));
        entry.finish();
        cost
    }

    fn flush(&self) {
        let _ = self.0.flush(Duration::from_secs(10));
    }
}

/// Datadog's own crate, through the API of OpenTelemetry.
pub(crate) struct Official {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Official {
    pub(crate) fn start(agent: SocketAddr) -> Official {
        let config = Config::builder()
            .set_service("bench".into())
            .set_env("bench".into())
            .set_version("1".into())
            .set_trace_agent_url(format!("http://{agent}"))
            .build();
        let provider = datadog_opentelemetry::tracing().with_config(config).init();
        let tracer = provider.tracer("bench");
        Official { provider, tracer }
    }

    fn entry(&self) -> opentelemetry::Context {
        let mut span = self
            .tracer
            .span_builder("http.request")
            .with_kind(SpanKind::Server)
            .start(&self.tracer);
        for (key, value) in SERVER {
            span.set_attribute(KeyValue::new(key, value));
        }
        opentelemetry::Context::current_with_span(span)
    }

    fn child(&self) {
        let mut child = self.tracer.start("select");
        for (key, value) in CHILD {
            child.set_attribute(KeyValue::new(key, value));
        }
        child.set_attribute(KeyValue::new(ROWS.0, ROWS.1));
    }
}

impl Peer for Official {
    fn name(&self) -> &'static str {
        "datadog-opentelemetry"
    }

    fn traces(&self, traces: u64, children: u64) {
        for _ in 0..traces {
            let active = self.entry().attach();
            (0..children).for_each(|_| self.child());
            drop(active);
        }
    }

    fn children(&self, count: u64) -> Cost {
        let active = self.entry().attach();
        let cost = cost(count, || (0..count).for_each(|_| self.child()));
        drop(active);
        cost
    }

    fn flush(&self) {
        let _ = self.provider.force_flush();
    }
}

/// A layer of the `tracing` crate, whose keys stand in the program.
pub(crate) struct TracingDatadog(Dispatch);

impl TracingDatadog {
    pub(crate) fn start(agent: SocketAddr) -> TracingDatadog {
        let layer = DatadogTraceLayer::builder()
            .service("bench")
            .env("bench")
            .version("1")
            .agent_address(agent.to_string())
            .build();
        let registry =
            tracing_subscriber::registry().with(layer.expect("all it asks for is there"));
        TracingDatadog(Dispatch::new(registry))
    }

    fn entry() -> tracing::span::EnteredSpan {
        let value = |at: usize| SERVER[at].1;
        info_span!(
            "http.request",
            "span.kind" = value(0),
            "component" = value(1),
            "http.method" = value(2),
            "http.url" = value(3),
            "http.route" = value(4),
            "http.useragent" = value(5),
            "http.client_ip" = value(6),
            "network.client.ip" = value(7),
            "http.host" = value(8),
            "http.version" = value(9),
            "team" = value(10),
            "http.status_code" = value(11),
        )
        .entered()
    }

    fn child() {
        let value = |at: usize| CHILD[at].1;
        let child = info_span!(
            "select",
            "db.system" = value(0),
            "db.operation" = value(1),
            "db.statement" = value(2),
            "db.rows" = ROWS.1,
        );
        drop(child.entered());
    }
}

impl Peer for TracingDatadog {
    fn name(&self) -> &'static str {
        "tracing-datadog"
    }

    fn traces(&self, traces: u64, children: u64) {
        tracing::dispatcher::with_default(&self.0, || {
            for _ in 0..traces {
                let entry = Self::entry();
                (0..children).for_each(|_| Self::child());
                drop(entry);
            }
        });
    }

    fn children(&self, count: u64) -> Cost {
        tracing::dispatcher::with_default(&self.0, || {
            let entry = Self::entry();
            let cost = cost(count, || (0..count).for_each(|_| Self::child()));
            drop(entry);
            cost
        })
    }

    /// It sends every second, asked or not.
    fn flush(&self) {}
}
