//! What each model is, and how far it is.

use serde_json::{Value, json};

use super::availability;
use crate::{
    catalog::Entry,
    http::api::Api,
    lifecycle::{Snapshot, Status},
};

/// What `GET /models/status` answers with.
pub(in crate::http) fn report(api: &Api) -> Value {
    let (catalog, snapshot) = (api.service.catalog(), &api.service.lifecycle().snapshot());
    let models: serde_json::Map<_, _> =
        catalog.entries().map(|entry| (entry.name.to_string(), model(entry, snapshot))).collect();
    let default = &catalog.default().name;
    let speakers = api.service.tells_speakers();
    json!({
        "server": api.name, "load_mode": snapshot.mode, "default": default, "tells_speakers": speakers, "models": models,
    })
}

/// Who follows events wants to see what moves: models that nobody asked for are left out.
pub(in crate::http) fn active(snapshot: &Snapshot) -> Value {
    let moving = snapshot.models.iter().filter(|model| model.preload || model.status.as_str() != "not_loaded");
    let models: serde_json::Map<_, _> = moving.map(|model| (model.name.to_string(), json!(model))).collect();
    json!({"load_mode": snapshot.mode, "stopping": snapshot.stopping, "models": models})
}

fn model(entry: &Entry, snapshot: &Snapshot) -> Value {
    let status = snapshot.model(&entry.name);
    let mut value = status.map_or_else(|| json!({"status": "not_loaded"}), |status| json!(status));
    value["aliases"] = json!(entry.aliases);
    // Of a model of one's own they are known once it is loaded, and until then they are null.
    let known = |value: Value, learned: &Value| if value.is_null() { learned.clone() } else { value };
    value["family"] = known(json!(entry.family.map(|family| family.name())), &value["family"]);
    value["tasks"] = known(json!(entry.tasks()), &value["tasks"]);
    if let Some(stems) = entry.family.map(|family| family.stems()).filter(|stems| !stems.is_empty()) {
        value["stems"] = json!(stems);
    }
    value["source"] = entry.parts.iter().map(|(part, source)| (part.clone(), json!(source.to_string()))).collect();
    if let Some(program) = &entry.program {
        value["program"] = json!({"command": program.command, "version": program.version});
    }
    if let Some(fallback) = &entry.fallback {
        // Who asks for the model gets it.
        let speaks = status.is_some_and(|status| status.status == Status::Failed);
        value["fallback"] = json!({"model": fallback, "speaks": speaks});
    }
    value["licence"] = json!(entry.licence);
    if let Some(terms) = entry.family.and_then(|family| family.terms()) {
        value["licence_notice"] = json!(terms.notice);
    }
    value["million_parameters"] = json!(entry.million_parameters);
    value["listed"] = json!(entry.listed);
    availability::write(&mut value, entry, status);
    value
}
