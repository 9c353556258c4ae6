//! `sconce cache`: what lies in the caches, and how it goes.

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::out::say;
use crate::{
    app::{self, App},
    catalog::{Catalog, Entry},
    store::{CachedCommit, CachedModel, Cleared, Doomed, Source, Store},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Cache {
    /// List what lies in the caches that are written
    Ls(Ls),
    /// Remove models, but none that is loaded or being fetched
    Rm(Rm),
    /// Remove what no model needs, and what exceeds `store.quota`
    Gc(Gc),
}

#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rm {
    /// Names, aliases or sources; after an @, one version: the beginning of a commit, or a branch
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Gc {
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct How {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

// === impl Cache ===

impl Cache {
    pub async fn run(self, config: app::Config) -> anyhow::Result<ExitCode> {
        let app = App::build(config)?;
        let code = match self {
            Self::Ls(ls) => ls.run(app.store()).await,
            Self::Rm(rm) => rm.run(app.store(), &app.catalog()).await,
            Self::Gc(Gc { how }) => how.tell(&app.store().collect(how.dry_run).await?).map(|()| ExitCode::SUCCESS),
        };
        app.stop().await;
        code
    }
}

// === impl Ls ===

impl Ls {
    async fn run(self, store: &Store) -> anyhow::Result<ExitCode> {
        let models = store.inventory().await?;
        if self.json {
            print_json(&models)?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<[String; 5]> =
            models.iter().flat_map(|model| model.commits.iter().map(|commit| row(model, commit))).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2), width(3)];
        for [name, version, bytes, used, state] in &rows {
            let [w0, w1, w2, w3] = widths;
            say!("{name:w0$}  {version:w1$}  {bytes:>w2$}  {used:w3$}  {state}");
        }
        let (bytes, waste) = models.iter().fold((0, 0), |sum, model| (sum.0 + model.bytes, sum.1 + model.waste));
        say!("{} in all, of which no model needs {}", size(bytes), size(waste));
        Ok(ExitCode::SUCCESS)
    }
}

// === impl Rm ===

impl Rm {
    async fn run(self, store: &Store, catalog: &Catalog) -> anyhow::Result<ExitCode> {
        let models = store.inventory().await?;
        let mut doomed = Vec::new();
        for asked in &self.models {
            let found = select(&models, catalog, asked);
            anyhow::ensure!(!found.is_empty(), "{asked} is not in the cache; `sconce cache ls` lists what is");
            doomed.extend(found);
        }
        doomed.sort();
        doomed.dedup();
        let cleared = store.remove(doomed, self.how.dry_run).await?;
        self.how.tell(&cleared)?;
        Ok(if cleared.kept.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The commits that somebody means by a name.
fn select(models: &[CachedModel], catalog: &Catalog, asked: &str) -> Vec<Doomed> {
    let whole = matching(models, catalog, asked, None);
    match asked.rsplit_once('@') {
        Some((name, version)) if whole.is_empty() => matching(models, catalog, name, Some(version)),
        _ => whole,
    }
}

fn matching(models: &[CachedModel], catalog: &Catalog, name: &str, version: Option<&str>) -> Vec<Doomed> {
    let entry = catalog.resolve(Some(name)).ok();
    let sources = entry.into_iter().flat_map(|entry| its_own(catalog, entry));
    let folders: Vec<String> = sources.chain(name.parse()).filter_map(|source| Store::folder_of(&source)).collect();
    let model = |model: &&CachedModel| model.name == name || folders.contains(&model.folder);
    let wanted = |commit: &&CachedCommit| {
        version
            .is_none_or(|version| commit.commit.starts_with(version) || commit.refs.iter().any(|name| name == version))
    };
    let doomed = |model: &CachedModel, commit: &CachedCommit| Doomed {
        folder: model.folder.clone(),
        commit: commit.commit.clone(),
    };
    models
        .iter()
        .filter(model)
        .flat_map(|model| model.commits.iter().filter(wanted).map(move |commit| doomed(model, commit)))
        .collect()
}

/// The sources of a model that no other model has a part from.
fn its_own<'a>(catalog: &'a Catalog, entry: &'a Entry) -> impl Iterator<Item = Source> + 'a {
    let has = |other: &Entry, source: &Source| other.parts.iter().any(|(_, known)| known == source);
    let alone = move |source: &Source| !catalog.entries().any(|other| other.name != entry.name && has(other, source));
    entry.parts.iter().map(|(_, source)| source.clone()).filter(alone)
}

// === impl How ===

impl How {
    fn tell(&self, cleared: &Cleared) -> anyhow::Result<()> {
        if self.json {
            return print_json(cleared);
        }
        let removed = if self.dry_run { "would remove" } else { "removed" };
        for commit in &cleared.commits {
            say!("{removed} {commit}");
        }
        if cleared.files > 0 {
            say!("{removed} {} files that no model needs", cleared.files);
        }
        say!("{removed} {} in all", size(cleared.bytes));
        for commit in &cleared.kept {
            eprintln!("error: {commit} is in use; unload it first");
        }
        Ok(())
    }
}

fn row(model: &CachedModel, commit: &CachedCommit) -> [String; 5] {
    let short = commit.commit.get(..12).unwrap_or(&commit.commit);
    let version = match commit.refs.join(",") {
        refs if refs.is_empty() => short.to_owned(),
        refs => format!("{short} ({refs})"),
    };
    let state = match (commit.in_use, commit.ours) {
        (true, _) => "in use",
        (false, true) => "",
        (false, false) => "by another tool",
    };
    [model.name.clone(), version, size(commit.bytes), ago(commit.last_used), state.to_owned()]
}

fn ago(last_used: Option<u64>) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(then) = last_used else { return "never used".to_owned() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seconds = now.saturating_sub(then);
    let (length, unit) = UNITS.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "s"));
    format!("{} {unit} ago", seconds / length)
}

fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
