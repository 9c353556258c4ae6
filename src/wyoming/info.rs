//! What there is here, as a client is told.

use serde_json::{Value, json};

use super::event::VoiceName;
use crate::{
    catalog::{Catalog, Entry},
    model::Availability,
    speech::{TaskKind, languages},
};

/// What this server calls its programs.
const NAME: &str = "sconce";

/// `info`.
pub(super) fn info(catalog: &Catalog) -> Value {
    let models: Vec<Value> = able(catalog, TaskKind::Transcribe).map(asr_model).collect();
    let voices: Vec<Value> = able(catalog, TaskKind::Synthesize).flat_map(voices).collect();
    let mut asr = artifact(NAME, "Speech to text", NAME);
    asr["models"] = models.into();
    asr["supports_transcript_streaming"] = true.into();
    let mut tts = artifact(NAME, "Text to speech", NAME);
    tts["voices"] = voices.into();
    tts["supports_synthesize_streaming"] = true.into();
    json!({"asr": [asr], "tts": [tts], "handle": [], "intent": [], "wake": [], "mic": [], "snd": []})
}

/// Models that can be asked for a task without naming a place where they are.
fn able(catalog: &Catalog, task: TaskKind) -> impl Iterator<Item = &Entry> {
    // One whose family is found when it is loaded is taken to hear.
    let does = move |entry: &Entry| entry.tasks().map_or(task == TaskKind::Transcribe, |tasks| tasks.contains(&task));
    catalog.at_hand().filter(move |entry| entry.availability == Availability::Available && does(entry))
}

fn artifact(name: &str, description: &str, owner: &str) -> Value {
    json!({
        "name": name, "description": description, "version": env!("CARGO_PKG_VERSION"), "installed": true,
        "attribution": {"name": owner, "url": ""},
    })
}

fn of_model(entry: &Entry, name: &str) -> Value {
    let model = entry.name.as_str();
    artifact(name, name, model.split_once('/').map_or(NAME, |(owner, _)| owner))
}

fn asr_model(entry: &Entry) -> Value {
    let name = entry.name.as_str();
    let mut model = of_model(entry, name);
    // Models of one language say so in their names; what a multilingual one was taught is not known before it is loaded.
    let all = || languages::LANGUAGES.iter().map(|(code, _)| *code).collect();
    model["languages"] = if name.ends_with(".en") { json!(["en"]) } else { all() };
    model
}

/// One for each voice of a model, or one for the model where it has none of its own.
fn voices(entry: &Entry) -> Vec<Value> {
    let all: Vec<&str> = languages::LANGUAGES.iter().map(|(code, _)| *code).collect();
    let voice = |name: &str, languages: Vec<&str>| {
        let mut voice = of_model(entry, name);
        voice["languages"] = if languages.is_empty() { json!(all) } else { json!(languages) };
        voice
    };
    let own = entry.own_voices();
    if own.is_empty() {
        return vec![voice(entry.name.as_str(), Vec::new())];
    }
    let of = |voice: &str| format!("{}:{voice}", entry.name);
    own.iter().map(|own| voice(&of(own.name), own.languages.iter().map(AsRef::as_ref).collect())).collect()
}

/// The model and the voice that a client means; `None`: the usual one.
pub(super) fn meant(catalog: &Catalog, wish: &VoiceName) -> (Option<String>, Option<String>) {
    let Some(name) = &wish.name else { return (by_language(catalog, wish.language.as_deref()), wish.speaker.clone()) };
    for entry in able(catalog, TaskKind::Synthesize) {
        let model = entry.name.as_str();
        if name == model {
            return (Some(name.clone()), wish.speaker.clone());
        }
        if let Some(voice) = name.strip_prefix(model).and_then(|rest| rest.strip_prefix(':')) {
            return (Some(model.to_owned()), Some(voice.to_owned()));
        }
    }
    match catalog.resolve(Some(name)) {
        Ok(entry) if entry.does(TaskKind::Synthesize) => (Some(name.clone()), wish.speaker.clone()),
        // A voice of the usual model, or one of this server.
        _ => (None, Some(name.clone())),
    }
}

/// The first model with a voice of that language, where the usual one has none.
fn by_language(catalog: &Catalog, language: Option<&str>) -> Option<String> {
    let language = languages::code(language?)?;
    let speaks = |entry: &&Entry| {
        let own = entry.own_voices();
        own.is_empty()
            || own.iter().any(|voice| voice.languages.iter().any(|tag| languages::code(tag) == Some(language)))
    };
    able(catalog, TaskKind::Synthesize).find(speaks).map(|entry| entry.name.to_string())
}
