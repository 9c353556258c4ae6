//! `<audio>` in a JSON body: base64 text, `{"content": base64}`, `{"b64": base64}`, or `{"uri": …}`; a data URL is taken
//! as well.

use std::sync::Arc;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use crate::{
    http::{api::Api, problem::Problem},
    service::{MemoryBudget, Recording},
};

const TAKEN: &str =
    "base64 text, {\"content\": base64}, {\"b64\": base64} or {\"uri\": \"gs://…, s3://… or https://…\"}";
/// People paste base64 with and without `=`.
const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

/// The recording in an `audio` field, or where that points to.
pub(in crate::http) async fn recording(api: &Api, audio: Arc<Value>) -> Result<Recording, Problem> {
    found(api, audio, &[]).await
}

/// The same of a speaker, with what is said in it beside it.
pub(in crate::http) async fn sample(api: &Api, audio: Arc<Value>) -> Result<Recording, Problem> {
    found(api, audio, &["transcript"]).await
}

/// `beside`: texts that may stand in the same object.
async fn found(api: &Api, audio: Arc<Value>, beside: &'static [&'static str]) -> Result<Recording, Problem> {
    let length = match sent(&audio, beside)? {
        Sent::At(uri) => return fetch(api, uri).await,
        Sent::Here(text) => text.len(),
    };
    let bodies = api.bodies.clone();
    let decode = move || match sent(&audio, beside)? {
        Sent::Here(text) => from_base64(text, &bodies),
        Sent::At(_) => Err(wrong()),
    };
    api.parsers.run(length, decode).await?
}

/// What stands in a body.
#[derive(Debug)]
enum Sent<'a> {
    /// base64 text, or a data URL.
    Here(&'a str),
    /// An address.
    At(&'a str),
}

fn sent<'a>(audio: &'a Value, beside: &[&str]) -> Result<Sent<'a>, Problem> {
    let Value::Object(fields) = audio else { return audio.as_str().map(Sent::Here).ok_or_else(wrong) };
    let mut known = ["content", "b64", "uri"].into_iter().filter_map(|name| Some((name, fields.get(name)?.as_str()?)));
    let others = beside.iter().filter(|name| fields.get(**name).is_some_and(Value::is_string)).count();
    match (fields.len() - others, known.next()) {
        (1, Some(("uri", uri))) => Ok(Sent::At(uri)),
        (1, Some((_, text))) => Ok(Sent::Here(text)),
        _ => Err(wrong()),
    }
}

/// What an address names may be as large as a body.
async fn fetch(api: &Api, uri: &str) -> Result<Recording, Problem> {
    let read = api.remote.read(uri, api.config.body_limit, api.service.config().request_timeout);
    let found = read.await.map_err(|error| Problem::from(error).about("audio"))?;
    let share = api.bodies.share(found.bytes.len())?;
    Ok(Recording { bytes: share.hold(found.bytes.into()), hint: found.content_type })
}

/// base64 text, or a data URL.
pub(in crate::http) fn from_base64(text: &str, bodies: &MemoryBudget) -> Result<Recording, Problem> {
    let (hint, data) = split_data_url(text);
    let share = bodies.share(data.len() / 4 * 3)?;
    let engine = if data.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let bytes = match data.bytes().any(|byte| byte.is_ascii_whitespace()) {
        true => engine.decode(data.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>()),
        false => engine.decode(data),
    };
    let bytes = bytes.map_err(|error| Problem::invalid("audio", format!("audio is not base64: {error}")))?;
    Ok(Recording { bytes: share.hold(bytes), hint })
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

    fn bodies() -> MemoryBudget {
        MemoryBudget::new(1 << 20, "bodies", "limits.max_bodies")
    }

    fn here(audio: &Value) -> Recording {
        match sent(audio, &[]).unwrap() {
            Sent::Here(text) => from_base64(text, &bodies()).unwrap(),
            Sent::At(uri) => panic!("{uri}"),
        }
    }

    #[test]
    fn every_form_gives_the_same_bytes() {
        for audio in [
            json!("UklGRg=="),
            json!("UklGRg"),
            json!("Ukl\nGRg=="),
            json!({"content": "UklGRg=="}),
            json!({"b64": "UklGRg=="}),
        ] {
            assert_eq!(here(&audio).bytes, "RIFF", "{audio}");
        }
        let from_url = here(&json!("data:audio/wav;base64,UklGRg=="));
        assert_eq!((from_url.bytes.as_ref(), from_url.hint.as_deref()), (&b"RIFF"[..], Some("audio/wav")));
    }

    #[test]
    fn both_alphabets_are_read() {
        for audio in [json!("+/8="), json!("-_8="), json!("-_8")] {
            assert_eq!(here(&audio).bytes, [0xfb, 0xff].as_slice(), "{audio}");
        }
    }

    #[test]
    fn an_address_is_one() {
        assert!(matches!(sent(&json!({"uri": "gs://bucket/a.wav"}), &[]).unwrap(), Sent::At("gs://bucket/a.wav")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (audio, text) in [
            (json!("not base64!"), "not base64"),
            (json!(7), "should be base64 text"),
            (json!({"contents": "UklGRg=="}), "should be base64 text"),
            (json!({"uri": "gs://bucket/a.wav", "b64": "UklGRg=="}), "should be base64 text"),
            (json!({"uri": 7}), "should be base64 text"),
        ] {
            let read = match sent(&audio, &[]) {
                Ok(Sent::Here(text)) => from_base64(text, &bodies()).map(drop),
                other => other.map(drop),
            };
            let problem = read.unwrap_err();
            assert!(problem.openai_body()["error"]["message"].as_str().unwrap().contains(text), "{problem:?}");
        }
    }
}
