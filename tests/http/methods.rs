//! `HEAD` on every route that answers `GET`, and what is said of a method that a path does not have.

use std::collections::BTreeMap;

use reqwest::{Method, Response, header::HeaderMap};
use serde_json::{Value, json};

use crate::support::{Server, server::ServerBuilder};

/// Every route with a `GET`, and those whose size is the same a moment later.
const LOOKS: [(&str, bool); 25] = [
    ("/health", false),
    ("/health/live", true),
    ("/health/ready", true),
    ("/ping", true),
    ("/probe", false),
    ("/models/status", false),
    ("/metrics", false),
    ("/openapi.json", true),
    ("/asyncapi.json", true),
    ("/docs/", true),
    ("/docs/install", true),
    ("/docs/api/", true),
    ("/", true),
    ("/console/style.css", true),
    ("/v1/models", true),
    ("/v1/models/sconce/whisper-nano.en", true),
    ("/v1/jobs", true),
    ("/v1/audio/voices", true),
    ("/v1/audio/models", true),
    ("/v2", true),
    ("/v2/health/live", true),
    ("/v2/health/ready", true),
    ("/v2/models/whisper-nano.en", true),
    ("/v2/models/whisper-nano.en/ready", true),
    ("/nowhere", true),
];

fn builder() -> ServerBuilder {
    Server::builder().env("AIP_HEALTH_ROUTE", "/probe").env("AIP_PREDICT_ROUTE", "/guess")
}

async fn ask(server: &Server, method: Method, path: &str) -> Response {
    server.client.request(method, server.url(path)).send().await.unwrap()
}

/// Those that are the same a moment later.
fn lasting(headers: &HeaderMap, sized: bool) -> BTreeMap<String, String> {
    let passing = |name: &str| ["date", "x-request-id"].contains(&name) || (name == "content-length" && !sized);
    let headers = headers.iter().filter(|(name, _)| !passing(name.as_str()));
    headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let server = builder().start();
    for (path, sized) in LOOKS {
        let (get, head) = (ask(&server, Method::GET, path).await, ask(&server, Method::HEAD, path).await);
        assert_eq!(head.status(), get.status(), "{path}");
        // The sentence about a route that is not there names the method.
        let sized = sized && path != "/nowhere";
        assert_eq!(lasting(head.headers(), sized), lasting(get.headers(), sized), "{path}");
        let length = |answer: &Response| answer.headers().get("content-length").cloned();
        assert_eq!(length(&head).is_some(), length(&get).is_some(), "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
    // A stream that never ends has a head that does.
    assert_eq!(ask(&server, Method::HEAD, "/models/events").await.status(), 200);
}

#[tokio::test]
async fn a_head_asks_for_the_key_that_a_get_asks_for() {
    let server = builder().env("SCONCE_ACCESS__KEYS", "sk-user").start();
    assert_eq!(ask(&server, Method::HEAD, "/health").await.status(), 200);
    assert_eq!(ask(&server, Method::HEAD, "/v1/models").await.status(), 401);
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_told_in_the_protocols_words() {
    let server = builder().start();
    for (method, path, allow) in [
        (Method::POST, "/health", "GET, HEAD"),
        (Method::POST, "/probe", "GET, HEAD"),
        (Method::GET, "/predict", "POST"),
        (Method::HEAD, "/guess", "POST"),
        (Method::PUT, "/v1/jobs", "POST, GET, HEAD"),
        (Method::DELETE, "/v1/models", "GET, HEAD"),
        (Method::GET, "/v1/audio/transcriptions", "POST"),
        (Method::PATCH, "/v1/audio/voices/anna", "DELETE"),
        (Method::POST, "/v2/health/live", "GET, HEAD"),
        (Method::GET, "/v2/repository/index", "POST"),
        (Method::GET, "/generate", "POST"),
    ] {
        let answer = ask(&server, method.clone(), path).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, allow), "{path}");
        assert!(answer.headers().contains_key("x-request-id"), "{path}");
        if method == Method::HEAD {
            continue;
        }
        let body: Value = answer.json().await.unwrap();
        let message = match path {
            path if path.starts_with("/v2/") => &body["error"],
            path if path.starts_with("/v1/") && path != "/v1/jobs" => {
                assert_eq!(body["error"]["code"], "method_not_allowed", "{path}");
                &body["error"]["message"]
            }
            _ => {
                assert_eq!((&body["error"]["code"], &body["error"]["status"]), (&json!(405), &json!("UNIMPLEMENTED")));
                &body["error"]["message"]
            }
        };
        let message = message.as_str().unwrap_or_else(|| panic!("{path}: {body}"));
        assert!(message.contains(method.as_str()) && message.contains(allow), "{path}: {message}");
    }
}
