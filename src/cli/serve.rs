//! `sconce serve`.

use std::process::ExitCode;

use tracing::warn;

use super::signals::Signals;
use crate::app;

/// The exit code of a process that a signal ended: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

pub(super) async fn serve(config: app::Config) -> anyhow::Result<ExitCode> {
    let listener = app::bind(&config.server)?;
    let signals = Signals::listen()?;
    tokio::select! {
        served = app::run(config, listener, signals.clone().at_least(1)) => served?,
        () = signals.at_least(2) => {
            warn!("a second signal: ending at once");
            return Ok(INTERRUPTED.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}
