//! `GET /models/status` and `GET /models/events`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use futures::StreamExt;
use serde_json::json;
use tokio_stream::wrappers::WatchStream;

use crate::{
    http::{
        api::Api,
        models::{
            schemas::ModelsStatus,
            status::{active, report},
        },
        sse,
    },
    lifecycle::Snapshot,
};

/// Every model of the catalog: what it is, and how far it is.
#[utoipa::path(get, path = "/models/status", tag = "operation", responses((status = 200, body = ModelsStatus)))]
pub(super) async fn status(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let mut report = report(&api);
    report["may_administer"] = json!(api.may_administer(&request));
    HttpResponse::Ok().json(report)
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
