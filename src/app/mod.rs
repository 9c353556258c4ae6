//! The composition root: builds every part, leaves first, binds early, spawns last, and takes it all down in order.

mod build;
mod server;

use std::{net::IpAddr, time::Duration};

pub use build::{App, BuildError};
pub use server::{ServeError, bind, run};

/// Everything that the server needs to know, as plain values.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: ServerConfig,
    pub store: crate::store::Config,
    pub catalog: crate::catalog::Config,
    pub runtime: crate::runtime::Config,
    pub lifecycle: crate::lifecycle::Config,
    pub service: crate::service::Config,
    pub http: crate::http::Config,
    pub telemetry: crate::telemetry::Config,
}

/// The listening socket and the life of the process.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub bind: IpAddr,
    /// 0 picks a free one, which the log names.
    pub port: u16,
    /// HTTP threads. They parse and render; model work is elsewhere.
    pub workers: usize,
    /// After SIGTERM: unready, but still serving, for so long, so that load balancers notice.
    pub grace: Duration,
    /// After the grace: requests in flight have so long to finish.
    pub drain: Duration,
}
