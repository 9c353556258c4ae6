//! `sconce models`.

use std::process::ExitCode;

use super::out::say;
use crate::{
    app::{self, App},
    catalog::Entry,
    model::Availability,
};

pub(super) async fn run(config: app::Config) -> anyhow::Result<ExitCode> {
    let app = App::build(config)?;
    let catalog = app.catalog();
    let default = &catalog.default().name;
    let rows: Vec<[String; 4]> = catalog.entries().map(|entry| row(entry, entry.name == *default)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for [name, family, availability, aliases] in &rows {
        let [w0, w1, w2] = widths;
        say!("{name:w0$}  {family:w1$}  {availability:w2$}  {aliases}");
    }
    say!("\n* is the default model: it answers requests that name none.");
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &Entry, default: bool) -> [String; 4] {
    let availability = match &entry.availability {
        Availability::Available => "available".to_owned(),
        Availability::Unsupported(reason) => format!("unsupported: {reason}"),
    };
    let name = format!("{}{}", entry.name, if default { " *" } else { "" });
    [
        name,
        entry.family.map_or("by config.json", |family| family.name()).to_owned(),
        availability,
        entry.aliases.join(", "),
    ]
}
