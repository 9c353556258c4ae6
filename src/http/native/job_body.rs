//! A job as it is written for those who asked for it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::jobs::{Estimate, Progress, State, View, WebhookState};

/// A job. Times are seconds since 1970.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobBody {
    pub id: String,
    pub status: crate::jobs::Phase,
    pub created_at: f64,
    /// When it was last begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<f64>,
    /// What it makes at most, where that can be told before it is begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<Estimate>,
    /// While it runs: how much of the recording is written down, or how much sound was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    /// While it waits, though it was begun before: what was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// While it waits: 1 is begun next.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    /// While it waits: seconds until it may be done, by how long the last jobs took.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_seconds: Option<f64>,
    /// When it has succeeded: what `/predict` would have answered. Lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    /// When it has failed: as `/predict` writes errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<WebhookBody>,
}

/// Who is told at the end, and whether that was delivered.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookBody {
    url: String,
    status: WebhookState,
}

#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobList {
    pub jobs: Vec<JobBody>,
}

impl From<&View> for JobBody {
    fn from(view: &View) -> Self {
        let error = match &view.state {
            State::Failed { failure, .. } => Some(failure.google_body()),
            _ => None,
        };
        let webhook = view.webhook.as_ref();
        Self {
            id: view.id.to_string(),
            status: view.state.phase(),
            created_at: view.created.seconds(),
            started_at: view.state.since().map(|since| since.seconds()),
            ended_at: view.state.end().map(|end| end.seconds()),
            estimate: view.estimate,
            progress: view.progress,
            reason: view.state.reason().map(str::to_owned),
            position: view.turn.map(|turn| turn.position),
            eta_seconds: view.turn.and_then(|turn| turn.eta).map(|eta| eta.as_secs_f64()),
            result: view.result.clone(),
            error,
            webhook: webhook.map(|webhook| WebhookBody { url: webhook.url.clone(), status: webhook.state() }),
        }
    }
}
