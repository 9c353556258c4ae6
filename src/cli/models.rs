//! `sconce models`.

use std::process::ExitCode;

use indicatif::DecimalBytes;

use super::out::say;
use crate::{
    app::{self, App},
    catalog::Entry,
    model::Availability,
    store::{CachedModel, Source, Store},
};

/// Why models cannot be served here, each reason once: it is told below the table, by its number.
#[derive(Default)]
struct Reasons(Vec<String>);

pub(super) async fn run(config: app::Config) -> anyhow::Result<ExitCode> {
    let app = App::build(config)?;
    let catalog = app.catalog();
    let default = &catalog.default().name;
    let here = app.store().inventory().await?;
    let mut reasons = Reasons::default();
    let rows: Vec<[String; 4]> =
        catalog.entries().map(|entry| row(entry, entry.name == *default, &here, &mut reasons)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for [name, family, place, aliases] in &rows {
        let [w0, w1, w2] = widths;
        say!("{}", format!("{name:w0$}  {family:w1$}  {place:w2$}  {aliases}").trim_end());
    }
    say!("\n* is the default model: it answers requests that name none.");
    for (number, reason) in (1..).zip(&reasons.0) {
        say!("[{number}] {reason}");
    }
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &Entry, default: bool, here: &[CachedModel], reasons: &mut Reasons) -> [String; 4] {
    let place = match &entry.availability {
        Availability::Available => place(entry, here),
        Availability::Unsupported(reason) => format!("unsupported [{}]", reasons.number(reason)),
    };
    let name = format!("{}{}", entry.name, if default { " *" } else { "" });
    [name, entry.family.map_or("by config.json", |family| family.name()).to_owned(), place, entry.aliases.join(", ")]
}

// === impl Reasons ===

impl Reasons {
    fn number(&mut self, reason: &str) -> usize {
        let known = self.0.iter().position(|known| known == reason);
        1 + known.unwrap_or_else(|| {
            self.0.push(reason.to_owned());
            self.0.len() - 1
        })
    }
}

/// Where the files are, and how large: what is remote is told by its parameters, which nobody has to be asked for.
fn place(entry: &Entry, here: &[CachedModel]) -> String {
    if let Some(facts) = entry.speaks_by() {
        return format!("the program {facts}");
    }
    let program = entry.family.and_then(|family| family.program());
    if let Some(program) = program.filter(|_| entry.parts.is_empty()) {
        return format!("the program {}", program.command);
    }
    let cached = |source: &Source| {
        let folder = Store::folder_of(source)?;
        here.iter().find(|model| model.folder == folder && !model.commits.is_empty()).map(|model| model.bytes)
    };
    let bytes = |source: &Source| match source {
        Source::Embedded(_) | Source::Folder(_) => Some(0),
        source => cached(source),
    };
    match entry.parts.iter().map(|(_, source)| bytes(source)).sum::<Option<u64>>() {
        Some(_) if entry.is_embedded() => "inside the program".to_owned(),
        Some(0) => "here".to_owned(),
        Some(bytes) => format!("here, {}", DecimalBytes(bytes)),
        None => match entry.million_parameters {
            Some(millions) => format!("remote, {millions} M parameters"),
            None => "remote".to_owned(),
        },
    }
}
