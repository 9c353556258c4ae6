//! A name for every request, the caller's if it sent one, on every answer and every log line.

use std::time::Instant;

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};
use tracing::{Instrument, debug};

use super::trace;

pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ones are replaced: they end up in logs.
const LONGEST: usize = 128;

/// The identity of a request.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

/// When a request came.
#[derive(Clone, Copy)]
struct Arrived(Instant);

/// When a request came which came through `layer`; else now.
pub(super) fn arrived(request: &HttpRequest) -> Instant {
    request.extensions().get::<Arrived>().map_or_else(Instant::now, |arrived| arrived.0)
}

// === impl RequestId ===

impl RequestId {
    /// That of a request which came through `layer`.
    pub fn of(request: &HttpRequest) -> String {
        let extensions = request.extensions();
        extensions.get::<Self>().map(Self::as_str).unwrap_or_default().to_owned()
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    fn from_caller(request: &ServiceRequest) -> Option<Self> {
        let value = request.headers().get(HEADER)?;
        let text = value.to_str().ok()?;
        let fine = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        fine.then(|| Self(value.clone()))
    }

    fn new() -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        // Hexadecimal digits are a valid header value.
        Self(HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }
}

/// The outermost layer.
pub(super) async fn layer<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let (id, start) = (RequestId::from_caller(&request).unwrap_or_else(RequestId::new), Instant::now());
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let span = trace::span(&request, id.as_str());
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(Arrived(start));
    let mut response = next.call(request).instrument(span.clone()).await?;
    trace::answered(&span, &response);
    let (status, seconds) = (response.status().as_u16(), start.elapsed().as_secs_f64());
    let trace_id = trace::id(&span).map(tracing::field::display);
    debug!(request_id = id.as_str(), trace_id, %method, path, status, seconds, "answered");
    response.headers_mut().insert(HEADER, id.0);
    Ok(response)
}
