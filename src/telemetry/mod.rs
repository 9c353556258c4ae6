//! Logs and the metrics registry. Each module registers its own metrics; what belongs to the whole process is here.

mod logs;

use prometheus::{IntGaugeVec, Opts, Registry};

pub use logs::init_logs;

/// What telemetry needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// A `tracing` filter, for example `info` or `sconce=debug,actix_server=warn`.
    pub log_level: String,
    pub log_format: LogFormat,
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

/// A registry that holds what is true of the process: its build, and its memory, processor time and descriptors where
/// the system tells.
pub fn registry() -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    registry.register(Box::new(build_info()?))?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    Ok(registry)
}

fn build_info() -> Result<IntGaugeVec, prometheus::Error> {
    let opts = Opts::new("sconce_build_info", "Version and accelerators of this build; always 1.");
    let info = IntGaugeVec::new(opts, &["version", "accelerators"])?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), &accelerators()]).set(1);
    Ok(info)
}

/// The accelerators that this build can use, separated by commas; `cpu` when there are none.
pub fn accelerators() -> String {
    let built = [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))];
    let names: Vec<_> = built.into_iter().filter(|(_, built)| *built).map(|(name, _)| name).collect();
    if names.is_empty() { "cpu".to_owned() } else { names.join(",") }
}
