//! `GET /models/status` and `GET /models/events`.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio_stream::wrappers::WatchStream;

use super::{availability, bodies::ModelsStatus};
use crate::{
    catalog::Entry,
    http::{Api, sse},
    lifecycle::Snapshot,
};

/// Every model of the catalog: what it is, and how far it is.
#[utoipa::path(get, path = "/models/status", tag = "operation", responses((status = 200, body = ModelsStatus)))]
pub(super) async fn status(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::Ok().json(report(&api))
}

/// The models that load at start or are in use, whenever something changes, beginning with how it is now.
///
/// Server-sent events; the data of each is a `StatusEvent`.
#[utoipa::path(
    get, path = "/models/events", tag = "operation",
    responses((status = 200, description = "Without end", body = String, content_type = "text/event-stream"))
)]
pub(super) async fn events(api: web::Data<Api>) -> HttpResponse {
    let snapshots = WatchStream::new(api.service.lifecycle().watch());
    sse::response(api.draining.ends(snapshots).map(move |snapshot: Arc<Snapshot>| active(&snapshot)))
}

/// What `GET /models/status` answers with.
pub(in crate::http) fn report(api: &Api) -> Value {
    let (catalog, snapshot) = (api.service.catalog(), &api.service.lifecycle().snapshot());
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
    let status = snapshot.model(&entry.name);
    let mut value = status.map_or_else(|| json!({"status": "not_loaded"}), |status| json!(status));
    value["aliases"] = json!(entry.aliases);
    value["family"] = json!(entry.family.map(|family| family.name()));
    value["tasks"] = json!(entry.family.map(|family| family.tasks()));
    value["source"] = entry.parts.iter().map(|(part, source)| (part.clone(), json!(source.to_string()))).collect();
    availability::write(&mut value, entry, status);
    value
}
