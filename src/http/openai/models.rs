//! `GET /v1/models` and `GET /v1/models/{id}`.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::{
    catalog::Entry,
    http::{Api, Problem},
    model::Availability,
};

/// The API wants a time of creation; the hub's repositories have none that a client could use.
const CREATED: u64 = 0;

/// Every model that this build can serve.
pub(super) async fn list(api: web::Data<Api>) -> HttpResponse {
    let available = api.service.catalog().entries().filter(|entry| entry.availability == Availability::Available);
    let data: Vec<Value> = available.map(model).collect();
    HttpResponse::Ok().json(json!({"object": "list", "data": data}))
}

/// One model by name or alias. A name may hold a `/`, as it is or as `%2F`.
pub(super) async fn one(api: web::Data<Api>, id: web::Path<String>) -> HttpResponse {
    match api.service.catalog().resolve(Some(&id)) {
        Ok(entry) => HttpResponse::Ok().json(model(entry)),
        Err(unknown) => Problem::from(unknown).openai(),
    }
}

fn model(entry: &Entry) -> Value {
    let owner = entry.name.as_str().split_once('/').map_or("sconce", |(owner, _)| owner);
    json!({"id": entry.name, "object": "model", "created": CREATED, "owned_by": owner})
}
