//! What the HTTP surface needs to know.

use std::time::Duration;

use super::access::Config as AccessConfig;

/// What the HTTP surface needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// What this replica is called, as a header may say it; absent: as its machine is.
    pub server_name: Option<String>,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// Bytes of request bodies that are in memory at once.
    pub bodies_limit: usize,
    /// Instances of an envelope, and recordings of a batch of tensors.
    pub max_instances: usize,
    /// Values of a JSON body, nested ones included, and parts of a form.
    pub max_fields: usize,
    /// For a request's body to arrive.
    pub body_timeout: Duration,
    /// `AIP_HEALTH_ROUTE`, served literally beside `/health`.
    pub health_route: Option<String>,
    /// `AIP_PREDICT_ROUTE`, served literally beside `/predict`.
    pub predict_route: Option<String>,
    /// Whether `POST /download-models` and its like are open.
    pub admin: bool,
    /// A model that is busy without a step for so long makes `/health/live` fail.
    pub stall_timeout: Duration,
    pub unknown_fields: UnknownFields,
    pub access: AccessConfig,
    /// Whether the page at `/` is served.
    pub console: bool,
    pub realtime: RealtimeConfig,
    /// Origins whose pages may use this server; `*` is any. None: no page of another origin may.
    pub cors_origins: Vec<String>,
}

/// What becomes of fields of a request that nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownFields {
    /// The request is refused, with the names of those that there are.
    #[default]
    Refuse,
    /// They are left out, and a header of the answer names them.
    Warn,
}

/// What bounds a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealtimeConfig {
    /// Bytes of a message, whatever frames it comes in.
    pub max_message: usize,
    /// Without a message for so long a session ends.
    pub idle: Duration,
    /// A client is pinged so often, and has as long to answer, and to take what it is sent.
    pub ping: Duration,
}
