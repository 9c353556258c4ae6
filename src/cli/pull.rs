//! `sconce pull`: fills the cache, so that a server later starts with nothing to fetch.
//!
//! Its exit code tells a script what to do about a failure; README.md lists the codes.

use std::{collections::HashMap, process::ExitCode};

use tracing::Instrument;

use super::{exit::INTERRUPTED, out::say, progress, signals::Signals};
use crate::{
    app::{self, App},
    catalog::{Catalog, Entry, ModelConfig},
    lifecycle::{ModelStatus, Target, Unavailable},
    model::Availability,
    speech::ModelName,
    store::Source,
};

const OTHER: u8 = 1;
const NOT_FOUND: u8 = 3;
const DENIED: u8 = 4;
const NETWORK: u8 = 5;
const DISK: u8 = 6;

/// Fetch models into the cache, for an image build, an init container or a job
///
/// The exit code is 0 if all of them are there, 3 if a source does not exist, 4 if it is refused (a licence to accept, a
/// token to set), 5 if the network failed and a later try may succeed, 6 if the disk is full or cannot be written, 130
/// if it was interrupted (the next one goes on from there), 2 for wrong usage, and 1 for everything else.
#[derive(Debug, clap::Args)]
pub(super) struct Pull {
    /// Names, aliases, repositories or sources (hf://…, gs://…, s3://…, https://…); the configured models if none is
    /// given
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
    /// Every model that this program knows and can serve
    #[arg(long, conflicts_with = "models")]
    all: bool,
    /// Agree to the licences of these models that have to be agreed to, once for the cache that they are fetched into
    #[arg(long)]
    accept_licence: bool,
    /// Say nothing of the progress, only what came of it
    #[arg(long, short)]
    quiet: bool,
}

impl Pull {
    pub async fn run(self, mut config: app::Config) -> anyhow::Result<ExitCode> {
        config.catalog.models.extend(self.models.iter().filter(|name| is_place(name)).map(|name| named(name)));
        let app = App::build(config)?;
        let names = match self.all {
            true => available(&app.catalog()),
            false => resolve(&app.catalog(), &self.models)?,
        };
        show_terms(&app, &names, self.accept_licence)?;
        put_damaged_aside(&app, &names).await?;
        let lifecycle = app.service().lifecycle();
        let watching = (!self.quiet).then(|| progress::of_models(lifecycle.watch(), places(&app)));
        let outcomes = tokio::select! {
            outcomes = lifecycle.prepare(&names, Target::Fetched, None) => Some(outcomes),
            () = Signals::listen()?.at_least(1) => None,
        };
        drop(watching);
        let code = match outcomes {
            Some(outcomes) => {
                let codes: Vec<u8> = outcomes.iter().filter_map(|(name, outcome)| code(&app, name, outcome)).collect();
                codes.first().copied()
            }
            None => Some(interrupted()),
        };
        app.stop().await;
        Ok(code.map_or(ExitCode::SUCCESS, ExitCode::from))
    }
}

/// Where the files of models lie: each in a folder of the cache, whatever the number of its parts.
fn places(app: &App) -> progress::Place {
    let (catalog, store) = (app.catalog(), app.store());
    let of_entry = |entry: &Entry| {
        let folder = entry.parts.iter().find_map(|(_, source)| store.place_of(source))?;
        Some((entry.name.clone(), folder))
    };
    let places: HashMap<_, _> = catalog.entries().filter_map(of_entry).collect();
    Box::new(move |name| places.get(name).cloned())
}

/// Shows the licences that have to be agreed to, and agrees where that is asked for.
fn show_terms(app: &App, names: &[ModelName], accept: bool) -> anyhow::Result<()> {
    let catalog = app.catalog();
    for name in names {
        let family = catalog.resolve(Some(name.as_str()))?.family;
        let Some(terms) = family.and_then(|family| family.terms()) else { continue };
        eprintln!("{name}: the licence is {}. {}", terms.licence, terms.notice);
        if accept {
            app.store().agree(terms)?;
        }
    }
    Ok(())
}

/// What is damaged is fetched again, also where its size is right.
async fn put_damaged_aside(app: &App, names: &[ModelName]) -> anyhow::Result<()> {
    let catalog = app.catalog();
    for name in names {
        for (_, source) in &catalog.resolve(Some(name.as_str()))?.parts {
            let span = tracing::error_span!("pull", model = %name);
            app.store().put_damaged_aside(source).instrument(span).await?;
        }
    }
    Ok(())
}

fn interrupted() -> u8 {
    eprintln!("error: interrupted; the next `sconce pull` goes on from here");
    INTERRUPTED
}

/// Says what became of a model; the exit code if it is not on this machine now.
fn code(app: &App, name: &ModelName, outcome: &Result<ModelStatus, Unavailable>) -> Option<u8> {
    if tell(name, outcome) {
        return None;
    }
    let catalog = app.catalog();
    let parts = catalog.resolve(Some(name.as_str())).map(|entry| &entry.parts[..]).unwrap_or_default();
    let word = parts.iter().find_map(|(_, source)| app.store().failure(source));
    Some(match word {
        Some("not_found") => NOT_FOUND,
        Some("denied") => DENIED,
        Some("unreachable") => NETWORK,
        Some("cache" | "no_room") => DISK,
        _ => OTHER,
    })
}

/// The canonical names of models; of the configured ones if none is named.
pub(super) fn resolve(catalog: &Catalog, names: &[String]) -> anyhow::Result<Vec<ModelName>> {
    if names.is_empty() {
        return Ok(catalog.listed().map(|entry| entry.name.clone()).collect());
    }
    let source_of = |name: &String| name.parse::<Source>().ok().filter(|_| is_place(name));
    let of_source =
        |source: Source| catalog.entries().find(|entry| matches!(&entry.parts[..], [(_, only)] if *only == source));
    let entry = |name: &String| match source_of(name).and_then(of_source) {
        Some(entry) => Ok(entry.name.clone()),
        None => Ok(catalog.resolve(Some(name.split('@').next().unwrap_or(name)))?.name.clone()),
    };
    names.iter().map(entry).collect()
}

/// Every model that this build can serve.
fn available(catalog: &Catalog) -> Vec<ModelName> {
    let entries = catalog.entries().filter(|entry| entry.availability == Availability::Available);
    entries.map(|entry| entry.name.clone()).collect()
}

/// Whether a name says where the model is, or which version of it, so that nobody has to have configured it.
fn is_place(name: &str) -> bool {
    name.contains(['/', ':', '@'])
}

fn named(name: &str) -> ModelConfig {
    ModelConfig { name: name.to_owned(), ..ModelConfig::default() }
}

/// Whether the model is on this machine now.
fn tell(name: &ModelName, outcome: &Result<ModelStatus, Unavailable>) -> bool {
    match outcome {
        // An older copy may be here though the newer one did not come.
        Ok(ModelStatus { fetched: true, error: None, revision, .. }) => {
            say!("{name}  {}", revision.as_deref().unwrap_or("on this machine"));
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
