//! `<audio>` in a JSON body: base64 text, `{"content": base64}`, `{"b64": base64}`; a data URL is taken as well.

use base64::{Engine, engine::DecodePaddingMode, engine::general_purpose::GeneralPurposeConfig};
use serde_json::Value;

use super::Problem;
use crate::service::Recording;

const TAKEN: &str = "base64 text, {\"content\": base64} or {\"b64\": base64}";
/// Both alphabets' padding habits: people paste base64 with and without `=`.
const ENGINE: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The recording in an `audio` field.
pub(super) fn recording(audio: &Value) -> Result<Recording, Problem> {
    match audio {
        Value::String(text) => from_base64(text),
        Value::Object(fields) => from_object(fields),
        _ => Err(wrong()),
    }
}

fn from_object(fields: &serde_json::Map<String, Value>) -> Result<Recording, Problem> {
    if fields.contains_key("uri") {
        return Err(Problem::invalid("audio", format!("audio by uri is not served; send {TAKEN}")));
    }
    match fields.get("content").or_else(|| fields.get("b64")) {
        Some(Value::String(text)) => from_base64(text),
        _ => Err(wrong()),
    }
}

fn from_base64(text: &str) -> Result<Recording, Problem> {
    let (hint, data) = split_data_url(text);
    let compact: Vec<u8> = data.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes =
        ENGINE.decode(compact).map_err(|error| Problem::invalid("audio", format!("audio is not base64: {error}")))?;
    Ok(Recording { bytes: bytes.into(), hint })
}

/// `data:audio/wav;base64,UklGR…`
fn split_data_url(text: &str) -> (Option<String>, &str) {
    let parts = text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    parts.map_or((None, text), |(media_type, data)| (Some(media_type.to_owned()), data))
}

fn wrong() -> Problem {
    Problem::invalid("audio", format!("audio should be {TAKEN}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_gives_the_same_bytes() {
        for audio in [
            json!("UklGRg=="),
            json!("UklGRg"),
            json!("Ukl\nGRg=="),
            json!({"content": "UklGRg=="}),
            json!({"b64": "UklGRg=="}),
        ] {
            assert_eq!(recording(&audio).unwrap().bytes, "RIFF", "{audio}");
        }
        let from_url = recording(&json!("data:audio/wav;base64,UklGRg==")).unwrap();
        assert_eq!((from_url.bytes.as_ref(), from_url.hint.as_deref()), (&b"RIFF"[..], Some("audio/wav")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (audio, text) in [
            (json!("not base64!"), "not base64"),
            (json!(7), "should be base64 text"),
            (json!({"contents": "UklGRg=="}), "should be base64 text"),
            (json!({"uri": "gs://bucket/a.wav"}), "by uri"),
        ] {
            let problem = recording(&audio).unwrap_err();
            assert!(problem.openai_body()["error"]["message"].as_str().unwrap().contains(text), "{problem:?}");
        }
    }
}
