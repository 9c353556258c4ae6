//! What is asked again and again: one request, as OpenAI's clients would send it, so that a server of another kind can be
//! asked the same.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::speech::TaskKind;

/// OpenAI's name for whatever voice is usual, which the API wants.
const USUAL_VOICE: &str = "alloy";
/// Between the parts of a form. No recording holds it but by intent.
const BOUNDARY: &str = "sconce-bench-9a1f6c0d72e84b35";

/// Further fields of a request, each as text or as JSON.
pub(super) type Fields = Vec<(String, String)>;

/// A request that can be sent any number of times.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub task: TaskKind,
    pub path: &'static str,
    pub media_type: String,
    pub body: Bytes,
    /// Seconds of the recording that is heard; 0 where a text is spoken.
    pub heard: f64,
}

/// A recording as a file, and how long it is.
#[derive(Clone)]
pub(super) struct Sound {
    pub bytes: Bytes,
    pub seconds: f64,
}

// === impl Work ===

impl Work {
    /// To write a recording down, with the text sent as it is found.
    pub fn transcribe(model: &str, sound: &Sound, fields: &Fields) -> Self {
        let usual = [("model", model), ("response_format", "json"), ("stream", "true")];
        Self::form(TaskKind::Transcribe, "/v1/audio/transcriptions", sound, &usual, fields)
    }

    /// The same, to learn how many tokens there are in the text.
    pub fn count_tokens(model: &str, sound: &Sound, fields: &Fields) -> Self {
        let usual = [("model", model), ("response_format", "json"), ("include[]", "logprobs")];
        Self::form(TaskKind::Transcribe, "/v1/audio/transcriptions", sound, &usual, fields)
    }

    /// To speak a recording in another voice, sent as it is made.
    pub fn convert(model: &str, sound: &Sound, fields: &Fields) -> Self {
        let usual = [("model", model), ("response_format", "pcm")];
        Self::form(TaskKind::Convert, "/v1/audio/voice-conversions", sound, &usual, fields)
    }

    /// To speak a text, sent as it is made.
    pub fn speak(model: &str, text: &str, fields: &Fields) -> Self {
        let mut body = json!({"model": model, "input": text, "voice": USUAL_VOICE, "response_format": "pcm"});
        for (name, value) in fields {
            body[name] = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.clone()));
        }
        Self {
            task: TaskKind::Synthesize,
            path: "/v1/audio/speech",
            media_type: "application/json".to_owned(),
            body: body.to_string().into(),
            heard: 0.0,
        }
    }

    /// What `fields` say goes before what is `usual`.
    fn form(task: TaskKind, path: &'static str, sound: &Sound, usual: &[(&str, &str)], fields: &Fields) -> Self {
        let own = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let usual = usual.iter().copied().filter(|(name, _)| own.clone().all(|(other, _)| other != *name));
        let mut body = String::new();
        for (name, value) in usual.chain(own.clone()) {
            body += &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        body += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"sound.wav\"\r\nContent-Type: \
             audio/wav\r\n\r\n"
        );
        let body = [body.as_bytes(), &sound.bytes, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
        Self { task, path, media_type, body: body.into(), heard: sound.seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Sound {
        Sound { bytes: Bytes::from_static(b"RIFF"), seconds: 2.0 }
    }

    #[test]
    fn a_field_takes_the_place_of_the_usual_one() {
        let fields = vec![("language".to_owned(), "de".to_owned()), ("stream".to_owned(), "false".to_owned())];
        let work = Work::transcribe("m", &sound(), &fields);
        let body = String::from_utf8(work.body.to_vec()).unwrap();
        assert_eq!(body.matches("name=\"stream\"\r\n\r\nfalse\r\n").count(), 1, "{body}");
        assert!(!body.contains("true") && body.contains("name=\"language\"\r\n\r\nde\r\n"), "{body}");
        assert!(body.ends_with("RIFF\r\n--sconce-bench-9a1f6c0d72e84b35--\r\n"), "{body}");
    }

    #[test]
    fn fields_of_a_text_are_json_where_they_can_be() {
        let fields = vec![("speed".to_owned(), "1.5".to_owned()), ("voice".to_owned(), "lark".to_owned())];
        let body: Value = serde_json::from_slice(&Work::speak("m", "Hello.", &fields).body).unwrap();
        assert_eq!((&body["speed"], &body["voice"], &body["input"]), (&json!(1.5), &json!("lark"), &json!("Hello.")));
    }
}
