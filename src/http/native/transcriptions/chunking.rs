//! `chunking_strategy`, and `vad_filter` as faster-whisper calls it: how a recording is cut before the model gets it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    audio::VoiceActivity,
    http::{form::Form, problem::Problem},
};

const NAME: &str = "chunking_strategy";
const RIGHT: &str = "\"auto\", or {\"type\": \"server_vad\"} with prefix_padding_ms, silence_duration_ms and threshold";
/// Milliseconds. Who keeps a minute around every word wants no cuts at all.
const LONGEST: u32 = 60_000;

/// The object; what it leaves out is as in `auto`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerVad {
    r#type: Type,
    prefix_padding_ms: Option<u32>,
    silence_duration_ms: Option<u32>,
    threshold: Option<f32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Type {
    ServerVad,
}

/// `None`: the model hears the recording as it is.
pub(super) fn take(form: &mut Form) -> Result<Option<VoiceActivity>, Problem> {
    // The official clients write an object as chunking_strategy[type] and so on, others as one field of JSON.
    let object = form.object(NAME);
    let filter = form.flag("vad_filter")? == Some(true);
    match (form.text(NAME)?, object.is_empty()) {
        (None, true) => Ok(filter.then(VoiceActivity::default)),
        (None, false) => server_vad(Value::Object(object)).map(Some),
        (Some(text), true) if text == "auto" => Ok(Some(VoiceActivity::default())),
        (Some(text), true) => {
            server_vad(serde_json::from_str(&text).map_err(|_| wrong(&format!("{text:?}")))?).map(Some)
        }
        (Some(_), false) => Err(Problem::invalid(NAME, format!("{NAME} stands more than once"))),
    }
}

fn server_vad(value: Value) -> Result<VoiceActivity, Problem> {
    let ServerVad { r#type: Type::ServerVad, prefix_padding_ms, silence_duration_ms, threshold } =
        serde_json::from_value(value).map_err(|error| wrong(&error.to_string()))?;
    let default = VoiceActivity::default();
    Ok(VoiceActivity {
        threshold: threshold.map(fraction).transpose()?.unwrap_or(default.threshold),
        before: prefix_padding_ms.map(milliseconds).transpose()?.unwrap_or(default.before),
        silence: silence_duration_ms.map(milliseconds).transpose()?.unwrap_or(default.silence),
    })
}

fn fraction(threshold: f32) -> Result<f32, Problem> {
    let fine = (0.0..=1.0).contains(&threshold);
    fine.then_some(threshold).ok_or_else(|| wrong(&format!("threshold is {threshold}; 0 to 1 would be right")))
}

fn milliseconds(count: u32) -> Result<Duration, Problem> {
    let fine = count <= LONGEST;
    let wrong = || wrong(&format!("{count} ms is too long; 0 to {LONGEST} would be right"));
    fine.then(|| Duration::from_millis(count.into())).ok_or_else(wrong)
}

fn wrong(what: &str) -> Problem {
    Problem::invalid(NAME, format!("{NAME}: {what}; it can be {RIGHT}"))
}
