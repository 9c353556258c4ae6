//! The events, as `/asyncapi.json` describes them: made of the types that are read and written.

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::{
    client::DescribedEvent,
    server::{BETA_NAMES, ServerEvent},
};
use crate::http::live::{self, Channel};

/// What is said over the WebSocket.
pub(in crate::http) fn channel() -> Channel {
    let mut sent = messages::<ServerEvent>();
    for (beta, today) in BETA_NAMES {
        sent.insert(beta.to_owned(), named(beta, sent[today].clone()));
    }
    for message in sent.values_mut() {
        name_events(message);
    }
    Channel {
        name: "realtime",
        address: "/v1/realtime",
        about: "Sessions of OpenAI's Realtime API. With the header `OpenAI-Beta: realtime=v1` the events have the names of the \
                beta."
            .to_owned(),
        key: "Or the protocol `openai-insecure-api-key.<key>`, from a browser.",
        query: json!({
            "model": {
                "type": "string",
                "description": "The model that hears, or one that speaks; the default ones if absent",
            },
            "intent": {"type": "string", "enum": ["transcription"]},
        }),
        ways: ["hear", "tell"],
        taken: messages::<DescribedEvent>(),
        sent,
        schemas: schemas(),
    }
}

/// Each variant of events that are told apart by their `type`, by that name.
fn messages<T: PartialSchema>() -> Map<String, Value> {
    let mut schema = serde_json::to_value(T::schema()).unwrap_or_default();
    let variants = match schema["oneOf"].take() {
        Value::Array(variants) => variants,
        _ => Vec::new(),
    };
    let message = |mut payload: Value| {
        let name = payload["properties"]["type"]["enum"][0].as_str()?.to_owned();
        let about = payload.as_object_mut()?.remove("description").unwrap_or_default();
        Some(live::message(&name, about.as_str().unwrap_or_default(), payload))
    };
    variants.into_iter().filter_map(message).collect()
}

/// The same event under another name.
fn named(name: &str, mut message: Value) -> Value {
    message["name"] = name.into();
    message["payload"]["properties"]["type"]["enum"] = json!([name]);
    message
}

/// Each event of the server has a name of its own.
fn name_events(message: &mut Value) {
    message["payload"]["properties"]["event_id"] = json!({"type": "string"});
    if let Some(required) = message["payload"]["required"].as_array_mut() {
        required.push("event_id".into());
    }
}

/// What the events are made of.
fn schemas() -> Map<String, Value> {
    let mut schemas = Vec::new();
    DescribedEvent::schemas(&mut schemas);
    ServerEvent::schemas(&mut schemas);
    schemas.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::realtime::{
        client::{self, ClientEvent},
        format::SoundFormat,
        settings::Dialect,
    };

    #[test]
    fn every_event_that_is_read_is_described_and_no_other() {
        let names: Vec<_> = messages::<DescribedEvent>().into_iter().map(|(name, _)| name).collect();
        let read = |name: &str, dialect| {
            let item = json!({"type": "message", "content": []});
            let event = json!({"type": name, "audio": "", "session": {}, "item": item}).to_string();
            client::read(&event, SoundFormat::Pcm, dialect).map(|(event, _)| event)
        };
        // Each kind that there is, so that a further one does not compile here before it is described.
        let kind = |event: &ClientEvent| match event {
            ClientEvent::Update { beta_name: false, .. } => "session.update",
            ClientEvent::Update { beta_name: true, .. } => "transcription_session.update",
            ClientEvent::Append(_) => "input_audio_buffer.append",
            ClientEvent::Commit => "input_audio_buffer.commit",
            ClientEvent::Clear => "input_audio_buffer.clear",
            ClientEvent::CreateItem(_) => "conversation.item.create",
            ClientEvent::CreateResponse(_) => "response.create",
            ClientEvent::CancelResponse(_) => "response.cancel",
        };
        assert_eq!(names.len(), 8);
        for name in names {
            assert_eq!(kind(&read(&name, Dialect::Beta).unwrap()), name);
        }
        assert!(read("conversation.item.delete", Dialect::Ga).is_err());
    }
}
