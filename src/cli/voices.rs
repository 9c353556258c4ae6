//! `sconce voices`, and which voice a name means.

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use serde::Serialize;

use super::{out::say, recording};
use crate::{
    app::{self, App},
    catalog::Entry,
    model::{Availability, OwnVoice},
    speech::{TaskKind, VoiceInput},
};

/// List the voices of the models that are configured or inside this program, and the recordings in `voices.dir`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    voice: String,
    /// `None`: any model that speaks with a voice it is shown.
    model: Option<String>,
    /// ISO 639-1 codes or BCP 47 tags; empty: whatever it is given.
    languages: Vec<String>,
    /// Hertz.
    sample_rate: u32,
    /// The source of the model, or the folder of the recording.
    origin: String,
}

pub(super) async fn run(args: Args, config: app::Config) -> anyhow::Result<ExitCode> {
    let folder = config.service.voices.clone().unwrap_or_default().display().to_string();
    let app = App::build(config)?;
    let mut rows = Vec::new();
    let catalog = app.catalog();
    for entry in catalog.at_hand().filter(|entry| speaks(entry)) {
        rows.extend(entry.own_voices().iter().map(|voice| row(entry, voice)));
    }
    for voice in app.service().voices().list().await? {
        let (sample_rate, origin) = (voice.sample_rate, folder.clone());
        rows.push(Row { voice: voice.name, model: None, languages: Vec::new(), sample_rate, origin });
    }
    app.stop().await;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// The voice that somebody names for a task of a model, or the file of a recording of it.
pub(super) async fn find(app: &App, model: Option<&str>, task: TaskKind, name: &str) -> anyhow::Result<VoiceInput> {
    let voices = app.service().voices();
    // A name has neither a dot nor a slash.
    if name.contains(['.', '/']) && Path::new(name).is_file() {
        let recording = recording::read(Path::new(name)).await.with_context(|| format!("{name} cannot be read"))?;
        return Ok(VoiceInput::Reference(voices.of_sample(recording, None).await.with_context(|| name.to_owned())?));
    }
    Ok(app.service().voice(model, task, name).await?)
}

/// Whether it is one of those that somebody here can ask to speak without naming its source.
fn speaks(entry: &Entry) -> bool {
    entry.does(TaskKind::Synthesize)
        && (entry.listed || entry.is_embedded())
        && entry.availability == Availability::Available
}

fn row(entry: &Entry, voice: &OwnVoice<'_>) -> Row {
    let &OwnVoice { name, languages, sample_rate } = voice;
    let sources = || entry.parts.iter().map(|(_, source)| source.to_string()).collect::<Vec<_>>().join(" ");
    let origin = entry.speaks_by().map_or_else(sources, |program| program.to_string());
    let languages = languages.iter().map(ToString::to_string).collect();
    Row { voice: name.to_owned(), model: Some(entry.name.to_string()), languages, sample_rate, origin }
}

fn print(rows: &[Row]) {
    let cells = |row: &Row| {
        let or_any = |text: String| if text.is_empty() { "any".to_owned() } else { text };
        let (model, languages) = (row.model.clone().unwrap_or_default(), row.languages.join(","));
        [row.voice.clone(), or_any(model), or_any(languages), format!("{} Hz", row.sample_rate)]
    };
    let rows: Vec<_> = rows.iter().map(|row| (cells(row), &row.origin)).collect();
    let width = |column: usize| rows.iter().map(|(cells, _)| cells[column].chars().count()).max().unwrap_or(0);
    let [w0, w1, w2, w3] = [width(0), width(1), width(2), width(3)];
    for ([voice, model, language, rate], origin) in &rows {
        say!("{voice:w0$}  {model:w1$}  {language:w2$}  {rate:>w3$}  {origin}");
    }
}
