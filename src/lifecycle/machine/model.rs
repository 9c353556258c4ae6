//! A model: the version of it that serves, the one that is to take its place, and those on their way out.
//!
//! An update is a second version beside the one that serves. When it is ready the two change places, and the old one goes
//! when its last lease ends. If it does not come, the old one serves on, as if nothing had been; if the old one had to go
//! for it, because both did not fit, it is brought back.

use std::{mem, sync::Arc, time::Instant};

use super::{
    Attempt, Context, Note, Reason, Resource, Rules, Stock, UpdateView, VersionId, View, ViewError, WaitCondition,
    Waiter,
    queue_estimate::QueueEstimates,
    version::{ModelVersion, Role},
    waiter::TargetState,
};
use crate::{
    lifecycle::{Cause, Failure, LoadMode, ModelSpec, Status, Unavailable, residency::RoomRequest},
    speech::ModelName,
};

/// A model of the configuration.
pub(super) struct Model<R, F> {
    /// As the configuration has it; what serves may be another version of it.
    configured: Arc<ModelSpec>,
    current: ModelVersion<R, F>,
    /// On its way to the place of `current`.
    next: Option<ModelVersion<R, F>>,
    /// On their way out.
    former: Vec<ModelVersion<R, F>>,
    /// Of the last update, until there is another.
    failed_update: Option<FailedUpdate>,
    /// The source that the configuration names did not come: with the next configuration it is tried again.
    missed: bool,
    removed: bool,
}

struct FailedUpdate {
    revision: Option<String>,
    error: ViewError,
}

// === impl Model: what is asked of it ===

impl<R: Resource, F: Clone> Model<R, F> {
    pub fn new(id: VersionId, spec: Arc<ModelSpec>, preloads: bool) -> Self {
        let current = ModelVersion::new(id, spec.clone(), Role::Serving, preloads);
        let (next, former, failed_update) = (None, Vec::new(), None);
        Self { configured: spec, current, next, former, failed_update, missed: false, removed: false }
    }

    pub fn preload(&mut self, cx: &mut Context<'_, R, F>) {
        self.current.preload(cx);
    }

    pub fn ask(&mut self, cx: &mut Context<'_, R, F>, waiter: Waiter, explicit: bool) {
        if waiter.condition == WaitCondition::Unloaded {
            self.give_up_update(cx, "the model was unloaded meanwhile");
            cx.displaced.retain(|version| *version != self.current.id());
        }
        match &mut self.next {
            // It comes in place of the one that is gone, so who asks now gets it.
            Some(next) if next.needs_memory() && self.current.gone() => next.ask(cx, waiter, explicit),
            _ => self.current.ask(cx, waiter, explicit),
        }
    }

    /// Brings another version in, beside the one that serves.
    pub fn update(&mut self, cx: &mut Context<'_, R, F>, spec: Arc<ModelSpec>, waiter: Option<Waiter>) {
        if cx.stopping {
            return waiter.into_iter().for_each(|waiter| cx.refuse(&waiter, Unavailable::Stopping));
        }
        if let Some(next) = self.next.as_mut().filter(|next| next.spec().loads_like(&spec)) {
            return waiter.into_iter().for_each(|waiter| next.ask(cx, waiter, true));
        }
        self.give_up_update(cx, "another update took its place");
        self.failed_update = None;
        cx.note(Note::Updating { model: self.name().clone(), revision: spec.revision().map(str::to_owned) });
        let mut next = ModelVersion::new(cx.number(), spec, Role::Next, false);
        next.bring(cx, Cause::Update, TargetState::Serve, waiter.into_iter().collect());
        self.next = Some(next);
    }

    /// The configuration may have changed.
    pub fn configure(&mut self, cx: &mut Context<'_, R, F>, spec: Arc<ModelSpec>) {
        let before = mem::replace(&mut self.configured, spec.clone());
        if self.removed {
            return self.come_again(cx, spec);
        }
        if before.loads_like(&spec) && !mem::take(&mut self.missed) {
            self.adopt(&spec);
        } else if self.current.there_or_coming() {
            self.update(cx, spec.clone(), None);
            // What serves until then does so under the new terms.
            self.adopt(&spec);
        } else {
            self.give_up_update(cx, "the configuration changed");
            self.replace(cx, spec.clone());
        }
        if spec.preload && !before.preload && cx.rules.mode != LoadMode::OnDemand {
            self.current.expect();
            self.current.preload(cx);
        }
    }

    /// The configuration names it no more.
    pub fn remove(&mut self, cx: &mut Context<'_, R, F>) {
        if mem::replace(&mut self.removed, true) {
            return;
        }
        cx.note(Note::Removed { model: self.name().clone() });
        let refusal = Unavailable::NotServed { model: self.name().clone() };
        self.retire_all(cx, Reason::Removed, &refusal);
    }

    /// What is in memory serves on; everything else is given up, and who waits for it is told.
    pub fn drain(&mut self, cx: &mut Context<'_, R, F>) {
        if self.current.resource().is_none() {
            return self.stop(cx);
        }
        if let Some(mut next) = self.next.take() {
            next.take_waiters().iter().for_each(|waiter| cx.refuse(waiter, Unavailable::Stopping));
            next.retire(cx, Reason::Stopping);
            self.former.push(next);
        }
        self.current.take_waiters().iter().for_each(|waiter| cx.refuse(waiter, Unavailable::Stopping));
    }

    /// Nobody is served any more; everything goes as soon as it can.
    pub fn stop(&mut self, cx: &mut Context<'_, R, F>) {
        self.retire_all(cx, Reason::Stopping, &Unavailable::Stopping);
    }

    fn retire_all(&mut self, cx: &mut Context<'_, R, F>, reason: Reason, refusal: &Unavailable) {
        self.former.extend(self.next.take());
        for version in self.former.iter_mut().chain([&mut self.current]) {
            for waiter in version.take_waiters() {
                cx.refuse(&waiter, refusal.clone());
            }
            version.retire(cx, reason);
        }
    }

    /// It was removed, and is not gone yet.
    fn come_again(&mut self, cx: &mut Context<'_, R, F>, spec: Arc<ModelSpec>) {
        let fresh = Self::new(cx.number(), spec, cx.rules.mode != LoadMode::OnDemand);
        let old = mem::replace(self, fresh);
        self.former = old.former;
        self.former.push(old.current);
        self.preload(cx);
    }

    /// Everything but what is loaded is as the configuration says now.
    fn adopt(&mut self, spec: &ModelSpec) {
        for version in [Some(&mut self.current), self.next.as_mut()].into_iter().flatten() {
            version.adopt(spec);
        }
    }

    /// Another version, of one that serves nobody; its callers wait for the other one.
    fn replace(&mut self, cx: &mut Context<'_, R, F>, spec: Arc<ModelSpec>) {
        self.failed_update = None;
        let fresh = ModelVersion::new(cx.number(), spec, Role::Serving, false);
        let mut old = mem::replace(&mut self.current, fresh);
        self.current.replaces(&old);
        let callers = old.take_callers();
        old.retire(cx, Reason::Updated);
        self.former.push(old);
        callers.into_iter().for_each(|waiter| self.current.ask(cx, waiter, true));
        self.current.preload(cx);
    }
}

// === impl Model: the course of an update ===

impl<R: Resource, F: Clone> Model<R, F> {
    /// News of a fetch. A version that turns out to be the one that there is has arrived.
    pub fn fetched(
        &mut self,
        cx: &mut Context<'_, R, F>,
        attempt: Attempt,
        result: Result<Stock<F>, Failure>,
        jitter: f64,
    ) {
        if let Ok(stock) = &result
            && self.next.as_ref().is_some_and(|next| next.attempt() == Some(attempt) && self.is_current(next, stock))
        {
            return self.up_to_date(cx);
        }
        if let Some(version) = self.versions_mut().find(|version| version.attempt() == Some(attempt)) {
            version.fetched(cx, result, jitter);
        }
    }

    /// Whether anything changed.
    pub fn settle(&mut self, cx: &mut Context<'_, R, F>) -> bool {
        self.former.retain(|version| !version.at_rest());
        match &mut self.next {
            Some(next) if next.resource().is_some() => self.change_places(cx),
            Some(next) if next.at_rest() => self.update_failed(cx),
            Some(next) if next.needs_memory() && self.current.gone() => {
                self.current.take_callers().into_iter().for_each(|waiter| next.ask(cx, waiter, true));
                return false;
            }
            _ => return false,
        }
        true
    }

    fn is_current(&self, next: &ModelVersion<R, F>, stock: &Stock<F>) -> bool {
        let known = self.current.stock().and_then(|stock| stock.revision.as_ref());
        stock.revision.is_some() && known == stock.revision.as_ref() && self.current.spec().runs_like(next.spec())
    }

    fn up_to_date(&mut self, cx: &mut Context<'_, R, F>) {
        let Some(mut next) = self.next.take() else { return };
        self.current.comes_from(next.spec());
        let revision = self.current.stock().and_then(|stock| stock.revision.clone());
        cx.note(Note::UpToDate { model: self.name().clone(), revision });
        for waiter in next.take_waiters() {
            let condition =
                if waiter.condition == WaitCondition::Updated { WaitCondition::Ready } else { waiter.condition };
            self.current.ask(cx, Waiter { condition, ..waiter }, true);
        }
    }

    /// Requests move over; what runs on the old one is finished there.
    fn change_places(&mut self, cx: &mut Context<'_, R, F>) {
        let Some(next) = self.next.take() else { return };
        self.missed &= !self.configured.loads_like(next.spec());
        let mut old = mem::replace(&mut self.current, next);
        self.current.succeeds(&old);
        let revision = |version: &ModelVersion<R, F>| version.stock().and_then(|stock| stock.revision.clone());
        cx.note(Note::Updated { model: self.name().clone(), from: revision(&old), to: revision(&self.current) });
        let callers = old.take_callers();
        old.retire(cx, Reason::Updated);
        self.former.push(old);
        callers.into_iter().for_each(|waiter| self.current.ask(cx, waiter, false));
    }

    /// The one that there is serves on, also those who waited for the other.
    fn update_failed(&mut self, cx: &mut Context<'_, R, F>) {
        let Some(next) = self.next.take() else { return };
        if let Some(error) = next.view_error() {
            cx.note(Note::UpdateFailed { model: self.name().clone(), reason: error.message.clone() });
            self.failed_update = Some(FailedUpdate { revision: next.spec().revision().map(str::to_owned), error });
        }
        self.missed |= self.configured.loads_like(next.spec());
        let (ours, others) = mem::take(&mut cx.orphans).into_iter().partition(|(model, _)| model == self.name());
        cx.orphans = others;
        let ours: Vec<_> = ours;
        ours.into_iter().for_each(|(_, waiter)| self.current.ask(cx, waiter, false));
    }

    fn give_up_update(&mut self, cx: &mut Context<'_, R, F>, reason: &str) {
        let Some(mut next) = self.next.take() else { return };
        let (model, reason) = (self.name().clone(), reason.to_owned());
        cx.note(Note::UpdateFailed { model: model.clone(), reason: reason.clone() });
        for waiter in next.take_waiters() {
            match waiter.condition {
                WaitCondition::Updated => cx.refuse(&waiter, superseded(&model, &reason)),
                _ => self.current.ask(cx, waiter, false),
            }
        }
        next.retire(cx, Reason::Updated);
        self.former.push(next);
    }
}

fn superseded(model: &ModelName, reason: &str) -> Unavailable {
    Unavailable::UpdateGivenUp { model: model.clone(), reason: reason.to_owned() }
}

// === impl Model: what may be known of it ===

impl<R: Resource, F: Clone> Model<R, F> {
    pub fn name(&self) -> &ModelName {
        &self.configured.name
    }

    pub fn configured(&self) -> &Arc<ModelSpec> {
        &self.configured
    }

    pub fn removed(&self) -> bool {
        self.removed
    }

    pub fn gone(&self) -> bool {
        self.removed && self.versions().all(ModelVersion::at_rest)
    }

    /// Whether one of its versions is at that fetch or load.
    pub fn attempts(&self, attempt: Attempt) -> bool {
        self.versions().any(|version| version.attempt() == Some(attempt))
    }

    pub fn versions(&self) -> impl Iterator<Item = &ModelVersion<R, F>> {
        [&self.current].into_iter().chain(&self.next).chain(&self.former)
    }

    pub fn versions_mut(&mut self) -> impl Iterator<Item = &mut ModelVersion<R, F>> {
        [&mut self.current].into_iter().chain(&mut self.next).chain(&mut self.former)
    }

    /// Those of its versions that wait for room.
    pub fn room_requests(&self) -> impl Iterator<Item = (VersionId, RoomRequest)> {
        let want = |version: &ModelVersion<R, F>, instead_of| {
            Some((version.id(), RoomRequest { instead_of, ..version.room_request()? }))
        };
        let next = self.next.as_ref().and_then(|next| want(next, Some(self.current.id())));
        want(&self.current, None).into_iter().chain(next)
    }

    pub fn preloaded(&self) -> bool {
        self.removed || self.current.preloaded()
    }

    pub fn preload_failed(&self) -> Option<String> {
        self.current.preload_failed()
    }

    pub fn view(&self, rules: &Rules, now: Instant, estimates: &QueueEstimates) -> View<'_, R, F> {
        // While the old one is gone and the new one not there yet, that one is the model.
        let next = self.next.as_ref().filter(|next| next.needs_memory() && self.current.gone());
        let shown = next.unwrap_or(&self.current);
        let estimate = estimates.get(&shown.id()).copied();
        let waiting = self
            .versions()
            .flat_map(ModelVersion::waiters)
            .filter(|waiter| matches!(waiter.condition, WaitCondition::Lease { .. }));
        View {
            spec: &self.configured,
            status: shown.status(),
            since: shown.since(),
            progress: shown.loading_progress(),
            stock: self.current.stock(),
            resource: self.current.resource(),
            warm: self.current.is_warm(),
            idle_since: self.current.idle_since(),
            expires_at: self.current.idle_deadline(rules),
            waiting: waiting.count(),
            place: estimate.map(|estimate| estimate.place),
            expected_in: estimate.map(|estimate| estimate.wait).or_else(|| shown.remaining(now)),
            error: self.current.view_error(),
            update: self.view_update(),
            freed: self.current.freed(),
        }
    }

    fn view_update(&self) -> Option<UpdateView> {
        if let Some(next) = &self.next {
            let fetched = next.stock().and_then(|stock| stock.revision.clone());
            let revision = fetched.or_else(|| next.spec().revision().map(str::to_owned));
            return Some(UpdateView {
                revision,
                status: next.status(),
                progress: next.loading_progress(),
                error: None,
            });
        }
        let FailedUpdate { revision, error } = self.failed_update.as_ref()?;
        let (revision, error) = (revision.clone(), Some(error.clone()));
        Some(UpdateView { revision, status: Status::Failed, progress: None, error })
    }
}

/// Every version of every model.
pub(super) fn versions_mut<R: Resource, F: Clone>(
    models: &mut [Model<R, F>],
) -> impl Iterator<Item = &mut ModelVersion<R, F>> {
    models.iter_mut().flat_map(Model::versions_mut)
}
