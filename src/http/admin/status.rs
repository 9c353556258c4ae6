//! `GET /models/status` and `GET /models/events`.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio_stream::wrappers::WatchStream;

use crate::{
    catalog::{Catalog, Entry},
    http::{Api, sse},
    lifecycle::Snapshot,
    model::Availability,
};

/// Every model of the catalog: what it is, and how far it is.
pub(super) async fn status(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::Ok().json(body(api.service.catalog(), &api.service.lifecycle().snapshot()))
}

/// The same whenever it changes, beginning with how it is now.
pub(super) async fn events(api: web::Data<Api>) -> HttpResponse {
    let snapshots = WatchStream::new(api.service.lifecycle().watch());
    sse::response(snapshots.map(move |snapshot: Arc<Snapshot>| active(&snapshot)))
}

fn body(catalog: &Catalog, snapshot: &Snapshot) -> Value {
    let models: serde_json::Map<_, _> =
        catalog.entries().map(|entry| (entry.name.to_string(), model(entry, snapshot))).collect();
    json!({"load_mode": snapshot.mode, "default": catalog.default().name, "models": models})
}

/// Who follows events wants to see what moves: models that nobody asked for are left out.
fn active(snapshot: &Snapshot) -> Value {
    let moving = snapshot.models.iter().filter(|model| model.preload || model.status.as_str() != "not_loaded");
    let models: serde_json::Map<_, _> = moving.map(|model| (model.name.to_string(), json!(model))).collect();
    json!({"load_mode": snapshot.mode, "stopping": snapshot.stopping, "models": models})
}

fn model(entry: &Entry, snapshot: &Snapshot) -> Value {
    let mut value = snapshot.model(&entry.name).map_or_else(|| json!({"status": "not_loaded"}), |status| json!(status));
    value["aliases"] = json!(entry.aliases);
    value["family"] = json!(entry.family.map(|family| family.name()));
    value["tasks"] = json!(entry.family.map(|family| family.tasks()));
    value["source"] = entry.parts.iter().map(|(part, source)| (part.clone(), json!(source.to_string()))).collect();
    match &entry.availability {
        Availability::Available => value["availability"] = json!("available"),
        Availability::Unsupported(reason) => {
            value["availability"] = json!("unsupported");
            value["reason"] = json!(reason);
        }
    }
    value
}
