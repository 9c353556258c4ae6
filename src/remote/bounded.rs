//! A bound on what the library of buckets reads whole: listings, refusals, what the machine says of its identity. Objects
//! themselves come piece by piece, and have a bound of their own.

use async_trait::async_trait;
use futures::StreamExt;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
    },
};

/// Bytes of one answer: a page of a listing names a thousand objects, in less than one megabyte.
const LARGEST: usize = 8 << 20;

/// Makes clients whose answers end.
#[derive(Debug, Default)]
pub(super) struct BoundedConnector(ReqwestConnector);

#[derive(Debug)]
struct Bounded(HttpClient);

#[derive(Debug, thiserror::Error)]
#[error("its server answers without end")]
struct Endless;

// === impl BoundedConnector ===

impl HttpConnector for BoundedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Bounded(self.0.connect(options)?)))
    }
}

// === impl Bounded ===

#[async_trait]
impl HttpService for Bounded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let listing = request.uri().query().is_some_and(|query| query.contains("list-type="));
        let response = self.0.execute(request).await?;
        // An object has a length, and nobody reads more of it than that.
        let object = response.status().is_success() && !listing && response.headers().contains_key("content-length");
        if object {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let (mut stream, mut bytes) = (body.bytes_stream(), Vec::new());
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            if bytes.len() + chunk.len() > LARGEST {
                return Err(HttpError::new(HttpErrorKind::Decode, Endless));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(HttpResponse::from_parts(parts, bytes.into()))
    }
}
