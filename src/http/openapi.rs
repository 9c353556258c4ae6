//! `/openapi.json`, and `/docs/api/`, a page that reads it. Both are made of what is in the program: nothing is loaded from
//! anywhere else.
//!
//! Each protocol's `Docs` says what its routes take and give. What holds for all of them is added here from the code that
//! does it: how errors look in each protocol, by asking [`Problem`] for one of each kind, and which key a route needs, by
//! asking the gate.

mod errors;
mod option_schema;

use std::sync::{Arc, OnceLock};

use actix_web::{
    HttpResponse,
    http::{Method, StatusCode, header},
    web,
};
use bytes::Bytes;
use utoipa::{
    OpenApi,
    openapi::{
        ObjectBuilder, SecurityRequirement, Server,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use self::option_schema::option_schema;
use super::{
    access::Routes,
    admin,
    api::Api,
    asr, asyncapi, azure,
    config::Config,
    console, docs, generate, jobs, oip, openai,
    problem::{Problem, schemas},
    realtime,
    security::guarded,
    vertex, vosk,
};
use crate::{model::Family, speech::Kind};

/// The name of the way to send a key.
const KEY: &str = "key";
/// Nothing but what this server sends may be run or shown on the page, the pictures that its own style sheet holds, and the
/// style of its logo, by its digest.
const ONLY_OURS: &str = "default-src 'self'; style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; \
                         img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
                         form-action 'self'";

#[derive(OpenApi)]
#[openapi(
    info(
        description = "Speech models behind OpenAI's audio API, Vertex AI's envelope and the Open Inference Protocol. \
                       Responses carry `x-request-id`; a request may bring its own, and `traceparent`."
    ),
    components(schemas(schemas::OpenAiError, schemas::GoogleError, schemas::OipError)),
    paths(specification, page, file)
)]
struct Docs;

/// The document, as it is sent; made when somebody asks for it.
#[derive(Default)]
struct Specification(OnceLock<Bytes>);

/// Routes of the document and its page.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    let page = utoipa_swagger_ui::Config::new(["../../openapi.json"]).validator_url("none");
    app.app_data(web::Data::new(Specification::default()))
        .app_data(web::Data::new(page))
        .service(web::resource("/openapi.json").route(web::get().to(specification)))
        .service(web::resource("/docs/api").route(web::get().to(page_without_slash)))
        .service(web::resource("/docs/api/").route(web::get().to(self::page)))
        .service(web::resource("/docs/api/{file}").route(web::get().to(file)));
}

/// What every route takes and gives.
fn document(config: &Config, routes: &Routes, keys: bool, families: &[&dyn Family]) -> utoipa::openapi::OpenApi {
    let mut document = Docs::openapi();
    parts().into_iter().for_each(|part| document.merge(part));
    if config.console {
        document.merge(console::Docs::openapi());
    }
    document.servers = Some(vec![Server::new("/")]);
    families.iter().for_each(|family| add_knobs(&mut document, *family));
    literally(&mut document, config);
    if keys {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(KEY, SecurityScheme::Http(scheme));
    }
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            errors::add(operation, routes.is_work(&method, path), routes.shape(path), keys);
            if keys {
                operation.security = Some(needs(&method, path, routes));
            }
        }
    }
    document
}

/// What `options` may hold in a request for a model of a family, as a schema of its own.
fn add_knobs(document: &mut utoipa::openapi::OpenApi, family: &dyn Family) {
    if family.knobs().is_empty() {
        return;
    }
    let about = format!("`options` of a request for a model of the family {}.", family.name());
    let schema = family.knobs().iter().fold(ObjectBuilder::new().description(Some(about)), |schema, knob| {
        schema.property(knob.name, option_schema(knob))
    });
    let components = document.components.get_or_insert_default();
    components.schemas.insert(format!("{}_options", family.name()), schema.into());
}

/// What each protocol says of itself.
fn parts() -> [utoipa::openapi::OpenApi; 12] {
    [
        openai::Docs::openapi(),
        realtime::Docs::openapi(),
        vertex::Docs::openapi(),
        oip::Docs::openapi(),
        generate::Docs::openapi(),
        asr::Docs::openapi(),
        azure::Docs::openapi(),
        vosk::Docs::openapi(),
        asyncapi::Docs::openapi(),
        jobs::Docs::openapi(),
        admin::Docs::openapi(),
        docs::Docs::openapi(),
    ]
}

/// The routes that the environment names, as copies of those that they are.
fn literally(document: &mut utoipa::openapi::OpenApi, config: &Config) {
    for (route, like) in [(&config.health_route, "/health"), (&config.predict_route, "/predict")] {
        let Some(route) = route.as_ref().filter(|route| !document.paths.paths.contains_key(*route)) else { continue };
        let Some(mut item) = document.paths.paths.get(like).cloned() else { continue };
        for (_, operation) in operations(&mut item) {
            operation.operation_id = operation.operation_id.take().map(|id| format!("vertex_{id}"));
        }
        document.paths.paths.insert(route.clone(), item);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, post, put, delete, patch, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::POST, post),
        (Method::PUT, put),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The scope that a key needs for a route; an empty list of ways: none.
fn needs(method: &Method, path: &str, routes: &Routes) -> Vec<SecurityRequirement> {
    let scope = routes.scope(method, path);
    scope.map(|scope| SecurityRequirement::new(KEY, [scope])).into_iter().collect()
}

/// What every route takes and gives, as OpenAPI 3.1.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "specification", tag = "documentation",
    responses((status = 200, description = "This document", body = serde_json::Map<String, serde_json::Value>))
)]
async fn specification(api: web::Data<Api>, made: web::Data<Specification>) -> HttpResponse {
    let make = || {
        let catalog = api.service.catalog();
        let document = document(&api.config, api.gate.routes(), api.gate.asks_for_keys(), catalog.families());
        document.to_json().unwrap_or_default().into()
    };
    HttpResponse::Ok().content_type("application/json").body(made.0.get_or_init(make).clone())
}

/// A page to read and try the routes.
#[utoipa::path(
    get, path = "/docs/api/", operation_id = "api_page", tag = "documentation",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
async fn page(config: web::Data<utoipa_swagger_ui::Config<'static>>) -> HttpResponse {
    shown("index.html", config.into_inner())
}

/// A file that the page needs.
#[utoipa::path(
    get, path = "/docs/api/{file}", operation_id = "api_page_file", tag = "documentation",
    params(("file" = String, Path, description = "Name of the file", example = "swagger-ui.css")),
    responses((status = 200, description = "The file", content(
        (String = "text/html"), (String = "text/css"), (String = "text/javascript"), (String = "image/png")
    )))
)]
async fn file(path: web::Path<String>, config: web::Data<utoipa_swagger_ui::Config<'static>>) -> HttpResponse {
    shown(&path, config.into_inner())
}

async fn page_without_slash() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "api/")).finish()
}

fn shown(path: &str, config: Arc<utoipa_swagger_ui::Config<'static>>) -> HttpResponse {
    match utoipa_swagger_ui::serve(path, config) {
        Ok(Some(file)) => {
            let mut response = guarded(StatusCode::OK);
            if file.gzpipped {
                response.insert_header((header::CONTENT_ENCODING, "gzip"));
            }
            let response = response.insert_header((header::CONTENT_SECURITY_POLICY, ONLY_OURS));
            response.content_type(file.content_type).body(file.bytes.into_owned())
        }
        Ok(None) => Problem::new(Kind::NotFound, format!("the page has no file {path:?}")).google(),
        Err(_) => Problem::new(Kind::Internal, "the page could not be made").google(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_schema_means_the_same_in_every_protocol() {
        let mut seen = BTreeMap::new();
        for part in parts() {
            for (name, schema) in part.components.unwrap_or_default().schemas {
                let schema = serde_json::to_value(schema).unwrap();
                let before = seen.insert(name.clone(), schema.clone());
                assert!(before.is_none_or(|before| before == schema), "{name} means two things; #[schema(as = …)]");
            }
        }
        assert!(seen.len() > 10);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let config = crate::http::access::tests::http(crate::http::access::tests::config());
        let document = serde_json::to_value(document(&config, &Routes::new(&config), true, &[])).unwrap();
        let text = document.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][reference].is_object(), "{reference}");
        }
    }
}
