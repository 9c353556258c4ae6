//! `sconce serve`.

use std::{process::ExitCode, sync::Arc};

use futures::{Stream, StreamExt};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::{
    exit::INTERRUPTED,
    signals::{self, Signals},
};
use crate::{
    app,
    config::{self, Loaded, Report, Sources},
};

pub(super) async fn serve(loaded: Loaded, sources: Sources) -> anyhow::Result<ExitCode> {
    let Loaded { config, report } = loaded;
    let listener = app::bind(&config.server)?;
    let signals = Signals::listen()?;
    let reloads = reloads(signals::hangups()?, Arc::new(sources), Arc::new(report));
    tokio::select! {
        served = app::run(config, listener, reloads, signals.clone().at_least(1)) => served?,
        () = signals.at_least(2) => {
            warn!("a second signal: ending at once");
            return Ok(INTERRUPTED.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the sources say whenever somebody asks. `start` is what they said at the start.
fn reloads(
    asked: impl Stream<Item = ()>,
    sources: Arc<Sources>,
    start: Arc<Report>,
) -> impl Stream<Item = Result<app::Config, String>> {
    asked.then(move |()| {
        info!("SIGHUP: reading the configuration anew");
        let (sources, start) = (sources.clone(), start.clone());
        async move {
            match spawn_blocking(move || config::load(&sources)).await {
                Ok(Ok(Loaded { config, report })) => {
                    tell_what_waits(&start, &report);
                    Ok(config)
                }
                Ok(Err(faults)) => Err(faults.to_string()),
                Err(_) => Err("the configuration could not be read".to_owned()),
            }
        }
    })
}

fn tell_what_waits(start: &Report, now: &Report) {
    let waiting = config::needs_restart(start, now);
    if !waiting.is_empty() {
        warn!(settings = waiting.join(", "), "these settings changed and need a restart");
    }
}
