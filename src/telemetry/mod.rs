//! Logs, traces and the metrics registry. Each module registers its own metrics; what belongs to the whole process is here.

mod config;
mod logs;
mod traces;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{IntGaugeVec, Opts, Registry};
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{ParseError, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

pub use config::{Config, LogFormat, TracesConfig};
pub use logs::set_level;
pub use traces::TracesError;

/// Log lines and traces on their way out. When this is dropped, the traces that still wait are sent.
#[must_use = "traces that wait are sent when this is dropped"]
pub struct Outlet(Option<SdkTracerProvider>);

/// Why there are no log lines, or no traces.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("log.level: {0}")]
    Level(#[from] ParseError),
    #[error(transparent)]
    Traces(#[from] TracesError),
}

/// Sends this process' log lines to standard error from now on, and its traces to the collector, if there is one. A
/// second call changes nothing.
pub fn init(config: &Config) -> Result<Outlet, InitError> {
    let provider = traces::provider(&config.traces)?;
    let lines = logs::layer(config)?;
    // Our own spans and nothing else: what libraries trace is of no interest to who asks where the time went.
    let ours = filter_fn(|what| what.is_span() && what.target().starts_with("sconce") && *what.level() <= Level::DEBUG)
        .with_max_level_hint(LevelFilter::DEBUG);
    let spans = provider.as_ref().map(|provider| {
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("sconce"));
        // Where in the source a span is made, and on which thread, tells nothing about the request.
        let spans = spans.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
        spans.with_filter(ours)
    });
    if tracing_subscriber::registry().with(lines).with(spans).try_init().is_ok() {
        logs::take_panics();
    }
    Ok(Outlet(provider))
}

// === impl Outlet ===

impl Drop for Outlet {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
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
