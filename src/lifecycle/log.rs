//! One log line and one metric per step of a model's life.

use std::time::Duration;

use super::{
    Facts, Failure, Metrics,
    machine::{Note, Reason, VersionId},
    metrics::{LoadPhase, Outcome},
};
use crate::speech::ModelName;

/// What a note needs that it does not hold.
pub(super) trait Details {
    /// Of a loaded model.
    fn facts(&self, version: VersionId) -> Option<&Facts>;
    /// Bytes of files, and those that came over the network.
    fn bytes(&self, version: VersionId) -> (u64, u64);
}

/// Writes a note down.
pub(super) fn write(note: &Note, details: &impl Details, metrics: &Metrics) {
    match note {
        Note::Downloading { model, cause } => tracing::info!(%model, cause = cause.as_str(), "looking for its files"),
        Note::Downloaded { model, version, took } => downloaded(model, details.bytes(*version), metrics, *took),
        Note::Loading { model, footprint } => tracing::info!(%model, bytes = footprint, "loading"),
        Note::Ready { model, version, took } => ready(model, details.facts(*version), metrics, *took),
        Note::Switching { from, to } => switching(metrics, from, to),
        Note::Evicting { model, reason, leased } => evicting(model, metrics, *reason, *leased),
        Note::Unloaded { model, took, freed } => {
            tracing::info!(%model, seconds = seconds(*took), freed_bytes = freed, "unloaded");
        }
        Note::Failed { model, failure, attempts, retry_in } => failed(model, metrics, failure, *attempts, *retry_in),
        Note::PreloadFailed { model, reason, lazy: false } => tracing::warn!(%model, reason, "not loaded at start"),
        Note::PreloadFailed { model, reason, lazy: true } => {
            tracing::warn!(%model, reason, "not loaded at start: left to the first request");
        }
        Note::BringingBack { model } => brought_back(model, metrics),
        Note::Removed { model } => tracing::info!(%model, "not served any more"),
        Note::Updating { .. } | Note::Updated { .. } | Note::UpToDate { .. } | Note::UpdateFailed { .. } => {
            update(note, metrics);
        }
    }
}

fn update(note: &Note, metrics: &Metrics) {
    match note {
        Note::Updating { model, revision } => tracing::info!(%model, revision, "updating"),
        Note::Updated { model, from, to } => {
            metrics.updated(Outcome::Done);
            tracing::info!(%model, from, to, "updated");
        }
        Note::UpToDate { model, revision } => {
            metrics.updated(Outcome::Unchanged);
            tracing::info!(%model, revision, "up to date");
        }
        Note::UpdateFailed { model, reason } => {
            metrics.updated(Outcome::Failed);
            tracing::error!(%model, reason, "not updated: what served before serves on");
        }
        _ => {}
    }
}

fn brought_back(model: &ModelName, metrics: &Metrics) {
    metrics.rolled_back();
    tracing::warn!(%model, "bringing back: what it went for did not come");
}

fn downloaded(model: &ModelName, (bytes, transferred): (u64, u64), metrics: &Metrics, took: Duration) {
    metrics.took(LoadPhase::Fetch, took);
    // Nobody who has the files on this machine, or in the program, waited for a network.
    match transferred {
        0 => {
            tracing::info!(%model, seconds = seconds(took), bytes, transferred_bytes = transferred, "its files are here")
        }
        _ => tracing::info!(%model, seconds = seconds(took), bytes, transferred_bytes = transferred, "downloaded"),
    }
}

fn ready(model: &ModelName, facts: Option<&Facts>, metrics: &Metrics, took: Duration) {
    if let Some(facts) = facts {
        metrics.took(LoadPhase::Load, facts.load);
        metrics.took(LoadPhase::Warm, facts.warm);
        tracing::info!(%model, seconds = seconds(facts.load), bytes = facts.held(), "loaded");
        tracing::info!(%model, seconds = seconds(facts.warm), "warm");
        let (device, dtype) = (&facts.device, &facts.dtype);
        tracing::info!(%model, seconds = seconds(took), device, dtype, "ready");
    }
}

fn switching(metrics: &Metrics, from: &[ModelName], to: &ModelName) {
    metrics.switched();
    let from = from.iter().map(ModelName::as_str).collect::<Vec<_>>().join(", ");
    tracing::info!(%from, %to, "switching from {from} to {to}");
}

fn evicting(model: &ModelName, metrics: &Metrics, reason: Reason, leased: bool) {
    metrics.evicted(reason.as_str());
    if leased {
        tracing::info!(%model, reason = reason.as_str(), "draining: unloads when its last request ends");
    } else {
        tracing::info!(%model, reason = reason.as_str(), "unloading");
    }
}

fn failed(model: &ModelName, metrics: &Metrics, failure: &Failure, attempts: u32, retry_in: Option<Duration>) {
    metrics.failed(model);
    let (reason, permanent) = (&failure.reason, failure.permanent);
    let retry_seconds = retry_in.map(seconds);
    tracing::error!(%model, reason, permanent, attempts, retry_seconds, "failed");
}

/// To the millisecond: what is finer is noise to whoever reads it.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}
