//! From the machine to what everybody may know.

use std::{collections::HashMap, sync::Arc, time::Instant};

use crate::{
    lifecycle::{
        Facts, Fetched, LoadMode, ModelStatus, OnDisk, Snapshot, Tier,
        clock::now,
        loaded_model::LoadedModel,
        machine::{Machine, Stock, UpdateView, View, ViewError},
        snapshot::{ErrorStatus, UpdateStatus},
    },
    speech::ModelName,
};

/// The state of all models.
pub(super) fn snapshot<E, F>(
    mode: LoadMode,
    machine: &Machine<LoadedModel<E>, Arc<Fetched<F>>>,
    on_disk: &HashMap<ModelName, OnDisk>,
) -> Snapshot {
    let now = now();
    Snapshot {
        mode,
        models: machine.views(now).map(|view| status(view, on_disk, now)).collect(),
        preload_complete: machine.preload_complete(),
        preload_failed: machine.preload_failed(),
        stopping: machine.stopping(),
    }
}

fn status<E, F>(
    view: View<'_, LoadedModel<E>, Arc<Fetched<F>>>,
    on_disk: &HashMap<ModelName, OnDisk>,
    now: Instant,
) -> ModelStatus {
    // What was fetched counts for more than what was found before.
    let fetched = view.stock.map(|stock| OnDisk { revision: stock.revision.clone(), parts: stock.files.parts.clone() });
    let here = fetched.or_else(|| on_disk.get(&view.spec.name).cloned());
    let facts = view.resource.map(|loaded| &*loaded.facts);
    ModelStatus {
        name: view.spec.name.clone(),
        status: view.status,
        tier: tier(view.resource.is_some(), view.warm, here.is_some()),
        fetched: here.is_some(),
        pinned: view.spec.pinned,
        preload: view.spec.preload,
        progress: view.progress,
        error: view.error.map(error_status),
        revision: here.as_ref().and_then(|here| here.revision.clone()),
        update: view.update.map(update_status),
        parts: here.map(|here| here.parts).unwrap_or_default(),
        family: facts.and_then(|facts| facts.family).map(|family| family.name()),
        tasks: facts.and_then(|facts| facts.family).map(|family| family.tasks()),
        device: facts.map(|facts| facts.device.clone()),
        dtype: facts.map(|facts| facts.dtype.clone()),
        watermark: facts.and_then(|facts| facts.watermark),
        residency: facts.and_then(|facts| facts.residency),
        footprint_bytes: view.stock.map(Stock::bytes),
        resident_bytes: facts.and_then(Facts::held),
        warm_bytes: view.stock.filter(|_| view.warm).map(|stock| stock.size),
        freed_bytes: view.freed,
        load: facts.map(|facts| facts.load),
        warm: facts.map(|facts| facts.warm),
        since: view.since,
        idle_since: view.idle_since,
        expires_at: view.expires_at,
        waiting: view.waiting,
        place: view.place,
        expected_at: view.expected_in.and_then(|wait| now.checked_add(wait)),
        outside: facts.and_then(|facts| facts.outside.clone()),
        pulse: facts.map(|facts| facts.pulse.clone()),
    }
}

fn tier(loaded: bool, warm: bool, here: bool) -> Option<Tier> {
    match (loaded, warm, here) {
        (true, ..) => Some(Tier::Device),
        (false, true, _) => Some(Tier::Host),
        (false, false, here) => here.then_some(Tier::Disk),
    }
}

fn error_status(error: ViewError) -> ErrorStatus {
    let ViewError { message, permanent, attempts, retry_at, obstacle } = error;
    ErrorStatus { message, permanent, attempts, retry_at, obstacle }
}

fn update_status(update: UpdateView) -> UpdateStatus {
    let UpdateView { revision, status, progress, error } = update;
    UpdateStatus { revision, status, progress, error: error.map(error_status) }
}
