//! The bounded queue before a model.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use super::{Pulse, Rejected, Work, metrics::ModelMetrics};
use crate::{model::RequestError, speech::TaskKind};

/// A job is taken to last so long until one was measured, in seconds.
const FIRST_GUESS: f64 = 1.0;
/// Weight of the newest measure in the running mean.
const NEWEST: f64 = 0.3;
/// No client is told to come back sooner.
const SOONEST: Duration = Duration::from_secs(1);

/// Jobs in order of arrival, `capacity` at most.
pub(super) struct Queue {
    // Held for a few instructions only, or for one pass over the queue; never while a model works.
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
    pulse: Arc<Pulse>,
    metrics: ModelMetrics,
}

struct State {
    jobs: VecDeque<Work>,
    closed: bool,
    /// Running mean of the seconds that a job takes.
    job_seconds: f64,
}

// === impl Queue ===

impl Queue {
    pub fn new(capacity: usize, pulse: Arc<Pulse>, metrics: ModelMetrics) -> Self {
        let state = State { jobs: VecDeque::new(), closed: false, job_seconds: FIRST_GUESS };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity: capacity.max(1), pulse, metrics }
    }

    /// Appends a job. Those that nobody waits for any more make way.
    pub fn push(&self, work: Work) -> Result<(), Rejected> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Rejected::Closed);
        }
        if state.jobs.len() >= self.capacity {
            state.sweep();
        }
        let depth = state.jobs.len();
        if depth >= self.capacity {
            return Err(Rejected::Full { depth, retry_after: state.retry_after() });
        }
        state.jobs.push_back(work);
        self.tell(&state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job; waits for one. `None`: the queue is closed and empty.
    pub fn wait(&self) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if let Some(work) = state.jobs.pop_front() {
                return Some(self.taken(&state, work));
            }
            if state.closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    /// The next job if it is of that task. A job of another task at the head gets its turn first, so that a steady
    /// stream of one task cannot starve another.
    pub fn next(&self, kind: TaskKind) -> Option<Work> {
        let mut state = self.state.lock();
        if state.jobs.front()?.kind() != kind {
            return None;
        }
        let work = state.jobs.pop_front()?;
        Some(self.taken(&state, work))
    }

    /// Answers the jobs that nobody waits for any more.
    pub fn sweep(&self) {
        let mut state = self.state.lock();
        if state.sweep() {
            self.tell(&state);
        }
    }

    /// Takes no more jobs; those that wait are still handed out.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Takes no more jobs and fails those that wait.
    pub fn abandon(&self, error: &RequestError) {
        let jobs = {
            let mut state = self.state.lock();
            state.closed = true;
            let jobs = std::mem::take(&mut state.jobs);
            self.tell(&state);
            jobs
        };
        self.changed.notify_all();
        jobs.into_iter().for_each(|work| work.fail(error.clone()));
    }

    /// Tells how long `jobs` jobs took together.
    pub fn measured(&self, jobs: usize, took: Duration) {
        let each = took.as_secs_f64() / jobs.max(1) as f64;
        let mut state = self.state.lock();
        state.job_seconds += NEWEST * (each - state.job_seconds);
    }

    fn taken(&self, state: &State, work: Work) -> Work {
        self.tell(state);
        self.metrics.queued(work.age());
        work
    }

    fn tell(&self, state: &State) {
        self.metrics.depth(self.pulse.queued(), state.jobs.len());
        self.pulse.set_queued(state.jobs.len());
    }
}

// === impl State ===

impl State {
    /// When the jobs that wait now are likely to be done.
    fn retry_after(&self) -> Duration {
        Duration::from_secs_f64(self.job_seconds * self.jobs.len() as f64).max(SOONEST)
    }

    /// Whether any job was answered.
    fn sweep(&mut self) -> bool {
        let before = self.jobs.len();
        for _ in 0..before {
            let Some(work) = self.jobs.pop_front() else { break };
            match work.over() {
                Some(error) => work.fail(error),
                None => self.jobs.push_back(work),
            }
        }
        self.jobs.len() != before
    }
}
