//! `/asyncapi.json`: the events of `/v1/realtime`, which OpenAPI has no words for. Made of the types that are read and written.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::{
    client::DescribedEvent,
    server::{BETA_NAMES, ServerEvent},
};
use crate::http::api::Api;

/// The name of the channel, and of the way to send a key.
const CHANNEL: &str = "realtime";
const KEY: &str = "key";

/// The events of `/v1/realtime`, as AsyncAPI 3.0.
#[utoipa::path(
    get, path = "/asyncapi.json", operation_id = "realtime_events", tag = "documentation",
    responses((status = 200, description = "The events", body = serde_json::Map<String, serde_json::Value>))
)]
pub(super) async fn description(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::Ok().json(document(api.gate.asks_for_keys()))
}

fn document(keys: bool) -> Value {
    let (taken, mut sent) = (messages::<DescribedEvent>(), messages::<ServerEvent>());
    for (beta, today) in BETA_NAMES {
        sent.insert(beta.to_owned(), named(beta, sent[today].clone()));
    }
    for message in sent.values_mut() {
        name_events(message);
    }
    let reference = |name: &String| (name.clone(), json!({"$ref": format!("#/components/messages/{name}")}));
    let all: Map<_, _> = taken.keys().chain(sent.keys()).map(reference).collect();
    let mut document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "sconce, live hearing and speaking",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Text while somebody speaks, and texts spoken: sessions of OpenAI's Realtime API. With the header \
                            `OpenAI-Beta: realtime=v1` the events have the names of the beta.",
        },
        "defaultContentType": "application/json",
        "channels": {CHANNEL: {"address": "/v1/realtime", "messages": all, "bindings": {"ws": handshake()}}},
        "operations": {
            "hear": operation("receive", "What clients send.", &taken),
            "tell": operation("send", "What clients are told.", &sent),
        },
        "components": {"schemas": schemas(), "messages": taken.into_iter().chain(sent).collect::<Map<_, _>>()},
    });
    if keys {
        let about = "Or the protocol `openai-insecure-api-key.<key>`, from a browser.";
        let scheme = json!({"type": "http", "scheme": "bearer", "description": about});
        document["components"]["securitySchemes"] = json!({KEY: scheme});
        let needs = json!([{"$ref": format!("#/components/securitySchemes/{KEY}")}]);
        for operation in ["hear", "tell"] {
            document["operations"][operation]["security"] = needs.clone();
        }
    }
    document
}

/// What a WebSocket begins with.
fn handshake() -> Value {
    let query = json!({
        "model": {"type": "string", "description": "The model that hears, or one that speaks; the default ones if absent"},
        "intent": {"type": "string", "enum": ["transcription"]},
    });
    json!({"method": "GET", "query": {"type": "object", "properties": query}, "bindingVersion": "0.1.0"})
}

fn operation(action: &str, about: &str, messages: &Map<String, Value>) -> Value {
    let channel = format!("#/channels/{CHANNEL}");
    let messages: Value = messages.keys().map(|name| json!({"$ref": format!("{channel}/messages/{name}")})).collect();
    json!({"action": action, "summary": about, "channel": {"$ref": channel}, "messages": messages})
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
        Some((name.clone(), json!({"name": name, "summary": about, "payload": payload})))
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
    fn every_reference_leads_somewhere() {
        let document = document(true);
        let text = document.to_string();
        let references: Vec<_> = text.split("\"#/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 40, "{references:?}");
        for reference in references {
            assert!(document.pointer(&format!("/{reference}")).is_some_and(Value::is_object), "{reference}");
        }
    }

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
