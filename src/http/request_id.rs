//! A name for every request, the caller's if it sent one, on every answer and every log line.

use std::time::Instant;

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};
use tracing::debug;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ones are replaced: they end up in logs.
const LONGEST: usize = 128;

/// The identity of a request.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

// === impl RequestId ===

impl RequestId {
    /// That of a request which came through `layer`.
    pub fn of(request: &HttpRequest) -> String {
        let extensions = request.extensions();
        let id = extensions.get::<Self>().and_then(|id| id.0.to_str().ok());
        id.unwrap_or_default().to_owned()
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
    request.extensions_mut().insert(id.clone());
    let mut response = next.call(request).await?;
    let status = response.status().as_u16();
    debug!(request_id = ?id.0, %method, path, status, seconds = start.elapsed().as_secs_f64(), "answered");
    response.headers_mut().insert(HEADER, id.0);
    Ok(response)
}
