//! Which model served a request and on which device, on every answer that a model gave: nobody has to guess whether a GPU
//! did, or which model a name such as `whisper-1` meant. And what marks its sound, where something does.

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};

use crate::service::{InPlaceOf, Served, ServedBy};

pub(super) const MODEL: HeaderName = HeaderName::from_static("x-sconce-model");
/// The model that was asked for, where another one answered because it cannot be loaded.
pub(super) const FALLBACK: HeaderName = HeaderName::from_static("x-sconce-fallback-for");
/// Names fields of a request that the model does not follow.
pub(super) const IGNORED: HeaderName = HeaderName::from_static("x-sconce-ignored");
/// What was amiss with the recording, by its code.
pub(super) const WARNINGS: HeaderName = HeaderName::from_static("x-sconce-warnings");
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
    let codes: Vec<String> = served.warnings().iter().map(|warning| warning.code.to_string()).collect();
    if let Some(codes) = HeaderValue::try_from(codes.join(", ")).ok().filter(|codes| !codes.is_empty()) {
        response.headers_mut().insert(WARNINGS, codes);
    }
    if let Some(InPlaceOf { model, ignored }) = served.substituted() {
        let headers = response.headers_mut();
        if let Ok(model) = HeaderValue::try_from(model.as_str()) {
            headers.insert(FALLBACK, model);
        }
        let told = headers.get(IGNORED).and_then(|told| told.to_str().ok()).unwrap_or_default().to_owned();
        let mut all: Vec<&str> = told.split(", ").filter(|field| !field.is_empty()).collect();
        let more: Vec<&str> = ignored.iter().copied().filter(|field| !all.contains(field)).collect();
        all.extend(more);
        if let Some(all) = HeaderValue::try_from(all.join(", ")).ok().filter(|all| !all.is_empty()) {
            headers.insert(IGNORED, all);
        }
    }
    Ok(response)
}
