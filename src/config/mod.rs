//! Configuration: a TOML file, the environment and the command line, laid over the defaults in that order, become each
//! module's own `Config`.
//!
//! `settings` is the table of all settings and the one place that knows their names, defaults and meaning; parsing,
//! `check-config`, the command line's flags and `docs/CONFIGURATION.md` read it. [`load`] works on [`Sources`], never
//! on the process itself, and reports every fault at once.

mod docs;
mod environment;
mod faults;
mod file;
mod kinds;
mod layer;
mod models;
mod overrides;
mod report;
mod setting;
mod settings;
mod sources;
mod value;

use layer::{Layer, settle};

pub use docs::docs;
pub use faults::{Fault, Faults, Origin};
pub use layer::Environment;
pub use overrides::Overrides;
pub use report::{Report, Row};
pub use sources::Sources;

use crate::app::Config;

/// A configuration that makes sense.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub report: Report,
}

/// Reads the sources and lays them over the defaults.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load(sources: &Sources) -> Result<Loaded, Faults> {
    let mut faults = Vec::new();
    let mut report = Report::default();

    let file = sources.file(&mut faults);
    let mut listed = sources.models();
    let names = listed.iter().map(|(model, _)| &model.name).chain(file.models.keys()).cloned().collect::<Vec<_>>();
    let mut hints = environment::hints(&sources.environment);
    hints.extend(models::storage_uri(&sources.environment, &mut listed).map(|default| ("default_model", default)));
    let environment = environment::read(&sources.environment, &names, &mut faults);
    let flags = Layer { values: sources.overrides.values(), ..Layer::default() };

    let mut config = settings::blank();
    config.catalog.families = sources.families.unwrap_or(config.catalog.families);
    let values = [&hints, &file.values, &environment.values, &flags.values];
    settle(&mut config, "", settings::SETTINGS, &values, (&mut report, &mut faults));
    sources.token(&mut config, &mut report, &mut faults);
    sources.other_caches(&mut config, &report);
    config.remote.buckets.s3.identity = sources.identity();
    config.runtime.programs.path = sources.path();
    config.catalog.models = models::assemble(&listed, [&file, &environment], &mut report, &mut faults);
    let handed_on = config.catalog.models.iter().flat_map(|model| &model.overrides.worker.environment);
    config.runtime.programs.workers.environment = sources.variables(handed_on);
    config.catalog.programs = config.runtime.programs.clone();
    lexicon(&mut config, &report, &mut faults);
    let beside = config.service.voices.as_ref().map(|voices| voices.join(".references"));
    config.runtime.references.folder = config.runtime.references.folder.or(beside);
    config.catalog.only_configured.get_or_insert(config.http.access.asks_for_keys());
    contradictions(&config, &report, &mut faults);
    if faults.is_empty() { Ok(Loaded { config, report }) } else { Err(Faults(faults)) }
}

/// The settings that differ and do not apply until the next start.
pub fn needs_restart(before: &Report, now: &Report) -> Vec<String> {
    let fixed = settings::SETTINGS.iter().filter(|setting| !setting.live).map(|setting| setting.key);
    let value = |report: &Report, key: &str| report.get(key).map(|row| row.value.clone());
    fixed.filter(|key| value(before, key) != value(now, key)).map(str::to_owned).collect()
}

/// Reads the lexicon, if a layer names one.
fn lexicon(config: &mut Config, report: &Report, faults: &mut Vec<Fault>) {
    const NAME: &str = "speech.lexicon";
    if let Some(Err(error)) = config.service.lexicon.as_mut().map(|lexicon| lexicon.read()) {
        let origin = report.get(NAME).map_or(Origin::Default, |row| row.origin.clone());
        faults.push(Fault { origin, problem: format!("{NAME}: {error}") });
    }
}

/// What each setting may say alone, but not together.
fn contradictions(config: &Config, report: &Report, faults: &mut Vec<Fault>) {
    let mut contradiction = |name: &str, problem: String| {
        let origin = report.get(name).map_or(Origin::Default, |row| row.origin.clone());
        faults.push(Fault { origin, problem });
    };
    if config.lifecycle.retry_max < config.lifecycle.retry_base {
        contradiction("retry.max_delay", "retry.max_delay is shorter than retry.first_delay".to_owned());
    }
    if config.http.bodies_limit < config.http.body_limit {
        contradiction("limits.max_bodies", "limits.max_bodies is less than limits.max_body".to_owned());
    }
    match (&config.server.certificate, &config.server.private_key) {
        (Some(_), None) => contradiction("tls.certificate", "tls.certificate needs tls.key as well".to_owned()),
        (None, Some(_)) => contradiction("tls.key", "tls.key needs tls.certificate as well".to_owned()),
        _ => {}
    }
    let routes = [&config.http.health_route, &config.http.predict_route];
    if routes[0].is_some() && routes[0] == routes[1] {
        contradiction("http.predict_route", "http.predict_route is the same path as http.health_route".to_owned());
    }
}

#[cfg(test)]
mod tests;
