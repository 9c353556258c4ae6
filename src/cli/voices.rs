//! `sconce voices`, and which voice a name means.

use std::process::ExitCode;

use serde::Serialize;

use super::out::say;
use crate::{
    app::{self, App},
    catalog::Entry,
    model::{Availability, OwnVoice},
    speech::{TaskKind, VoiceInput},
    store::Source,
};

/// How like a known name an unknown one must be to be suggested, from 0 to 1; as for names of models.
const LIKE: f64 = 0.82;

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
    /// ISO 639-1 codes; empty: whatever it is given.
    languages: &'static [&'static str],
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
    for entry in catalog.entries().filter(|entry| speaks(entry)) {
        rows.extend(own(entry).iter().map(|voice| row(entry, voice)));
    }
    for voice in app.service().voices().list().await? {
        let (sample_rate, origin) = (voice.sample_rate, folder.clone());
        rows.push(Row { voice: voice.name, model: None, languages: &[], sample_rate, origin });
    }
    app.stop().await;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whose voice a name means: that of a recording, else one of the model's own. A model that does not tell its voices says
/// itself whether it has this one.
pub(super) async fn find(app: &App, model: Option<&str>, name: &str) -> anyhow::Result<VoiceInput> {
    let recordings = app.service().voices();
    let mut known: Vec<String> = recordings.list().await?.into_iter().map(|voice| voice.name).collect();
    if known.iter().any(|known| known == name) {
        return Ok(VoiceInput::Reference(recordings.reference(name.to_owned()).await?));
    }
    let catalog = app.catalog();
    let own = own(catalog.resolve_for(model, TaskKind::Synthesize)?);
    if own.is_empty() || own.iter().any(|voice| voice.name == name) {
        return Ok(VoiceInput::Named(name.to_owned()));
    }
    known.extend(own.iter().map(|voice| voice.name.to_owned()));
    let meant = nearest(name, &known).map_or_else(String::new, |near| format!(" did you mean {near:?}?"));
    anyhow::bail!("there is no voice {name:?};{meant} there are: {}", known.join(", "))
}

fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let likeness = |known: &String| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let rated = known.iter().map(|known| (likeness(known), known)).filter(|(likeness, _)| *likeness >= LIKE);
    rated.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

/// Whether it is one of those that somebody here can ask to speak without naming its source.
fn speaks(entry: &Entry) -> bool {
    let inside = entry.parts.iter().all(|(_, source)| matches!(source, Source::Embedded(_)));
    let able = entry.family.is_some_and(|family| family.tasks().contains(&TaskKind::Synthesize));
    able && (entry.listed || inside) && entry.availability == Availability::Available
}

/// The model's own voices, as far as its family knows them.
fn own(entry: &Entry) -> &'static [OwnVoice] {
    entry.family.map(|family| family.voices()).unwrap_or_default()
}

fn row(entry: &Entry, voice: &OwnVoice) -> Row {
    let &OwnVoice { name, languages, sample_rate } = voice;
    let origin = entry.parts.iter().map(|(_, source)| source.to_string()).collect::<Vec<_>>().join(" ");
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
