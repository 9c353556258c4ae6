//! The state of every model and how it changes: pure, without clock, task, lock or I/O.
//!
//! ```text
//!           wanted             fetched           room             loaded + warm
//! Absent ───────────► Downloading ─────► Fetched ──────► Loading ──────────► Ready ──────────┐
//!  ▲  ▲                   │ err             │ never fits     │ err            │ │ in use     │ idle, and evicted,
//!  │  │    asked, or      │                 ▼                │           died │ ▼            │ asked or stopping
//!  │  └──── retry_at ─── Failed ◄───────────┴────────────────┴────────────────┘ Draining     │
//!  │                                                                            │ unused     │
//!  └──────────────────────────────────── ended ─────────── Unloading ◄──────────┴────────────┘
//! ```
//!
//! That is the life of one [`version`] of a model. A model that is unloaded keeps its files, so `Absent` with files goes
//! to `Fetched` directly. `Draining` and `Unloading` collect callers who want the model again; they make it `Fetched`
//! once its memory is free. A [`model`] has the version that serves, beside it the one that is to take its place while it
//! is updated, and those that are on their way out. In what order versions get memory is decided in [`room_requests`].
//!
//! Each [`Machine::step`] applies one event and then restores the invariants: who has left or timed out is gone, what is
//! idle for too long goes, whoever waits for room gets it in order of arrival, a version that is ready takes its place,
//! what went for a model that did not come is brought back, and of those that left an accelerator as many stay in host
//! memory as [may](host_memory).

mod context;
mod effect;
mod event;
mod host_memory;
mod ids;
mod model;
mod queue_estimate;
mod resource;
mod room_requests;
mod rules;
#[cfg(test)]
mod tests;
mod version;
mod view;
mod waiter;
mod warmth;

use std::{mem, ops::BitOr, sync::Arc, time::Instant};

use self::{
    context::{Context, next},
    model::{Model, versions_mut},
    version::ModelVersion,
};
pub(super) use self::{
    effect::{Answer, Effect, Note, Reason},
    event::{Event, Stock},
    ids::{Attempt, VersionId},
    resource::Resource,
    rules::Rules,
    view::{UpdateView, View, ViewError},
    waiter::{WaitCondition, Waiter},
};
use super::{LoadMode, ModelSpec};
use crate::speech::ModelName;

/// All models. `R` is a loaded model, `F` are the files of one.
pub(super) struct Machine<R, F> {
    rules: Rules,
    models: Vec<Model<R, F>>,
    /// The last number that was given to a version or an attempt.
    numbers: u64,
    /// The start was complete once; what comes later does not make it incomplete.
    started: bool,
    /// The limits may be lower than what is in memory.
    tight: bool,
    stopping: bool,
}

// === impl Machine ===

impl<R: Resource, F: Clone> Machine<R, F> {
    pub fn new(rules: Rules, specs: Vec<Arc<ModelSpec>>) -> Self {
        let mut numbers = 0;
        let preloads = rules.mode != LoadMode::OnDemand;
        let models = specs.into_iter().map(|spec| Model::new(next(&mut numbers), spec, preloads)).collect();
        Self { rules, models, numbers, started: false, tight: false, stopping: false }
    }

    /// Applies one event. Time never runs backwards from one call to the next.
    pub fn step(&mut self, now: Instant, event: Event<R, F>) -> Vec<Effect<R, F>> {
        self.stopping |= matches!(event, Event::Drain | Event::Stop);
        if let Event::Configure { rules, .. } = &event {
            // When models are loaded at the start is past.
            self.rules = Rules { mode: self.rules.mode, ..rules.clone() };
            self.tight = true;
        }
        let mut cx = Context {
            now,
            rules: &self.rules,
            numbers: &mut self.numbers,
            started: self.started,
            stopping: self.stopping,
            out: Vec::new(),
            orphans: Vec::new(),
            displaced: Vec::new(),
        };
        apply(&mut self.models, &mut cx, event);
        settle(&mut self.models, &mut cx, &mut self.tight);
        let effects = cx.out;
        self.started |= self.models.iter().all(Model::preloaded);
        effects
    }

    /// When [`Event::Tick`] is due, if nothing happens before.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let versions = self.models.iter().flat_map(Model::versions);
        let versions = versions.filter_map(|version| version.deadline(&self.rules, self.stopping));
        versions.chain(room_requests::next_deadline(&self.models, &self.rules, now)).min()
    }

    /// The state of each model, in the order of the configuration.
    pub fn views(&self, now: Instant) -> impl Iterator<Item = View<'_, R, F>> {
        let estimates = room_requests::estimates(&self.models, &self.rules, now);
        self.models.iter().map(move |model| model.view(&self.rules, now, &estimates))
    }

    /// What a model is made of, as the configuration has it.
    pub fn configured(&self, name: &ModelName) -> Option<&Arc<ModelSpec>> {
        self.models.iter().find(|model| model.name() == name && !model.removed()).map(Model::configured)
    }

    /// All of them, in the order of the configuration.
    pub fn specs(&self) -> impl Iterator<Item = &Arc<ModelSpec>> {
        self.models.iter().filter(|model| !model.removed()).map(Model::configured)
    }

    pub fn stock(&self, id: VersionId) -> Option<&Stock<F>> {
        self.version(id)?.stock()
    }

    pub fn resource(&self, id: VersionId) -> Option<&R> {
        self.version(id)?.resource()
    }

    pub fn preload_complete(&self) -> bool {
        self.started || self.models.iter().all(Model::preloaded)
    }

    pub fn preload_failed(&self) -> Option<String> {
        if self.started { None } else { self.models.iter().find_map(Model::preload_failed) }
    }

    pub fn stopping(&self) -> bool {
        self.stopping
    }

    /// Nothing is in memory, nothing is under way and nobody waits.
    pub fn at_rest(&self) -> bool {
        self.models.iter().flat_map(Model::versions).all(ModelVersion::at_rest)
    }

    fn version(&self, id: VersionId) -> Option<&ModelVersion<R, F>> {
        self.models.iter().flat_map(Model::versions).find(|version| version.id() == id)
    }
}

/// What the event means to the model that it is about. News of attempts that are over mean nothing.
fn apply<R: Resource, F: Clone>(models: &mut Vec<Model<R, F>>, cx: &mut Context<'_, R, F>, event: Event<R, F>) {
    match event {
        Event::Start => models.iter_mut().for_each(|model| model.preload(cx)),
        Event::Ask { model, waiter, explicit } => match find(models, &model) {
            Some(model) => model.ask(cx, waiter, explicit),
            None => cx.refuse_unknown(&waiter, model),
        },
        Event::Update { spec, waiter } => match find(models, &spec.name) {
            Some(model) => model.update(cx, spec, Some(waiter)),
            None => cx.refuse_unknown(&waiter, spec.name.clone()),
        },
        Event::Configure { specs, .. } => configure(models, cx, specs),
        Event::Left { waiter } => versions_mut(models).for_each(|version| version.forget(waiter)),
        Event::Progress { attempt, progress } => {
            attempting(models, attempt).into_iter().for_each(|version| version.progress(progress));
        }
        Event::Fetched { attempt, result, jitter } => {
            if let Some(model) = models.iter_mut().find(|model| model.attempts(attempt)) {
                model.fetched(cx, attempt, result, jitter);
            }
        }
        Event::Loaded { attempt, result, jitter } => {
            if let Some(version) = attempting(models, attempt) {
                version.loaded(cx, result, jitter);
            }
        }
        Event::Ended { attempt, end, jitter } => {
            if let Some(version) = attempting(models, attempt) {
                version.ended(cx, end, jitter);
            }
        }
        Event::Warmed { version, files } => {
            if let Some(version) = versions_mut(models).find(|known| known.id() == version) {
                version.warmed(cx, files);
            }
        }
        Event::Released | Event::Tick => {}
        Event::Drain => models.iter_mut().for_each(|model| model.drain(cx)),
        Event::Stop => models.iter_mut().for_each(|model| model.stop(cx)),
    }
}

/// Restores the invariants.
fn settle<R: Resource, F: Clone>(models: &mut Vec<Model<R, F>>, cx: &mut Context<'_, R, F>, tight: &mut bool) {
    for model in models.iter_mut() {
        model.settle(cx);
    }
    versions_mut(models).for_each(|version| version.observe(cx));
    *tight = *tight && room_requests::shrink(models, cx);
    loop {
        room_requests::make_rooms(models, cx);
        let settled = models.iter_mut().map(|model| model.settle(cx)).fold(false, bool::bitor);
        if !(bring_back(models, cx) || settled) {
            break;
        }
    }
    host_memory::settle(models, cx);
    let estimates = room_requests::estimates(models, cx.rules, cx.now);
    versions_mut(models).for_each(|version| version.time_out(cx, estimates.get(&version.id())));
    models.retain(|model| !model.gone());
}

/// What went for a model that did not come is brought back, unless somebody else wants the room.
fn bring_back<R: Resource, F: Clone>(models: &mut [Model<R, F>], cx: &mut Context<'_, R, F>) -> bool {
    let displaced = mem::take(&mut cx.displaced);
    let gone = versions_mut(models).filter(|version| displaced.contains(&version.id()));
    gone.map(|version| version.bring_back(cx)).fold(false, bool::bitor)
}

/// These are the models from now on: others go when their last lease ends, new ones come, changed ones change.
fn configure<R: Resource, F: Clone>(
    models: &mut Vec<Model<R, F>>,
    cx: &mut Context<'_, R, F>,
    specs: Vec<Arc<ModelSpec>>,
) {
    if cx.stopping {
        return;
    }
    let mut before = mem::take(models);
    for spec in specs {
        let model = match before.iter().position(|model| *model.name() == spec.name) {
            Some(known) => {
                let mut model = before.remove(known);
                model.configure(cx, spec);
                model
            }
            None => {
                let mut model = Model::new(cx.number(), spec, cx.rules.mode != LoadMode::OnDemand);
                model.preload(cx);
                model
            }
        };
        models.push(model);
    }
    before.iter_mut().for_each(|model| model.remove(cx));
    models.append(&mut before);
    versions_mut(models).for_each(|version| version.forget_limits(cx.rules));
}

fn find<'a, R: Resource, F: Clone>(models: &'a mut [Model<R, F>], name: &ModelName) -> Option<&'a mut Model<R, F>> {
    models.iter_mut().find(|model| model.name() == name && !model.removed())
}

fn attempting<R: Resource, F: Clone>(models: &mut [Model<R, F>], attempt: Attempt) -> Option<&mut ModelVersion<R, F>> {
    versions_mut(models).find(|version| version.attempt() == Some(attempt))
}
