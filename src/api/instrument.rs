//! The telemetry of a request, around whatever its handler does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::fault::Failure;
use super::routes::{ROUTES, Route};
use super::series::RequestSeries;
use super::{Fault, Services, panics};
use crate::log::{Level, Record, Value};
use crate::prometheus::{Exemplar, Gauge};
use crate::server::{Found, Method, Reply, Request, Router, Serve};
use crate::trace::web::{client_ip, header_value, push_url};
use crate::trace::{self, Entry, EntryOptions};

/// The API, ready to be served.
#[derive(Debug)]
pub struct Api {
    services: Arc<Services>,
    router: Router<Place>,
    series: RequestSeries,
}

/// A route, and which of [`ROUTES`] it is.
#[derive(Clone, Copy, Debug)]
struct Place {
    route: &'static Route,
    at: usize,
}

/// A request that no route takes is shown under this name; its path is not, for anybody can make one up.
const NO_ROUTE: &str = "none";

/// Bytes of a path or a user agent that telemetry keeps.
const CLIENT_TEXT_BYTES_MAX: usize = 2_048;

impl Api {
    /// An API over these services.
    pub fn new(services: Arc<Services>) -> Api {
        let routes = ROUTES.iter().enumerate();
        let router = routes.fold(Router::new(), |router, (at, route)| {
            router.route(route.pattern, Place { route, at })
        });
        Api {
            services,
            router,
            series: RequestSeries::for_routes(ROUTES.len()),
        }
    }

    fn observe(&self, request: &Request, found: Option<&Found<'_, Place>>) -> Reply {
        let services = &*self.services;
        let route = found.map_or(NO_ROUTE, |found| found.pattern);
        let method = method_word(request.method());
        let in_flight = InFlight::enter(&services.families.in_flight);
        let url = self.url(request);
        let mut entry = self.enter(request, (method, route), &url.text);
        // Not before the span's own start: no line or metric says that a request took longer than its span.
        let started_ns = services.clock.mono_ns();
        let watched = panics::watch(|| answer(services, request, found));
        let (reply, failure) = match watched {
            Ok(Err(Fault::Failed(failure))) => (failure.reply(), Some(*failure)),
            Err(failure) => (failure.reply(), Some(failure)),
            Ok(Ok(reply)) => (reply, None),
            Ok(Err(refused)) => (refused.reply(), None),
        };
        let status = reply.status;
        let is_error = || services.tracer.web().server_errors.contains(status);
        let failure = failure.or_else(|| is_error().then(|| of_status(&reply, found)));
        if route == NO_ROUTE && status == 404 {
            entry.set_resource(&format!("{method} 404"));
        }
        entry.set_meta("http.status_code", status_text(status));
        if let Some(failure) = &failure {
            entry.set_error(&failure.tags());
        }
        for (name, key) in services.tracer.web().header_tags.response_tags() {
            if let Some(value) = header_value(reply.header(name)) {
                entry.set_meta(key, value);
            }
        }
        let took_ns = services.clock.mono_ns().saturating_sub(started_ns);
        drop(in_flight);
        let (trace_id, span_id) = match entry.is_kept() {
            true => entry.ids(),
            false => (0, 0),
        };
        let exemplar = Exemplar {
            trace_id,
            span_id,
            unix_ms: services.clock.unix_ns() / 1_000_000,
        };
        let place = (found.map(|found| found.target.at), (method, route, status));
        self.series.record(services, place, (took_ns, &exemplar));
        let seen = Seen {
            request,
            url: &url,
            method,
            route,
            status,
            took_ns,
            failure: failure.as_ref(),
        };
        seen.write_access_record(services, &entry);
        entry.finish();
        services.observed.fetch_add(1, Ordering::Relaxed);
        reply
    }

    /// Tags of a server span as Datadog's own tracers set them (dd-trace-go, `instrumentation/httptrace`).
    fn enter(
        &self,
        request: &Request,
        (method, route): (&'static str, &'static str),
        url: &str,
    ) -> Entry {
        let tracer = &self.services.tracer;
        let resource = [method, " ", route].concat();
        let mut entry = tracer.enter(EntryOptions {
            name: "http.request".into(),
            resource: &resource,
            kind: "web",
            caller: tracer.extract(|name| request.header_values(name)),
        });
        entry.set_meta("span.kind", "server");
        entry.set_meta("component", "tiny_http");
        entry.set_meta("http.method", method);
        entry.set_meta("http.url", url);
        if route != NO_ROUTE {
            entry.set_meta("http.route", route);
        }
        if let Some(agent) = request.header("user-agent") {
            entry.set_meta("http.useragent", cut(agent));
        }
        let web = tracer.web();
        for (name, key) in web.header_tags.request_tags() {
            if let Some(value) = header_value(request.header_values(name)) {
                entry.set_meta(key, value);
            }
        }
        if web.client_ip {
            let peer = request.peer().map(|peer| peer.ip());
            let header = web.client_ip_header.as_deref();
            let values = |name: &str| request.header_values(name).collect::<Vec<_>>();
            let client = client_ip(values, header, peer);
            for (key, ip) in [("http.client_ip", client), ("network.client.ip", peer)] {
                if let Some(ip) = ip {
                    entry.set_meta(key, ip.to_string());
                }
            }
        }
        entry
    }

    /// What telemetry says of where a request went: without what may be secret in its query.
    fn url(&self, request: &Request) -> Url {
        let host = request.header("host").filter(|host| !host.is_empty());
        let mut text = String::new();
        let how = &self.services.tracer.web().query;
        let path_at = push_url(
            &mut text,
            host.map_or("localhost", cut),
            request.target(),
            how,
        );
        // Not before: half a secret is not known for one. The path has room whatever the host took.
        let bytes_max = path_at + CLIENT_TEXT_BYTES_MAX;
        text.truncate(text.floor_char_boundary(bytes_max));
        Url { text, path_at }
    }
}

impl Serve for Api {
    fn serve(&self, request: &mut Request) -> Reply {
        let Some(metrics) = &self.services.gunicorn else {
            return self.reply(request);
        };
        let started_ns = self.services.clock.mono_ns();
        let reply = self.reply(request);
        let took_ns = self.services.clock.mono_ns().saturating_sub(started_ns);
        metrics.request(reply.status, Duration::from_nanos(took_ns));
        reply
    }

    fn passed_over(&self, status: u16) {
        if let Some(metrics) = &self.services.gunicorn {
            metrics.answered(status);
        }
    }
}

impl Api {
    fn reply(&self, request: &Request) -> Reply {
        let found = self.router.find(request.path());
        match &found {
            Some(found) if !found.target.route.observed && allowed(request) => {
                let handler = found.target.route.handler;
                (handler.run)(&self.services, request, &found.params)
                    .unwrap_or_else(|fault| fault.reply())
            }
            found => self.observe(request, found.as_ref()),
        }
        .with_header("X-Content-Type-Options", "nosniff")
    }
}

fn answer(
    services: &Services,
    request: &Request,
    found: Option<&Found<'_, Place>>,
) -> Result<Reply, Fault> {
    let Some(found) = found else {
        return Ok(Reply::json(
            404,
            &json!({ "error": "no such route", "routes": "/" }),
        ));
    };
    if !allowed(request) {
        let body = json!({ "error": "method not allowed", "allowed": ["GET", "HEAD"] });
        return Ok(Reply::json(405, &body).with_header("Allow", "GET, HEAD"));
    }
    (found.target.route.handler.run)(services, request, &found.params)
}

fn of_status(reply: &Reply, found: Option<&Found<'_, Place>>) -> Failure {
    let handler = found.map(|found| (found.target.route.handler.name)());
    Failure::of_status(
        reply,
        handler.unwrap_or(concat!(module_path!(), "::answer")),
    )
}

fn allowed(request: &Request) -> bool {
    matches!(request.method(), Method::Get | Method::Head)
}

/// Methods are free text on the wire; a tag takes only the known ones.
fn method_word(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Other => "OTHER",
    }
}

fn status_text(status: u16) -> std::borrow::Cow<'static, str> {
    match status {
        200 => "200".into(),
        other => other.to_string().into(),
    }
}

/// One request more in the gauge, until dropped.
struct InFlight<'a>(&'a Gauge);

impl InFlight<'_> {
    fn enter(gauge: &Gauge) -> InFlight<'_> {
        gauge.add(1.0);
        InFlight(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

/// Where a request went, as telemetry tells it.
struct Url {
    text: String,
    path_at: usize,
}

/// What the access record says.
struct Seen<'a> {
    request: &'a Request,
    url: &'a Url,
    method: &'static str,
    route: &'static str,
    status: u16,
    took_ns: u64,
    failure: Option<&'a Failure>,
}

impl Seen<'_> {
    fn write_access_record(&self, services: &Services, entry: &Entry) {
        let level = match self.status {
            500.. => Level::Error,
            400..=499 => Level::Warn,
            _ => Level::Info,
        };
        if !services.logger.is_on(level) {
            return;
        }
        // Whatever the client asked for, ids and status must fit the line.
        let target = &self.url.text[self.url.path_at..];
        let agent = self.request.header("user-agent");
        let peer = self
            .request
            .peer()
            .map(|peer| peer.ip().to_string())
            .unwrap_or_default();
        let fields = [
            ("http.method", Value::Str(self.method)),
            ("http.url", Value::Str(target)),
            ("http.route", Value::Str(self.route)),
            ("http.status_code", Value::U64(self.status.into())),
            ("network.client.ip", Value::Str(&peer)),
            ("duration", Value::U64(self.took_ns)),
            ("http.useragent", Value::Str(agent.map_or("", cut))),
        ];
        let told = fields.len() - usize::from(agent.is_none());
        let status = status_text(self.status);
        let message = [self.method, " ", cut(self.request.path()), " ", &status].concat();
        let thread = std::thread::current();
        let (trace_id, span_id) = services.log_ids(entry.ids());
        services.log(&Record {
            logger: "testapi.access",
            thread: thread.name().unwrap_or(""),
            trace_id,
            span_id,
            error_kind: self.failure.map(|f| f.kind.as_str()),
            error_message: self.failure.map(|f| f.message.as_str()),
            error_stack: self.failure.map(|f| f.stack.as_str()),
            fields: &fields[..told],
            ..Record::new(level, &message)
        });
    }
}

/// A client's text, as far as telemetry keeps it.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(CLIENT_TEXT_BYTES_MAX)]
}

/// Writes a record with the ids of this thread's active span and its thread's name.
pub(super) fn write_record(services: &Services, record: &Record<'_>) {
    if !services.logger.is_on(record.level) {
        return;
    }
    let (trace_id, span_id) = services.log_ids(trace::active_ids().unwrap_or_default());
    let thread = std::thread::current();
    services.log(&Record {
        thread: thread.name().unwrap_or(""),
        trace_id,
        span_id,
        ..*record
    });
}
