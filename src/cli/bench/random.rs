//! A model of a published shape with random weights, in place of the published one.

use anyhow::Context;
use tempfile::TempDir;

use crate::{
    app,
    catalog::{Catalog, Entry, ModelConfig},
    cli::exit::WrongUsage,
    model::RandomModel,
};

/// Its files, for as long as it is there.
pub(super) struct Random {
    pub model: &'static dyn RandomModel,
    _folder: TempDir,
}

/// Writes one for a model, and has the configuration serve it under that name.
pub(super) fn take_place(
    config: &mut app::Config,
    catalog: &Catalog,
    entry: &Entry,
    seed: u64,
) -> anyhow::Result<Random> {
    let of_entry = || entry.family?.random_model(entry.name.as_str());
    let model = of_entry().ok_or_else(|| refusal(catalog, entry))?;
    let folder = TempDir::with_prefix("sconce-bench-").context("there is no place for random weights")?;
    let written = model.write(folder.path(), seed);
    written.with_context(|| format!("random weights cannot be written to {}", folder.path().display()))?;
    let own = ModelConfig {
        name: entry.name.to_string(),
        source: Some(format!("file:{}", folder.path().display())),
        overrides: entry.overrides.clone(),
        ..ModelConfig::default()
    };
    let is_it = |name: &str| catalog.resolve(Some(name)).is_ok_and(|other| other.name == entry.name);
    config.catalog.models.retain(|other| !is_it(&other.name));
    config.catalog.models.push(own);
    Ok(Random { model, _folder: folder })
}

fn refusal(catalog: &Catalog, entry: &Entry) -> WrongUsage {
    let presets =
        catalog.families().iter().flat_map(|family| family.presets().iter().map(move |preset| (family, preset)));
    let known = presets.filter(|(family, preset)| family.random_model(preset.name).is_some());
    let names: Vec<&str> = known.map(|(_, preset)| preset.name).collect();
    WrongUsage(format!(
        "--random-weights: the shape of {} is known from its files only; it is known without them of {}",
        entry.name,
        names.join(", ")
    ))
}
