//! Traces, sent to an OpenTelemetry collector as OTLP over HTTP with protobuf.

use std::time::Duration;

use opentelemetry::{KeyValue, global};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};

use super::TracesConfig;
use crate::remote::root_cause;

/// A collector that needs longer for a batch is as good as none, and batches wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a collector's answer: a count of rejected spans and a reason.
const LONGEST_ANSWER: usize = 64 << 10;

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("the exporter of traces could not be made: {0}")]
    Exporter(String),
    #[error("the exporter of traces has no way out: {0}")]
    Client(String),
    #[error("the exporter of traces cannot run: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Sends from the thread of the batch processor, which is no thread of the server's runtime and outlives it.
#[derive(Debug)]
struct Sender {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

/// What makes spans and sends them in batches; `None` if no collector is configured.
pub(super) fn provider(config: &TracesConfig) -> Result<Option<SdkTracerProvider>, TracesError> {
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender::new()?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.expose()))
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error: ExporterBuildError| TracesError::Exporter(root_cause(&error)))?;
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    // Who sent a `traceparent` has decided already.
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample)));
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
    global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(Some(provider.with_sampler(sampler).build()))
}

// === impl Sender ===

impl Sender {
    fn new() -> Result<Self, TracesError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = reqwest::Client::builder().timeout(PATIENCE).build();
        Ok(Self { runtime, client: client.map_err(|error| TracesError::Client(root_cause(&error)))? })
    }

    /// What the collector answers is read and thrown away, up to a bound. Errors come without the address, which the
    /// exporter would log with its password.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = self.client.execute(request.try_into().map_err(nameless)?).await.map_err(nameless)?;
        let (status, mut body) = (answer.status(), Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(nameless)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err("the collector answers without end".into());
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        Ok(response)
    }
}

fn nameless(error: reqwest::Error) -> HttpError {
    error.without_url().into()
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.block_on(self.send(request))
    }
}
