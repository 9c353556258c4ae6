//! The composition root: builds every part, leaves first, binds early, spawns last, and takes it all down in order.

mod build;
mod config;
mod connection;
mod greeting;
mod listener;
mod machine;
mod metrics;
mod models;
mod reload;
mod secrets;
mod server;
mod socket;
mod systemd;
mod tls;
mod wyoming;

pub use build::{App, BuildError};
pub use config::{BudgetChoice, Config, ServerConfig};
pub use machine::Machine;
pub use server::{ServeError, bind, run};
pub use tls::TlsError;
