//! The messages, as `/asyncapi.json` describes them.

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::client::{Config, LONGEST};
use crate::http::live::{Channel, message};

/// Codes of an error: of the protocol, and of any WebSocket here.
const CODES: [&str; 8] = [
    "idle_timeout",
    "invalid_frame",
    "invalid_message",
    "invalid_text",
    "rate_limit_exceeded",
    "session_expired",
    "stopping",
    "too_large",
];

/// What is said over the WebSocket at this path; `max_message`: bytes that a message may have.
pub(super) fn channel(path: &'static str, max_message: usize) -> Channel {
    let config = json!({"$ref": "#/components/schemas/VoskConfig"});
    let mut sound = message(
        "vosk.sound",
        "Samples of 16 bits, little-endian, one channel; a binary message. Each has one answer.",
        json!({"type": "string", "format": "binary", "maxLength": max_message}),
    );
    sound.1["contentType"] = "application/octet-stream".into();
    Channel {
        name: "vosk",
        address: path,
        about: format!(
            "The protocol of vosk-server, also at `/`. A text of the client has at most {LONGEST} bytes, and any message at \
             most {max_message} (`live.max_message`). What is wrong is told by `vosk.error`, and then the connection ends."
        ),
        key: "Or the protocols `vosk` and `openai-insecure-api-key.<key>`, from a browser.",
        query: json!({
            "model": {"type": "string", "description": "The model that hears; the default one if absent"},
            "sample_rate": {"type": "number", "minimum": 8000, "maximum": 48000, "description": "Hertz; 8000 if absent"},
        }),
        ways: ["vosk_hear", "vosk_tell"],
        taken: Map::from_iter([
            message(
                "vosk.config",
                "How the client wants to be heard, before sound or between two sentences; it has no answer.",
                object(json!({"config": config}), &["config"]),
            ),
            sound,
            message(
                "vosk.eof",
                "That was all of the sound: the text of what was not told yet is the last answer.",
                object(json!({"eof": {"description": "Any value but null; clients send 1"}}), &["eof"]),
            ),
        ]),
        sent: sent(),
        schemas: schemas(),
    }
}

fn sent() -> Map<String, Value> {
    let reading = json!({"$ref": "#/components/schemas/VoskAlternative"});
    let unheard = json!({"type": "string", "description": "Why a sentence could not be heard; its text is empty"});
    Map::from_iter([
        message(
            "vosk.partial",
            "The answer to sound where no sentence is over since the last: what it seems to be so far.",
            object(json!({"partial": {"type": "string"}}), &["partial"]),
        ),
        message(
            "vosk.text",
            "The answer to sound where a sentence is over since the last, and the last answer of all.",
            object(json!({"text": {"type": "string"}, "result": words(), "error": unheard}), &["text"]),
        ),
        message(
            "vosk.alternatives",
            "The same, where `max_alternatives` is above 0; the likeliest one first.",
            object(
                json!({"alternatives": {"type": "array", "items": reading, "minItems": 1}, "error": unheard}),
                &["alternatives"],
            ),
        ),
        message(
            "vosk.error",
            "What is wrong, before the connection ends.",
            object(json!({"error": {"type": "string"}, "code": {"type": "string", "enum": CODES}}), &["error", "code"]),
        ),
    ])
}

fn schemas() -> Map<String, Value> {
    let (mut made, mut schemas) = (vec![("VoskConfig".to_owned(), Config::schema())], Map::new());
    Config::schemas(&mut made);
    schemas.extend(made.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())));
    let seconds = json!({"type": "number", "description": "Seconds of the session"});
    let sure = json!({"type": "number", "minimum": 0, "maximum": 1});
    let word = json!({"word": {"type": "string"}, "start": seconds, "end": seconds, "conf": sure});
    schemas.insert("VoskWord".to_owned(), object(word, &["word", "start", "end"]));
    let reading = json!({"text": {"type": "string"}, "confidence": sure, "result": words()});
    schemas.insert("VoskAlternative".to_owned(), object(reading, &["text", "confidence"]));
    schemas
}

fn words() -> Value {
    json!({"type": "array", "items": {"$ref": "#/components/schemas/VoskWord"}})
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_config_are_described() {
        let schema = &schemas()["VoskConfig"];
        let mut fields: Vec<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["max_alternatives", "model", "phrase_list", "sample_rate", "words"], "{schema}");
        assert!(schema["required"].is_null(), "{schema}");
    }
}
