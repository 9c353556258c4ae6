//! Who gets memory, and in what order: first come, first served.

use std::time::{Duration, Instant};

use super::{
    Context, Note, Reason, Resource, Rules, VersionId,
    model::{Model, versions_mut},
    queue_estimate::{QueueEstimate, QueueEstimates},
    version::ModelVersion,
};
use crate::{
    lifecycle::residency::{Holder, Resident, RoomRequest, Verdict, excess, make_room},
    speech::ModelName,
};

/// Gives room to those who wait for it.
pub(super) fn make_rooms<R: Resource, F: Clone>(models: &mut [Model<R, F>], cx: &mut Context<'_, R, F>) {
    while let Some((id, verdict)) = decision(models, cx.rules, cx.now) {
        match verdict {
            Verdict::Fits => on(models, id, |version| version.load(cx)),
            Verdict::Evict(victims) | Verdict::Drain(victims) => make_way(models, cx, id, &victims),
            Verdict::Wait { .. } => {}
            Verdict::Blocked => {
                let reason = blockers(models, cx, id);
                on(models, id, |version| version.no_room(cx, reason));
            }
            Verdict::WontFit { budget, .. } => on(models, id, |version| version.wont_fit(cx, budget)),
        }
    }
}

/// Lets models go that are too many for limits that were lowered. Whether that has to be looked at again.
pub(super) fn shrink<R: Resource, F: Clone>(models: &mut [Model<R, F>], cx: &mut Context<'_, R, F>) -> bool {
    let residents = residents(models);
    for id in excess(cx.now, &cx.rules.limits, &residents) {
        on(models, id, |version| version.evict(cx, Reason::Limits));
    }
    // Those that are being loaded are looked at when they are there.
    residents.iter().any(|resident| resident.holder == Holder::Arriving)
}

/// When there is something to decide for somebody who waits.
pub(super) fn next_deadline<R: Resource, F: Clone>(
    models: &[Model<R, F>],
    rules: &Rules,
    now: Instant,
) -> Option<Instant> {
    let residents = residents(models);
    let until = |(_, want): &(VersionId, RoomRequest)| match make_room(now, &rules.limits, &residents, want) {
        Verdict::Wait { until } => until,
        _ => None,
    };
    firsts(rules, &queue(models)).iter().filter_map(until).min()
}

/// What everybody who waits for room may expect.
pub(super) fn estimates<R: Resource, F: Clone>(models: &[Model<R, F>], rules: &Rules, now: Instant) -> QueueEstimates {
    let (residents, queue) = (residents(models), queue(models));
    let load = |id| version(models, id).map(ModelVersion::load_estimate).unwrap_or_default();
    let estimate = |at: usize| {
        let (id, want) = &queue[at];
        let before: Vec<_> = queue[..at].iter().filter(|(_, other)| in_line(rules, other, want)).collect();
        let (first, turns) = match before.first() {
            Some((_, first)) => (first, rules.limits.room_patience.saturating_mul(before.len() as u32)),
            None => (want, Duration::ZERO),
        };
        let begins = match make_room(now, &rules.limits, &residents, first) {
            Verdict::Wait { until: Some(until) } => until.saturating_duration_since(now),
            _ => Duration::ZERO,
        };
        let loads: Duration = before.iter().map(|(id, _)| load(*id)).sum();
        (*id, QueueEstimate { place: before.len() + 1, wait: (begins + loads + load(*id)).saturating_add(turns) })
    };
    (0..queue.len()).map(estimate).collect()
}

/// The first in line about whom something can be done now.
fn decision<R: Resource, F: Clone>(
    models: &[Model<R, F>],
    rules: &Rules,
    now: Instant,
) -> Option<(VersionId, Verdict)> {
    let residents = residents(models);
    let decide = |(id, want): (VersionId, RoomRequest)| (id, make_room(now, &rules.limits, &residents, &want));
    let firsts = firsts(rules, &queue(models));
    firsts.into_iter().map(decide).find(|(_, verdict)| !matches!(verdict, Verdict::Wait { .. }))
}

/// Everybody who waits for room, the one that has waited longest first.
fn queue<R: Resource, F: Clone>(models: &[Model<R, F>]) -> Vec<(VersionId, RoomRequest)> {
    let mut queue: Vec<_> = models.iter().flat_map(Model::room_requests).collect();
    queue.sort_by_key(|(id, want)| (want.since, *id));
    queue
}

/// Those whom nobody precedes. A younger one does not overtake: it could keep the older one waiting for ever.
fn firsts(rules: &Rules, queue: &[(VersionId, RoomRequest)]) -> Vec<(VersionId, RoomRequest)> {
    let first = |at: &usize| !queue[..*at].iter().any(|(_, before)| in_line(rules, before, &queue[*at].1));
    (0..queue.len()).filter(first).map(|at| queue[at].clone()).collect()
}

/// Whether two wait for the same thing: memory of one device, or one of the places of which there are only so many.
fn in_line(rules: &Rules, one: &RoomRequest, other: &RoomRequest) -> bool {
    rules.limits.max_resident.is_some() || one.device == other.device
}

fn make_way<R: Resource, F: Clone>(
    models: &mut [Model<R, F>],
    cx: &mut Context<'_, R, F>,
    comes: VersionId,
    victims: &[VersionId],
) {
    let Some(to) = version(models, comes).map(|version| version.name().clone()) else { return };
    let others: Vec<ModelName> = versions(models)
        .filter(|version| victims.contains(&version.id()) && *version.name() != to)
        .map(|version| version.name().clone())
        .collect();
    if !others.is_empty() {
        cx.note(Note::Switching { from: others, to: to.clone() });
    }
    for victim in versions_mut(models).filter(|version| victims.contains(&version.id())) {
        let reason = if *victim.name() == to { Reason::Updated } else { Reason::Room };
        victim.evict(cx, reason);
    }
    on(models, comes, |version| version.displaces(victims));
}

/// Who holds the memory, for people.
fn blockers<R: Resource, F: Clone>(models: &[Model<R, F>], cx: &Context<'_, R, F>, id: VersionId) -> String {
    let want = queue(models).into_iter().find(|(other, _)| *other == id).map(|(_, want)| want);
    let preload = want.as_ref().is_some_and(|want| !want.may_evict);
    let device = |resident: &Resident| want.as_ref().is_none_or(|want| want.device == resident.device);
    let matters = |resident: &Resident| cx.rules.limits.max_resident.is_some() || device(resident);
    let stays = |resident: &Resident| matters(resident) && (preload || resident.pinned);
    let staying = versions(models).filter(|version| version.resident().is_some_and(|resident| stays(&resident)));
    let names: Vec<_> = staying.map(|version| version.name().as_str()).collect();
    format!("it does not fit beside {}", names.join(", "))
}

fn residents<R: Resource, F: Clone>(models: &[Model<R, F>]) -> Vec<Resident> {
    versions(models).filter_map(ModelVersion::resident).collect()
}

fn versions<R: Resource, F: Clone>(models: &[Model<R, F>]) -> impl Iterator<Item = &ModelVersion<R, F>> {
    models.iter().flat_map(Model::versions)
}

fn version<R: Resource, F: Clone>(models: &[Model<R, F>], id: VersionId) -> Option<&ModelVersion<R, F>> {
    versions(models).find(|version| version.id() == id)
}

fn on<R: Resource, F: Clone>(models: &mut [Model<R, F>], id: VersionId, then: impl FnOnce(&mut ModelVersion<R, F>)) {
    if let Some(version) = versions_mut(models).find(|version| version.id() == id) {
        then(version);
    }
}
