//! From the configuration of models to what the catalog, the lifecycle and the devices make of it.

use super::{BudgetChoice, Config};
use crate::{
    catalog::{Catalog, CatalogError, Entry},
    lifecycle::{self, FamilyChoice, ModelSpec},
    model::{Availability, DeviceId, Family},
    runtime::Placer,
};

/// The catalog, in which a model that wishes for what this machine lacks is unsupported, and says why.
pub(super) fn catalog(config: &Config, placer: &Placer) -> Result<Catalog, Vec<CatalogError>> {
    let mut catalog = Catalog::new(&config.catalog)?;
    for entry in catalog.listed() {
        if let Availability::Unsupported(reason) = &entry.availability {
            tracing::warn!(model = %entry.name, %reason, "this model cannot be served here");
        }
    }
    catalog.rule_out(|entry| {
        let dtype = || entry.family.map_or(Ok(()), |family| placer.check_dtype(family, &entry.overrides));
        let reason = placer.check(&entry.overrides).and_then(|()| dtype()).err()?.to_string();
        tracing::warn!(model = %entry.name, reason, "this model cannot be served here");
        Some(reason)
    });
    Ok(catalog)
}

/// The models that can be served.
pub(super) fn specs(catalog: &Catalog) -> Vec<ModelSpec> {
    let available = catalog.entries().filter(|entry| entry.availability == Availability::Available);
    available.map(|entry| spec(entry, catalog.families())).collect()
}

fn spec(entry: &Entry, families: &'static [&'static dyn Family]) -> ModelSpec {
    ModelSpec {
        name: entry.name.clone(),
        families: entry.family.map_or(FamilyChoice::Among(families), FamilyChoice::Known),
        parts: entry.parts.clone(),
        preload: entry.preload,
        pinned: entry.pinned,
        idle_ttl: entry.idle_ttl,
        overrides: entry.overrides.clone(),
    }
}

/// The lifecycle's own configuration, with a budget in bytes.
pub(super) fn rules(config: &Config, placer: &Placer) -> lifecycle::Config {
    let mut budget = lifecycle::Budget::default();
    match config.budget {
        BudgetChoice::None => {}
        BudgetChoice::Bytes(bytes) => budget.each = Some(bytes),
        BudgetChoice::Auto => budget.of = placer.rooms().iter().map(|(at, bytes)| (at.to_string(), *bytes)).collect(),
    }
    for (device, bytes) in &budget.of {
        tracing::info!(device, bytes, "memory that models may take");
    }
    let half = || placer.rooms().get(&DeviceId::Cpu).map_or(0, |bytes| bytes / 2);
    let memory_warm = config.warm.unwrap_or_else(half);
    lifecycle::Config { memory_budget: budget, memory_warm, ..config.lifecycle.clone() }
}
