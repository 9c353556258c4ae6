//! Whether a model can be had, in one word and, if not, with the reason.

use serde_json::{Value, json};

use crate::{
    catalog::Entry,
    lifecycle::{ModelStatus, Obstacle},
    model::Availability,
};

/// Writes `availability`, and `reason` where there is one. What the catalog knows from the start counts first; what was
/// learned on fetching or loading, since the model's own configuration or its hub said so, counts next.
pub(super) fn write(value: &mut Value, entry: &Entry, status: Option<&ModelStatus>) {
    let learned =
        status.and_then(|status| status.error.as_ref()).and_then(|error| Some((error.obstacle.as_ref()?, error)));
    let (word, reason) = match (&entry.availability, learned) {
        (Availability::Unsupported(reason), _) => ("unsupported", Some(reason.to_string())),
        (_, Some((Obstacle::Unsupported, error))) => ("unsupported", Some(error.message.clone())),
        (_, Some((Obstacle::Gated, error))) => ("gated", Some(error.message.clone())),
        // How much memory this server has says nothing about the model.
        (Availability::Available, Some((Obstacle::TooLarge(_), _)) | None) => ("available", None),
    };
    value["availability"] = json!(word);
    if let Some(reason) = reason {
        value["reason"] = json!(reason);
    }
}
