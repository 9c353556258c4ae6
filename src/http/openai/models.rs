//! `GET /v1/models` and `GET /v1/models/{id}`.

use actix_web::{HttpResponse, web};

use super::bodies::{AudioModels, Model, Models, Named};
use crate::{
    catalog::Entry,
    http::{api::Api, problem::Problem},
    model::Availability,
    speech::TaskKind,
};

/// Every model that this build can serve.
#[utoipa::path(get, path = "/v1/models", operation_id = "models", tag = "OpenAI", responses((status = 200, body = Models)))]
pub(super) async fn list(api: web::Data<Api>) -> HttpResponse {
    let catalog = api.service.catalog();
    let available = catalog.entries().filter(|entry| entry.availability == Availability::Available);
    HttpResponse::Ok().json(Models { object: "list", data: available.map(model).collect() })
}

/// Every model that speaks, as Open WebUI asks for them.
#[utoipa::path(
    get, path = "/v1/audio/models", operation_id = "audio_models", tag = "OpenAI",
    responses((status = 200, body = AudioModels)),
)]
pub(super) async fn speaking(api: web::Data<Api>) -> HttpResponse {
    let catalog = api.service.catalog();
    let speaks = |entry: &&Entry| entry.does(TaskKind::Synthesize) && entry.availability == Availability::Available;
    let named = |entry: &Entry| Named { id: entry.name.to_string(), name: entry.name.to_string() };
    HttpResponse::Ok().json(AudioModels { models: catalog.entries().filter(speaks).map(named).collect() })
}

/// One model by name or alias. A name may hold a `/`, as it is or as `%2F`.
#[utoipa::path(
    get, path = "/v1/models/{id}", operation_id = "model", tag = "OpenAI",
    params(("id" = String, Path, description = "A name or an alias")),
    responses((status = 200, body = Model)),
)]
pub(super) async fn one(api: web::Data<Api>, id: web::Path<String>) -> HttpResponse {
    match api.service.catalog().resolve(Some(&id)) {
        Ok(entry) => HttpResponse::Ok().json(model(entry)),
        Err(unknown) => Problem::from(unknown).openai(),
    }
}

fn model(entry: &Entry) -> Model {
    let owner = entry.name.as_str().split_once('/').map_or("sconce", |(owner, _)| owner);
    Model { id: entry.name.to_string(), object: "model", created: 0, owned_by: owner.to_owned() }
}
