//! Where log lines go, and how they look.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    panic,
    sync::OnceLock,
    thread,
};

use tracing_subscriber::{EnvFilter, Layer, Registry, filter::ParseError, fmt, reload};

use super::{Config, LogFormat};

/// Libraries that tell of every file and every thread as if it were news, and of recordings that are none, and connections
/// that speak no HTTP or break off, as if that were our fault: their senders are told, and anybody could fill the log. A
/// filter that names one overrides this.
const QUIET: &str = "symphonia=off,actix_server=warn,actix_http::h1::dispatcher=off,actix_http::h2::dispatcher=off,\
                     xet_client=error,xet_data=error,xet_runtime=error";

/// Which lines go through. It belongs to the process, like standard error itself.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Log lines on standard error. [`set_level`] is about the first layer that was made.
pub(super) fn layer(config: &Config) -> Result<impl Layer<Registry> + use<>, ParseError> {
    let (filter, handle) = reload::Layer::new(filter(&config.log_level)?);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = if pretty(config.log_format) {
        lines.with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(false).boxed()
    };
    let _ = FILTER.set(handle);
    Ok(lines.with_filter(filter))
}

/// A panic is a line like any other from now on: programs that read the log would stumble over its usual text.
pub(super) fn take_panics() {
    panic::set_hook(Box::new(|panic| {
        let (thread, backtrace) = (thread::current(), Backtrace::capture());
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        let (location, detail) = (panic.location().map(ToString::to_string), panic.payload_as_str());
        tracing::error!(thread = thread.name(), location, detail, backtrace, "panic");
    }));
}

/// Lets other lines through from now on. The configuration has checked the text.
pub fn set_level(level: &str) {
    if let (Some(handle), Ok(filter)) = (FILTER.get(), filter(level)) {
        // It fails only when nobody logs any more.
        let _ = handle.reload(filter);
    }
}

fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("{QUIET},{level}"))
}

fn pretty(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    }
}
