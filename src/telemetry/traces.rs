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

/// A collector that needs longer for a batch is as good as none, and batches wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("the exporter of traces could not be made: {0}")]
    Exporter(#[from] ExporterBuildError),
    #[error("the exporter of traces has no way out: {0}")]
    Client(#[from] reqwest::Error),
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
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_timeout(PATIENCE)
        .build()?;
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
        Ok(Self { runtime, client: reqwest::Client::builder().timeout(PATIENCE).build()? })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.client.execute(request.try_into()?).await?;
        let status = answer.status();
        let mut response = Response::new(answer.bytes().await?);
        *response.status_mut() = status;
        Ok(response)
    }
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.block_on(self.send(request))
    }
}
