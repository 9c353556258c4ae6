//! How a model gets from one phase to another.

use std::time::{Duration, Instant};

use super::{
    Answer, Cause, Context, Effect, Failure, ModelVersion, Note, Phase, Preload, Progress, Reason, Resource, Role,
    Stock, TargetState, VersionId, WaitCondition, Waiter, Warmth, phase::Refusal,
};
use crate::lifecycle::{OnPreloadFailure, TooLarge};

impl<R: Resource, F: Clone> ModelVersion<R, F> {
    /// Starts on the way into memory, from wherever the files are.
    pub fn bring(&mut self, cx: &mut Context<'_, R, F>, cause: Cause, target: TargetState, waiters: Vec<Waiter>) {
        if let Phase::Absent { stock: Some(stock) } | Phase::Failed { stock: Some(stock), .. } = &self.phase {
            let stock = stock.clone();
            return self.wait_for_room(cx, stock, target, waiters, cx.now);
        }
        let attempt = cx.number();
        self.phase = Phase::Downloading { attempt, since: cx.now, progress: Progress::default(), target, waiters };
        cx.note(Note::Downloading { model: self.name().clone(), cause });
        let budget = (target != TargetState::Files).then(|| cx.rules.limits.budget.clone());
        cx.out.push(Effect::Fetch { attempt, spec: self.spec.clone(), budget });
    }

    /// It went for another, which did not come. Whether it is brought back.
    pub fn bring_back(&mut self, cx: &mut Context<'_, R, F>) -> bool {
        let here = self.role == Role::Serving && matches!(self.phase, Phase::Absent { stock: Some(_) });
        if !here || cx.stopping {
            return false;
        }
        cx.note(Note::BringingBack { model: self.name().clone() });
        self.bring(cx, Cause::Retry, TargetState::Preload, Vec::new());
        true
    }

    /// These go for it.
    pub fn displaces(&mut self, others: &[VersionId]) {
        if let Phase::Fetched { displaced, .. } = &mut self.phase {
            displaced.extend(others);
        }
    }

    /// The files are here: those who wanted no more are answered, the others wait for room since `since`.
    pub(super) fn wait_for_room(
        &mut self,
        cx: &mut Context<'_, R, F>,
        mut stock: Stock<F>,
        target: TargetState,
        waiters: Vec<Waiter>,
        since: Instant,
    ) {
        let (done, waiters): (Vec<_>, Vec<_>) =
            waiters.into_iter().partition(|waiter| waiter.condition == WaitCondition::Fetched);
        done.iter().for_each(|waiter| cx.answer(waiter, Answer::Reached));
        self.phase = match target {
            TargetState::Files => {
                self.failures = 0;
                Phase::Absent { stock: Some(stock) }
            }
            TargetState::Preload | TargetState::Serve => {
                stock.settle(&cx.rules.limits.budget);
                Phase::Fetched { since, stock, target, displaced: Vec::new(), waiters }
            }
        };
    }

    /// There is room.
    pub fn load(&mut self, cx: &mut Context<'_, R, F>) {
        match self.take() {
            Phase::Fetched { stock, displaced, waiters, .. } => {
                let attempt = cx.number();
                cx.note(Note::Loading { model: self.name().clone(), footprint: stock.bytes() });
                let files = self.warmth.take().unwrap_or_else(|| stock.files.clone());
                let residency = stock.residency;
                cx.out.push(Effect::Load { attempt, spec: self.spec.clone(), files, residency });
                self.phase = Phase::Loading { attempt, since: cx.now, stock, displaced, waiters };
            }
            other => self.phase = other,
        }
    }

    /// Serves those who waited for a model that is ready now, unless it has no place any more.
    pub(super) fn welcome(&mut self, cx: &mut Context<'_, R, F>, waiters: Vec<Waiter>) {
        if self.preload != Preload::No {
            self.preload = Preload::Done;
        }
        for waiter in waiters {
            match self.at_once(&waiter, cx.now, false) {
                Some(answer) => cx.answer(&waiter, answer),
                // Every condition that waits for a load is reached by it.
                None => cx.answer(&waiter, Answer::Reached),
            }
        }
        if let Role::Former(reason) = self.role {
            self.evict(cx, reason);
        }
    }

    /// Takes no new leases; goes at once if there are none.
    pub fn evict(&mut self, cx: &mut Context<'_, R, F>, reason: Reason) {
        match self.take() {
            Phase::Ready { attempt, stock, resource, .. } => {
                // It was well when it went.
                self.failures = 0;
                self.keep_alive = None;
                cx.note(Note::Evicting { model: self.name().clone(), reason, leased: resource.leased() });
                self.phase = Phase::Draining { attempt, since: cx.now, stock, resource, waiters: Vec::new() };
                self.drained(cx);
            }
            other => self.phase = other,
        }
    }

    /// Goes, if the last lease has ended.
    pub(super) fn drained(&mut self, cx: &mut Context<'_, R, F>) {
        match self.take() {
            Phase::Draining { attempt, stock, resource, waiters, .. } if !resource.leased() => {
                cx.out.push(Effect::Unload { resource });
                self.phase = Phase::Unloading { attempt, since: cx.now, stock, waiters };
            }
            other => self.phase = other,
        }
    }

    /// Those who wanted it gone are answered; those who want it back wait for room, each since it came.
    pub(super) fn after_unloading(&mut self, cx: &mut Context<'_, R, F>, stock: Stock<F>, waiters: Vec<Waiter>) {
        let (gone, back): (Vec<_>, Vec<_>) =
            waiters.into_iter().partition(|waiter| waiter.condition == WaitCondition::Unloaded);
        gone.iter().for_each(|waiter| cx.answer(waiter, Answer::Reached));
        if self.role == Role::Serving && gone.is_empty() && !cx.stopping {
            self.warmth = Warmth::of(&stock, cx.now);
        }
        match back.iter().map(|waiter| waiter.since).min() {
            Some(since) => self.wait_for_room(cx, stock, TargetState::Serve, back, since),
            None => self.phase = Phase::Absent { stock: Some(stock) },
        }
    }

    pub(super) fn died(
        &mut self,
        cx: &mut Context<'_, R, F>,
        since: Instant,
        waiters: Vec<Waiter>,
        died: Option<String>,
        jitter: f64,
    ) {
        // A model that served for long starts afresh; one that dies again and again is left in peace for longer.
        if cx.now.saturating_duration_since(since) >= cx.rules.retry_max {
            self.failures = 0;
        }
        let reason = died.unwrap_or_else(|| "the model ended unexpectedly".to_owned());
        self.fail(cx, Failure::transient(reason), waiters, jitter);
    }

    pub(super) fn fail(&mut self, cx: &mut Context<'_, R, F>, failure: Failure, waiters: Vec<Waiter>, jitter: f64) {
        self.failures += 1;
        let retry_in = (!failure.permanent).then(|| cx.back_off(&failure, self.failures, jitter));
        self.note_failure(cx, failure.clone(), retry_in);
        self.preload_missed(cx, &failure.reason, failure.permanent);
        self.refuse_all(cx, None, Refusal::Failure(failure), waiters, retry_in);
    }

    /// It can never be loaded under these limits.
    pub fn wont_fit(&mut self, cx: &mut Context<'_, R, F>, budget: u64) {
        match self.take() {
            Phase::Fetched { stock, displaced, waiters, .. } => {
                cx.displaced.extend(displaced);
                let size = TooLarge { need: stock.footprint, device: stock.device.clone() };
                self.outgrown(cx, Some(stock), size, budget, waiters);
            }
            other => self.phase = other,
        }
    }

    /// It was weighed before its files came, and was too large for what its fetch began under. Who wants no more than the
    /// files gets them; where the limits were raised meanwhile, it is tried again.
    pub(super) fn too_large(
        &mut self,
        cx: &mut Context<'_, R, F>,
        size: TooLarge,
        target: TargetState,
        waiters: Vec<Waiter>,
    ) {
        let budget = cx.rules.limits.budget.on(&size.device);
        let Some(budget) = budget.filter(|limit| size.need.within(budget) > *limit) else {
            return self.bring(cx, Cause::Retry, target, waiters);
        };
        let (files, waiters): (Vec<_>, Vec<_>) =
            waiters.into_iter().partition(|waiter| waiter.condition == WaitCondition::Fetched);
        self.outgrown(cx, None, size, budget, waiters);
        if !files.is_empty() {
            self.bring(cx, Cause::Requested, TargetState::Files, files);
        }
    }

    fn outgrown(
        &mut self,
        cx: &mut Context<'_, R, F>,
        stock: Option<Stock<F>>,
        size: TooLarge,
        budget: u64,
        waiters: Vec<Waiter>,
    ) {
        let refusal = Refusal::WontFit { size, budget };
        let (reason, obstacle) = (refusal.reason(), refusal.obstacle());
        let failure = Failure { reason, permanent: true, retry_after: None, obstacle };
        self.failures += 1;
        self.preload_missed(cx, &failure.reason, true);
        self.note_failure(cx, failure, None);
        self.refuse_all(cx, stock, refusal, waiters, None);
    }

    /// An update that fails is its model's to tell.
    fn note_failure(&self, cx: &mut Context<'_, R, F>, failure: Failure, retry_in: Option<Duration>) {
        if self.role != Role::Next {
            let (model, attempts) = (self.name().clone(), self.failures);
            cx.note(Note::Failed { model, failure, attempts, retry_in });
        }
    }

    pub(super) fn refuse_all(
        &mut self,
        cx: &mut Context<'_, R, F>,
        stock: Option<Stock<F>>,
        failure: Refusal,
        waiters: Vec<Waiter>,
        retry_in: Option<Duration>,
    ) {
        for waiter in waiters {
            match waiter.condition {
                WaitCondition::Unloaded => cx.answer(&waiter, Answer::Reached),
                WaitCondition::Lease { .. } | WaitCondition::Ready | WaitCondition::Fetched
                    if self.role == Role::Next =>
                {
                    cx.orphans.push((self.name().clone(), waiter));
                }
                WaitCondition::Lease { .. } | WaitCondition::Ready | WaitCondition::Fetched => {
                    cx.refuse(&waiter, failure.told(&self.spec.name, retry_in));
                }
                WaitCondition::Updated => cx.refuse(&waiter, failure.told_of_update(&self.spec.name)),
            }
        }
        let retry_at = retry_in.map(|after| cx.now + after);
        self.phase = Phase::Failed { since: cx.now, stock, failure, retry_at };
    }

    /// Those who stay in memory leave no room; the files stay here and the next request asks again.
    pub fn no_room(&mut self, cx: &mut Context<'_, R, F>, reason: String) {
        match self.take() {
            Phase::Fetched { displaced, waiters, .. } if self.role == Role::Next => {
                cx.displaced.extend(displaced);
                self.fail(cx, Failure::transient(reason), waiters, 1.0);
            }
            Phase::Fetched { stock, displaced, waiters, .. } => {
                cx.displaced.extend(displaced);
                self.phase = Phase::Absent { stock: Some(stock) };
                for waiter in waiters {
                    cx.refuse(&waiter, self.without_room(reason.clone(), None));
                }
                self.preload_missed(cx, &reason, true);
            }
            other => self.phase = other,
        }
    }

    /// What the configuration says about a model that is not there at the start. `for_good`: time will not cure it.
    pub(super) fn preload_missed(&mut self, cx: &mut Context<'_, R, F>, reason: &str, for_good: bool) {
        let Preload::Pending { failed } = &mut self.preload else { return };
        // Once a server has started it goes on: a model that comes later does not end it.
        let policy = match cx.rules.on_preload_failure {
            OnPreloadFailure::Exit if cx.started => OnPreloadFailure::Retry,
            policy => policy,
        };
        *failed = for_good.then(|| reason.to_owned());
        let (model, lazy) = (self.spec.name.clone(), policy == OnPreloadFailure::Lazy);
        cx.note(Note::PreloadFailed { model: model.clone(), reason: reason.to_owned(), lazy });
        match policy {
            OnPreloadFailure::Retry => {}
            OnPreloadFailure::Lazy => self.preload = Preload::No,
            OnPreloadFailure::Exit => {
                let reason = format!("the model {model} could not be loaded: {reason}");
                cx.out.push(Effect::Exit { reason });
            }
        }
    }
}
