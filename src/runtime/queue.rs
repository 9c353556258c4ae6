//! The bounded queue before a model.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Pulse, Rejected, Work, metrics::ModelMetrics};
use crate::{
    model::{RequestError, Signal},
    speech::TaskKind,
};

/// A request is taken to last so long until one was measured, in seconds.
const FIRST_GUESS: f64 = 1.0;
/// Weight of the newest measure in the running mean.
const NEWEST: f64 = 0.3;
/// No client is told to come back sooner.
const SOONEST: Duration = Duration::from_secs(1);

/// Requests in order of arrival, `capacity` at most, and beside them those who waited for the model.
pub(super) struct Queue {
    // Held for a few instructions only, or for one pass over the queue; never while a model works.
    state: Mutex<State>,
    /// Wakes the model's thread; callers of requests that it works on raise it as well.
    signal: Arc<Signal>,
    capacity: usize,
    pulse: Arc<Pulse>,
    metrics: ModelMetrics,
}

/// Nothing follows; `lost` says why, where it is not because nobody asks any more.
pub(super) struct Closed {
    pub lost: Option<String>,
}

struct State {
    /// In order of arrival.
    requests: VecDeque<Queued>,
    closed: bool,
    /// Why the model's device is lost.
    lost: Option<String>,
    /// Running mean of the seconds that a request takes.
    request_seconds: f64,
}

struct Queued {
    work: Work,
    /// When its caller came, which may be before the model was there.
    arrived: Instant,
}

// === impl Queue ===

impl Queue {
    pub fn new(capacity: usize, pulse: Arc<Pulse>, metrics: ModelMetrics) -> Self {
        let state = State { requests: VecDeque::new(), closed: false, lost: None, request_seconds: FIRST_GUESS };
        Self { state: Mutex::new(state), signal: Arc::default(), capacity: capacity.max(1), pulse, metrics }
    }

    /// Appends a request. Those that nobody waits for any more make way.
    pub fn push(&self, work: Work) -> Result<(), Rejected> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Rejected::Closed);
        }
        if state.requests.len() >= self.capacity {
            state.sweep();
        }
        let depth = state.requests.len();
        if depth >= self.capacity {
            return Err(Rejected::Full { depth, retry_after: state.retry_after() });
        }
        state.insert(work, Instant::now());
        self.tell(&state);
        drop(state);
        self.signal.raise();
        Ok(())
    }

    /// Puts a request before those that came later, whatever the capacity: how many there may be was decided where they
    /// waited for the model.
    pub fn push_in_line(&self, work: Work, arrived: Instant) -> Result<(), Rejected> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Rejected::Closed);
        }
        state.insert(work, arrived);
        self.tell(&state);
        drop(state);
        self.signal.raise();
        Ok(())
    }

    /// Waits for the next request. Only the model's thread does. `None`: somebody raised the signal, and there is none.
    pub fn wait(&self) -> Result<Option<Work>, Closed> {
        match self.now()? {
            Some(work) => Ok(Some(work)),
            None => {
                self.signal.wait(None);
                self.now()
            }
        }
    }

    fn now(&self) -> Result<Option<Work>, Closed> {
        let mut state = self.state.lock();
        if let Some(reason) = &state.lost {
            return Err(Closed { lost: Some(reason.clone()) });
        }
        match state.requests.pop_front() {
            Some(Queued { work, .. }) => Ok(Some(self.taken(&state, work))),
            None if state.closed => Err(Closed { lost: None }),
            None => Ok(None),
        }
    }

    /// What wakes the one who [waits](Self::wait).
    pub fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// When the first of those who wait must be answered, whatever happens.
    pub fn deadline(&self) -> Option<Instant> {
        self.state.lock().requests.iter().filter_map(|queued| queued.work.deadline()).min()
    }

    /// The next request if it is of that task. One of another task at the head gets its turn first, so that a steady
    /// stream of one task cannot starve another. Unless others may be `passed`: where the model waits for its callers,
    /// nobody is served the sooner for standing still.
    pub fn next(&self, kind: TaskKind, passing: bool) -> Option<Work> {
        let mut state = self.state.lock();
        let place = state
            .requests
            .iter()
            .position(|queued| queued.work.kind() == kind)
            .filter(|place| passing || *place == 0)?;
        let work = state.requests.remove(place)?.work;
        Some(self.taken(&state, work))
    }

    /// Answers those that nobody waits for any more.
    pub fn sweep(&self) {
        let mut state = self.state.lock();
        if state.sweep() {
            self.tell(&state);
        }
    }

    /// Takes no more requests; those that wait are still handed out.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.signal.raise();
    }

    /// Takes no more requests, and hands out none: the model's device computes nothing any more.
    pub fn lose(&self, reason: &str) {
        let mut state = self.state.lock();
        state.closed = true;
        state.lost = Some(reason.to_owned());
        drop(state);
        self.signal.raise();
    }

    /// Takes no more requests and fails those that wait.
    pub fn abandon(&self, error: &RequestError) {
        let requests = {
            let mut state = self.state.lock();
            state.closed = true;
            let requests = std::mem::take(&mut state.requests);
            self.tell(&state);
            requests
        };
        self.signal.raise();
        requests.into_iter().for_each(|queued| queued.work.fail(error.clone()));
    }

    /// Tells how long so many requests took together.
    pub fn measured(&self, requests: usize, took: Duration) {
        let each = took.as_secs_f64() / requests.max(1) as f64;
        let mut state = self.state.lock();
        state.request_seconds += NEWEST * (each - state.request_seconds);
    }

    fn taken(&self, state: &State, work: Work) -> Work {
        self.tell(state);
        self.metrics.queued(work.age());
        work
    }

    fn tell(&self, state: &State) {
        self.metrics.depth(self.pulse.queued(), state.requests.len());
        self.pulse.set_queued(state.requests.len());
    }
}

// === impl State ===

impl State {
    fn insert(&mut self, work: Work, arrived: Instant) {
        let place = self.requests.partition_point(|queued| queued.arrived <= arrived);
        self.requests.insert(place, Queued { work, arrived });
    }

    /// When those that wait now are likely to be done.
    fn retry_after(&self) -> Duration {
        Duration::from_secs_f64(self.request_seconds * self.requests.len() as f64).max(SOONEST)
    }

    /// Whether any was answered.
    fn sweep(&mut self) -> bool {
        let before = self.requests.len();
        for _ in 0..before {
            let Some(queued) = self.requests.pop_front() else { break };
            match queued.work.over() {
                Some(error) => queued.work.fail(error),
                None => self.requests.push_back(queued),
            }
        }
        self.requests.len() != before
    }
}
