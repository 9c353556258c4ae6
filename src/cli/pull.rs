//! `sconce pull`: fills the cache, so that a server later starts with nothing to fetch.

use std::process::ExitCode;

use super::progress;
use crate::{
    app::{self, App},
    catalog::Catalog,
    lifecycle::{ModelStatus, Target, Unavailable},
    speech::ModelName,
};

#[derive(Debug, clap::Args)]
pub(super) struct Pull {
    /// Names or aliases; the configured models if none is given
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
}

impl Pull {
    pub async fn run(self, config: app::Config) -> anyhow::Result<ExitCode> {
        let app = App::build(config)?;
        let names = resolve(app.catalog(), &self.models)?;
        let lifecycle = app.service().lifecycle();
        let watching = progress::of_models(lifecycle.watch());
        let outcomes = lifecycle.prepare(&names, Target::Fetched, None).await;
        watching.abort();
        let fetched = outcomes.iter().filter(|(name, outcome)| tell(name, outcome)).count();
        app.stop().await;
        Ok(if fetched == names.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The canonical names of models; of the configured ones if none is named.
pub(super) fn resolve(catalog: &Catalog, names: &[String]) -> anyhow::Result<Vec<ModelName>> {
    if names.is_empty() {
        return Ok(catalog.listed().map(|entry| entry.name.clone()).collect());
    }
    names.iter().map(|name| Ok(catalog.resolve(Some(name))?.name.clone())).collect()
}

/// Whether the model is on this machine now.
fn tell(name: &ModelName, outcome: &Result<ModelStatus, Unavailable>) -> bool {
    match outcome {
        Ok(ModelStatus { fetched: true, revision, .. }) => {
            println!("{name}  {}", revision.as_deref().unwrap_or("on this machine"));
            return true;
        }
        Ok(status) => {
            let reason = status.error.as_ref().map_or("it was not fetched", |error| &error.message);
            eprintln!("error: {name}: {reason}");
        }
        Err(error) => eprintln!("error: {error}"),
    }
    false
}
