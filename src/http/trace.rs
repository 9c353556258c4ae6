//! A request's place in a trace. Where nobody collects traces, spans are not made and this costs nothing.

use actix_web::{
    dev::{ServiceRequest, ServiceResponse},
    http::header::HeaderMap,
};
use opentelemetry::{
    global,
    propagation::Extractor,
    trace::{TraceContextExt, TraceId},
};
use tracing::{Span, debug_span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The span of a request, below the one that its `traceparent` (W3C Trace Context) names, if it has one.
pub(super) fn span(request: &ServiceRequest, id: &str) -> Span {
    let span = debug_span!(
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        request_id = id,
        http.request.method = %request.method(),
        url.path = request.path(),
        http.route = Empty,
        http.response.status_code = Empty,
    );
    if !span.is_disabled() {
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(request.headers())));
        // An error says that nobody collects traces.
        let _ = span.set_parent(parent);
    }
    span
}

/// What is known when the answer begins. The route is the pattern, so that names of spans are few.
pub(super) fn answered<B>(span: &Span, response: &ServiceResponse<B>) {
    if span.is_disabled() {
        return;
    }
    let (request, status) = (response.request(), response.status());
    if let Some(route) = request.match_pattern() {
        span.context().span().update_name(format!("{} {route}", request.method()));
        span.record("http.route", route);
    }
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// The trace that a span is part of, if there is one.
pub(super) fn id(span: &Span) -> Option<TraceId> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| context.trace_id())
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
