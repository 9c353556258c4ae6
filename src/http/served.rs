//! Which device served a request, on every answer that a model gave: nobody has to guess whether a GPU did.

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};

use crate::service::Served;

const DEVICE: HeaderName = HeaderName::from_static("x-sconce-device");

/// Where the service is to write who serves this request.
pub(super) fn slot(request: &HttpRequest) -> Served {
    request.extensions().get::<Served>().cloned().unwrap_or_default()
}

/// Gives each request its slot, and tells what was written there.
pub(super) async fn layer<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let served = Served::default();
    request.extensions_mut().insert(served.clone());
    let mut response = next.call(request).await?;
    let device = served.get().and_then(|(_, device)| HeaderValue::try_from(device.to_string()).ok());
    if let Some(device) = device {
        response.headers_mut().insert(DEVICE, device);
    }
    Ok(response)
}
