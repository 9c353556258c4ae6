//! `/asyncapi.json`: what is said over WebSockets, which OpenAPI has no words for. Each protocol says what is said over its own.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::{api::Api, live::Channel, realtime, vosk};

/// This file's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(paths(description))]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/asyncapi.json").route(web::get().to(description)));
}

/// The messages of the WebSockets `/v1/realtime` and `/vosk`, as AsyncAPI 3.0.
#[utoipa::path(
    get, path = "/asyncapi.json", operation_id = "realtime_events", tag = "documentation",
    responses((status = 200, description = "The messages", body = serde_json::Map<String, serde_json::Value>))
)]
async fn description(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::Ok().json(document(api.config.realtime.max_message, api.gate.asks_for_keys()))
}

fn document(max_message: usize, keys: bool) -> Value {
    let mut document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "sconce, live hearing and speaking",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Text while somebody speaks, and texts spoken: sessions of OpenAI's Realtime API, and the protocol of \
                            vosk-server.",
        },
        "defaultContentType": "application/json",
        "channels": {},
        "operations": {},
        "components": {"schemas": {}, "messages": {}},
    });
    for channel in [realtime::channel(), vosk::channel(max_message)] {
        add(&mut document, channel, keys);
    }
    document
}

fn add(document: &mut Value, channel: Channel, keys: bool) {
    let Channel { name, address, about, key, query, ways, taken, sent, schemas } = channel;
    let reference = |message: &String| (message.clone(), json!({"$ref": format!("#/components/messages/{message}")}));
    let all: Map<_, _> = taken.keys().chain(sent.keys()).map(reference).collect();
    let query = json!({"type": "object", "properties": query});
    let handshake = json!({"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}});
    document["channels"][name] =
        json!({"address": address, "description": about, "messages": all, "bindings": handshake});
    let [hear, tell] = ways;
    document["operations"][hear] = operation(name, "receive", "What clients send.", &taken);
    document["operations"][tell] = operation(name, "send", "What clients are told.", &sent);
    if keys {
        let scheme = format!("key_of_{name}");
        document["components"]["securitySchemes"][&scheme] =
            json!({"type": "http", "scheme": "bearer", "description": key});
        for way in ways {
            document["operations"][way]["security"] =
                json!([{"$ref": format!("#/components/securitySchemes/{scheme}")}]);
        }
    }
    for (part, new) in [("schemas", schemas), ("messages", taken.into_iter().chain(sent).collect())] {
        new.into_iter().for_each(|(name, value)| document["components"][part][name] = value);
    }
}

fn operation(channel: &str, action: &str, about: &str, messages: &Map<String, Value>) -> Value {
    let channel = format!("#/channels/{channel}");
    let messages: Value = messages.keys().map(|name| json!({"$ref": format!("{channel}/messages/{name}")})).collect();
    json!({"action": action, "summary": about, "channel": {"$ref": channel}, "messages": messages})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document(1000, true);
        let text = document.to_string();
        let references: Vec<_> = text.split("\"#/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 50, "{references:?}");
        for reference in references {
            assert!(document.pointer(&format!("/{reference}")).is_some_and(Value::is_object), "{reference}");
        }
    }

    #[test]
    fn no_protocol_takes_a_name_of_another() {
        let channels = [realtime::channel(), vosk::channel(1000)];
        let count = |part: fn(&Channel) -> usize| channels.iter().map(part).sum::<usize>();
        let document = document(1000, false);
        let components = |part: &str| document["components"][part].as_object().map(Map::len);
        assert_eq!(components("messages"), Some(count(|channel| channel.taken.len() + channel.sent.len())));
        assert_eq!(components("schemas"), Some(count(|channel| channel.schemas.len())));
        assert_eq!(document["operations"].as_object().map(Map::len), Some(4));
        assert_eq!(document["components"]["securitySchemes"], Value::Null);
    }
}
