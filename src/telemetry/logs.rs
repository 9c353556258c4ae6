//! Where log lines go, and how they look.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

use super::{Config, LogFormat};

/// Libraries that tell of every file and every thread as if it were news; a filter that names one overrides this.
const QUIET: &str = "symphonia=error,actix_server=warn";

/// Sends this process' log lines to standard error from now on. A second call changes nothing.
pub fn init_logs(config: &Config) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(format!("{QUIET},{}", config.log_level))?;
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    let already_set = if pretty(config.log_format) {
        lines.with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).try_init()
    };
    drop(already_set);
    Ok(())
}

fn pretty(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    }
}
