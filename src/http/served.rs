//! Which model served a request and on which device, on every answer that a model gave: nobody has to guess whether a GPU
//! did, or which model a name such as `whisper-1` meant. And what marks its sound, where something does.

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};

use crate::service::{Served, ServedBy};

pub(super) const MODEL: HeaderName = HeaderName::from_static("x-sconce-model");
const DEVICE: HeaderName = HeaderName::from_static("x-sconce-device");
pub(super) const WATERMARK: HeaderName = HeaderName::from_static("x-sconce-watermark");

/// Where the service is to write who serves this request.
pub(super) fn slot(request: &HttpRequest) -> Served {
    request.extensions().get::<Served>().cloned().unwrap_or_default()
}

/// Gives each request its slot, and tells what was written there.
pub(super) async fn layer<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let served = Served::default();
    request.extensions_mut().insert(served.clone());
    let mut response = next.call(request).await?;
    let Some(ServedBy { model, device, watermark }) = served.get() else { return Ok(response) };
    let watermark = watermark.map(|watermark| (WATERMARK, watermark.to_owned()));
    for (name, value) in [(MODEL, model.to_string()), (DEVICE, device.to_string())].into_iter().chain(watermark) {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}
