//! Everything that the server needs to know, as plain values.

use std::{net::IpAddr, path::PathBuf, time::Duration};

/// Everything that the server needs to know, as plain values.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: ServerConfig,
    pub remote: crate::remote::Config,
    /// Memory that models may take.
    pub budget: BudgetChoice,
    /// Bytes of host memory in which models may stay that left an accelerator; `None`: half of what the host has for models.
    pub warm: Option<u64>,
    pub store: crate::store::Config,
    pub catalog: crate::catalog::Config,
    pub runtime: crate::runtime::Config,
    pub lifecycle: crate::lifecycle::Config,
    pub service: crate::service::Config,
    pub jobs: crate::jobs::Config,
    pub http: crate::http::Config,
    pub wyoming: crate::wyoming::Config,
    pub telemetry: crate::telemetry::Config,
}

/// Memory that models may take together, on each device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetChoice {
    None,
    /// What this process may have in all, of an accelerator what is free at the start, less the reserve.
    Auto,
    Bytes(u64),
}

/// The listening socket and the life of the process.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `None`: all addresses of the machine, of both families where it has both.
    pub bind: Option<IpAddr>,
    /// 0 picks a free one, which the log names.
    pub port: u16,
    /// HTTP threads. They parse and render; model work is elsewhere.
    pub workers: usize,
    /// After SIGTERM: unready, but still serving, for so long, so that load balancers notice.
    pub grace: Duration,
    /// After the grace: requests in flight have so long to finish.
    pub drain: Duration,
    /// How often what can change while the server runs is looked at.
    pub reload: Duration,
    /// PEM files; HTTPS if both are there, HTTP if neither is.
    pub certificate: Option<PathBuf>,
    pub private_key: Option<PathBuf>,
    /// Connections that are held at once, over all threads.
    pub max_connections: usize,
    /// Between two requests on one connection.
    pub keep_alive: Duration,
    /// For the head of a request to arrive.
    pub head_timeout: Duration,
    /// For a connection to close.
    pub disconnect_timeout: Duration,
}
