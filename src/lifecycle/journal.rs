//! One log line and one metric per step of a model's life.

use std::time::Duration;

use super::{
    Facts, Failure, Metrics,
    machine::{Note, Reason},
    metrics::LoadPhase,
};
use crate::speech::ModelName;

/// What a note needs that the machine does not know.
pub(super) trait Archive {
    fn name(&self, slot: usize) -> &ModelName;
    /// Of a loaded model.
    fn facts(&self, slot: usize) -> Option<&Facts>;
    /// Bytes of files, and those that came over the network.
    fn bytes(&self, slot: usize) -> (u64, u64);
}

/// Writes a note down.
pub(super) fn write(note: &Note, archive: &impl Archive, metrics: &Metrics) {
    match note {
        Note::Downloading { slot, cause } => {
            tracing::info!(model = %archive.name(*slot), cause = cause.as_str(), "downloading");
        }
        Note::Downloaded { slot, took } => downloaded(archive, metrics, *slot, *took),
        Note::Loading { slot, footprint } => {
            tracing::info!(model = %archive.name(*slot), bytes = footprint, "loading");
        }
        Note::Ready { slot, took } => ready(archive, metrics, *slot, *took),
        Note::Switching { from, to } => switching(archive, metrics, from, *to),
        Note::Evicting { slot, reason, leased } => evicting(archive, metrics, *slot, *reason, *leased),
        Note::Unloaded { slot, took, freed } => {
            let (model, seconds) = (archive.name(*slot), took.as_secs_f64());
            tracing::info!(%model, seconds, freed_bytes = freed, "unloaded");
        }
        Note::Failed { slot, failure, attempts, retry_in } => {
            failed(archive.name(*slot), metrics, failure, *attempts, *retry_in);
        }
        Note::PreloadFailed { slot, reason } => {
            tracing::warn!(model = %archive.name(*slot), reason, "not loaded at start");
        }
    }
}

fn downloaded(archive: &impl Archive, metrics: &Metrics, slot: usize, took: Duration) {
    metrics.took(LoadPhase::Fetch, took);
    let (bytes, transferred) = archive.bytes(slot);
    let seconds = took.as_secs_f64();
    tracing::info!(model = %archive.name(slot), seconds, bytes, transferred_bytes = transferred, "downloaded");
}

fn ready(archive: &impl Archive, metrics: &Metrics, slot: usize, took: Duration) {
    let model = archive.name(slot);
    if let Some(facts) = archive.facts(slot) {
        metrics.took(LoadPhase::Load, facts.load);
        metrics.took(LoadPhase::Warm, facts.warm);
        tracing::info!(%model, seconds = facts.load.as_secs_f64(), bytes = facts.resident, "loaded");
        tracing::info!(%model, seconds = facts.warm.as_secs_f64(), "warm");
        let (device, dtype) = (&facts.device, &facts.dtype);
        tracing::info!(%model, seconds = took.as_secs_f64(), device, dtype, "ready");
    }
}

fn switching(archive: &impl Archive, metrics: &Metrics, from: &[usize], to: usize) {
    metrics.switched();
    let from: Vec<_> = from.iter().map(|slot| archive.name(*slot).as_str()).collect();
    let (from, to) = (from.join(", "), archive.name(to));
    tracing::info!(%from, %to, "switching from {from} to {to}");
}

fn evicting(archive: &impl Archive, metrics: &Metrics, slot: usize, reason: Reason, leased: bool) {
    metrics.evicted(reason.as_str());
    let model = archive.name(slot);
    if leased {
        tracing::info!(%model, reason = reason.as_str(), "draining: unloads when its last request ends");
    } else {
        tracing::info!(%model, reason = reason.as_str(), "unloading");
    }
}

fn failed(model: &ModelName, metrics: &Metrics, failure: &Failure, attempts: u32, retry_in: Option<Duration>) {
    metrics.failed(model);
    let (reason, permanent) = (&failure.reason, failure.permanent);
    let retry_seconds = retry_in.map(|after| after.as_secs_f64());
    tracing::error!(%model, reason, permanent, attempts, retry_seconds, "failed");
}
