//! What telemetry needs to know.

use crate::remote::SecretUrl;

/// What telemetry needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// A `tracing` filter, for example `info` or `sconce=debug,actix_server=warn`.
    pub log_level: String,
    pub log_format: LogFormat,
    pub traces: TracesConfig,
}

/// Where traces go.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// Base address of an OTLP collector; no traces if absent.
    pub endpoint: Option<SecretUrl>,
    pub service_name: String,
    /// Share of the requests that are traced, unless the caller decided.
    pub sample: f64,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    #[default]
    Auto,
    Pretty,
    Json,
}
