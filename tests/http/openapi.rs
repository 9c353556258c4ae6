//! The document of all routes, and the page that shows it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use reqwest::Method;
use serde_json::Value;

use crate::support::{Server, checkout};

const PREDICT: &str = "/v1/endpoints/7/deployedModels/9:predict";

fn paths(document: &Value) -> &serde_json::Map<String, Value> {
    document["paths"].as_object().unwrap()
}

fn operations(document: &Value) -> Vec<(Method, String, &Value)> {
    let operations = paths(document).iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.to_uppercase().parse().unwrap(), path.clone(), operation))
    });
    operations.collect()
}

/// `/v1/models/{id:.+}` is `/v1/models/{id}`.
fn without_patterns(path: &str) -> String {
    let mut parts = path.split('{');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (variable, rest) = part.split_once('}').unwrap();
        let name = variable.split(':').next().unwrap();
        plain.push_str(&format!("{{{name}}}{rest}"));
    }
    plain
}

/// Every route that `src/http` registers as a text: `resource("…")`, and `route("…"` below the `scope("…")` of its file.
fn registered() -> BTreeMap<String, PathBuf> {
    let mut folders = vec![checkout("src/http")];
    let mut routes = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let mut scope = String::new();
            let calls = ["web::scope(\"", ".route(\"", "web::resource(\""];
            let mut found: Vec<(usize, &str)> = calls.iter().flat_map(|call| source.match_indices(call)).collect();
            found.sort_unstable();
            for (at, call) in found {
                let text = source[at + call.len()..].split('"').next().unwrap();
                match call {
                    "web::scope(\"" => text.clone_into(&mut scope),
                    _ => drop(routes.insert(without_patterns(&format!("{scope}{text}")), path.clone())),
                }
            }
        }
    }
    assert!(routes.len() > 10, "{routes:?}");
    routes
}

#[tokio::test]
async fn every_registered_route_is_in_the_document() {
    let document = Server::start().get_json("/openapi.json").await;
    // These only send to their page.
    let documented: BTreeSet<&str> =
        paths(&document).keys().map(String::as_str).chain(["/docs", "/docs/api"]).collect();
    let missing: Vec<_> = registered().into_iter().filter(|(route, _)| !documented.contains(route.as_str())).collect();
    assert!(missing.is_empty(), "without #[utoipa::path]: {missing:?}");
}

#[tokio::test]
async fn every_route_in_the_document_is_served_and_no_method_more() {
    let server = Server::builder().env("AIP_PREDICT_ROUTE", PREDICT).start();
    let document = server.get_json("/openapi.json").await;
    for (method, path, _) in operations(&document) {
        let url = server.url(&path.replace("{id}", "whisper-1").replace("{file}", "index.html"));
        if path == "/models/events" || path.contains("/events") {
            continue; // has no end; its own tests follow it
        }
        let answer = server.client.request(method.clone(), &url).send().await.unwrap();
        assert_ne!(answer.status(), 405, "{method} {path}");
        let text = answer.text().await.unwrap();
        assert!(!text.contains("/docs lists the routes"), "{method} {path}: {text}");
    }
    for (path, item) in paths(&document) {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            if item.get(method.as_str().to_lowercase()).is_none() {
                let answer = server.client.request(method.clone(), server.url(path)).send().await.unwrap();
                assert!(matches!(answer.status().as_u16(), 404 | 405), "{method} {path} is not documented");
            }
        }
    }
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_and_its_protocols_errors() {
    let server = Server::builder().env("AIP_PREDICT_ROUTE", PREDICT).start();
    let document = server.get_json("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
        assert!(names.insert(name), "{name} is the name of two operations");
        let schema = match path.as_str() {
            PREDICT => "GoogleError",
            path if path.starts_with("/v1/jobs") => "GoogleError",
            path if path.starts_with("/v1/") || path.starts_with("/openai/") => "OpenAiError",
            path if path.starts_with("/v2") => "OipError",
            _ => "GoogleError",
        };
        let statuses: &[&str] =
            if method == Method::POST { &["400", "401", "403", "429", "500", "503"] } else { &["500"] };
        for status in statuses.iter().filter(|_| schema != "OipError") {
            let response = &operation["responses"][status];
            // Of a download, some of the models may have failed.
            let has = |schema: &str| response.to_string().contains(schema);
            assert!(has(schema) || has("LoadFailure"), "{method} {path} {status}: {response}");
        }
    }
    for schema in ["OpenAiError", "GoogleError", "OipError"] {
        assert!(document["components"]["schemas"][schema].is_object(), "{schema}");
    }
}

#[tokio::test]
async fn keys_are_in_the_document_where_they_are_asked_for() {
    let open = Server::start().get_json("/openapi.json").await;
    assert!(open["components"]["securitySchemes"].is_null());
    let server = Server::builder().env("SCONCE_ACCESS__ADMIN_KEYS", "sk").start();
    let answer = server.client.get(server.url("/openapi.json")).bearer_auth("sk").send().await.unwrap();
    let closed: Value = answer.json().await.unwrap();
    assert_eq!(closed["components"]["securitySchemes"]["key"]["scheme"], "bearer");
    let needs = |method: &str, path: &str| closed["paths"][path][method]["security"].clone();
    assert_eq!(needs("get", "/health"), serde_json::json!([]));
    assert_eq!(needs("post", "/predict"), serde_json::json!([{"key": ["infer"]}]));
    assert_eq!(needs("post", "/download-models"), serde_json::json!([{"key": ["admin"]}]));
}

/// What a page loads: its `src` and `href`, and the addresses in its own script.
fn addresses(text: &str) -> Vec<&str> {
    let marks = ["src=\"", "href=\"", "url: \"", "\"url\": \"", "\"url\":\"", "url("];
    let after = |mark: &'static str| text.split(mark).skip(1).filter_map(|rest| rest.split(['"', ')']).next());
    marks.into_iter().flat_map(after).collect()
}

#[tokio::test]
async fn the_page_needs_nothing_from_outside() {
    let server = Server::start();
    let sent = server.get("/docs/api").await;
    assert_eq!((sent.status().as_u16(), sent.url().path()), (200, "/docs/api/"));
    let policy = sent.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(sent.headers()["x-content-type-options"], "nosniff");
    let page = sent.text().await.unwrap();
    let script = server.get("/docs/api/swagger-initializer.js").await.text().await.unwrap();
    assert!(script.contains("../../openapi.json") && script.contains("\"validatorUrl\": \"none\""), "{script}");
    assert!(!script.contains("http://") && !script.contains("https://"), "{script}");
    let parts = addresses(&page);
    assert!(parts.len() > 4, "{page}");
    for part in parts {
        assert!(!part.contains("//"), "{part} is outside");
        let answer = server.client.get(server.url("/docs/api/")).send().await.unwrap();
        let address = answer.url().join(part).unwrap();
        let status = server.client.get(address.clone()).send().await.unwrap().status();
        assert_eq!(status, 200, "{address}");
    }
}
