//! How a model gets from one phase to another.

use std::time::{Duration, Instant};

use super::{
    super::{LoadMode, OnPreloadFailure},
    Answer, Cause, Context, Desire, Effect, Failure, Goal, Note, Phase, Preload, Progress, Reason, Resource, Slot,
    Stock, Waiter,
    phase::Refusal,
};

impl<R: Resource, F: Clone> Slot<R, F> {
    /// Starts on the way into memory, from wherever the files are.
    pub(super) fn bring(&mut self, cx: &mut Context<'_, R, F>, cause: Cause, desire: Desire, waiters: Vec<Waiter>) {
        if let Phase::Absent { stock: Some(stock) } = &self.phase {
            let stock = stock.clone();
            return self.shelve(cx, stock, desire, waiters, cx.now);
        }
        let attempt = cx.attempt();
        self.phase = Phase::Downloading { attempt, since: cx.now, progress: Progress::default(), desire, waiters };
        cx.note(Note::Downloading { slot: self.at, cause });
        cx.out.push(Effect::Fetch { slot: self.at, attempt });
    }

    /// The files are here: those who wanted no more are answered, the others wait for room since `since`.
    pub(super) fn shelve(
        &mut self,
        cx: &mut Context<'_, R, F>,
        stock: Stock<F>,
        desire: Desire,
        waiters: Vec<Waiter>,
        since: Instant,
    ) {
        let (done, waiters): (Vec<_>, Vec<_>) = waiters.into_iter().partition(|waiter| waiter.goal == Goal::Fetched);
        done.iter().for_each(|waiter| cx.answer(waiter, Answer::Reached));
        self.phase = match desire {
            Desire::Files => {
                self.failures = 0;
                Phase::Absent { stock: Some(stock) }
            }
            Desire::Preload | Desire::Serve => Phase::Fetched { since, stock, desire, waiters },
        };
    }

    /// There is room.
    pub fn load(&mut self, cx: &mut Context<'_, R, F>) {
        match self.take() {
            Phase::Fetched { stock, waiters, .. } => {
                let attempt = cx.attempt();
                cx.note(Note::Loading { slot: self.at, footprint: stock.footprint });
                cx.out.push(Effect::Load { slot: self.at, attempt, files: stock.files.clone() });
                self.phase = Phase::Loading { attempt, since: cx.now, stock, waiters };
            }
            other => self.phase = other,
        }
    }

    /// Serves those who waited for a model that is ready now, unless the server stops.
    pub(super) fn welcome(&mut self, cx: &mut Context<'_, R, F>, waiters: Vec<Waiter>) {
        if self.preload != Preload::No {
            self.preload = Preload::Done;
        }
        for waiter in waiters {
            match self.at_once(&waiter, cx.now, false) {
                Some(answer) => cx.answer(&waiter, answer),
                // Every goal that waits for a load is reached by it.
                None => cx.answer(&waiter, Answer::Reached),
            }
        }
        if cx.stopping {
            self.evict(cx, Reason::Stopping);
        }
    }

    /// Takes no new leases; goes at once if there are none.
    pub fn evict(&mut self, cx: &mut Context<'_, R, F>, reason: Reason) {
        match self.take() {
            Phase::Ready { attempt, stock, resource, .. } => {
                // It was well when it went.
                self.failures = 0;
                cx.note(Note::Evicting { slot: self.at, reason, leased: resource.leased() });
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
        let (gone, back): (Vec<_>, Vec<_>) = waiters.into_iter().partition(|waiter| waiter.goal == Goal::Unloaded);
        gone.iter().for_each(|waiter| cx.answer(waiter, Answer::Reached));
        match back.iter().map(|waiter| waiter.since).min() {
            Some(since) => self.shelve(cx, stock, Desire::Serve, back, since),
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
        let attempts = self.failures;
        cx.note(Note::Failed { slot: self.at, failure: failure.clone(), attempts, retry_in });
        self.preload_missed(cx, &failure.reason, failure.permanent);
        self.refuse_all(cx, Refusal::Failure(failure), waiters, retry_in);
    }

    /// It can never be loaded under these limits.
    pub fn wont_fit(&mut self, cx: &mut Context<'_, R, F>, need: u64, budget: u64) {
        let waiters = self.take_waiters();
        let refusal = Refusal::WontFit { need, budget };
        let failure = Failure { reason: refusal.reason(), permanent: true, retry_after: None };
        self.failures += 1;
        self.preload_missed(cx, &failure.reason, true);
        cx.note(Note::Failed { slot: self.at, failure, attempts: self.failures, retry_in: None });
        self.refuse_all(cx, refusal, waiters, None);
    }

    pub(super) fn refuse_all(
        &mut self,
        cx: &mut Context<'_, R, F>,
        failure: Refusal,
        waiters: Vec<Waiter>,
        retry_in: Option<Duration>,
    ) {
        for waiter in waiters {
            let answer = match waiter.goal {
                Goal::Unloaded => Answer::Reached,
                Goal::Lease | Goal::Ready | Goal::Fetched => Answer::Refused(failure.told(&self.traits.name, retry_in)),
            };
            cx.answer(&waiter, answer);
        }
        self.phase = Phase::Failed { since: cx.now, failure, retry_at: retry_in.map(|after| cx.now + after) };
    }

    /// Those who stay in memory leave no room; the files stay here and the next request asks again.
    pub fn no_room(&mut self, cx: &mut Context<'_, R, F>, reason: String) {
        match self.take() {
            Phase::Fetched { stock, waiters, .. } => {
                self.phase = Phase::Absent { stock: Some(stock) };
                for waiter in waiters {
                    cx.refuse(&waiter, self.without_room(reason.clone()));
                }
                self.preload_missed(cx, &reason, true);
            }
            other => self.phase = other,
        }
    }

    /// What the configuration says about a model that is not there at the start. `for_good`: time will not cure it.
    pub(super) fn preload_missed(&mut self, cx: &mut Context<'_, R, F>, reason: &str, for_good: bool) {
        let Preload::Pending { failed } = &mut self.preload else { return };
        cx.note(Note::PreloadFailed { slot: self.at, reason: reason.to_owned() });
        match (cx.rules.on_preload_failure, cx.rules.mode) {
            (OnPreloadFailure::Lazy, _) => self.preload = Preload::No,
            (OnPreloadFailure::Exit, LoadMode::Startup) => {
                let reason = format!("the model {} could not be loaded: {reason}", self.traits.name);
                cx.out.push(Effect::Exit { reason });
            }
            (OnPreloadFailure::Exit | OnPreloadFailure::Retry, _) => *failed = for_good.then(|| reason.to_owned()),
        }
    }
}
