//! The requests that a model works on, and those that may still join.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use super::{Request, RequestError, Room, Signal};
use crate::speech::Task;

/// Where more requests come from while a model works; `runtime` implements it over the queue.
pub trait Admission<T: Task> {
    /// The next request in the queue, without waiting.
    fn next(&mut self) -> Option<Request<T>>;

    /// The model made progress. Called at every step; a model without a step for long counts as stuck.
    fn step(&mut self);

    /// Bytes of the model's device that are free now, where that is known.
    fn free_memory(&self) -> Option<u64> {
        None
    }

    /// There is nothing to be done until the signal is raised, or until that time.
    fn park(&mut self, signal: &Signal, until: Option<Instant>) {
        signal.wait(until);
    }
}

/// The requests that a model works on. It starts with those that waited; [`Self::admit`] lets newcomers join between two
/// steps.
pub struct Batch<'a, T: Task> {
    first: VecDeque<Request<T>>,
    more: &'a mut dyn Admission<T>,
    /// Requests that may be in hand at once.
    most: usize,
    /// Each request in hand has a clone.
    places: Arc<()>,
    signal: Arc<Signal>,
}

impl<'a, T: Task> Batch<'a, T> {
    pub fn new(first: Vec<Request<T>>, more: &'a mut dyn Admission<T>) -> Self {
        Self { first: first.into(), more, most: usize::MAX, places: Arc::default(), signal: Arc::default() }
    }

    /// Never more than `most` in hand, however many are asked for.
    pub fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// What callers do raises this signal, beside whatever else does.
    pub fn woken_by(self, signal: Arc<Signal>) -> Self {
        Self { signal, ..self }
    }

    /// Up to `room` requests that came whole and that nobody has worked on. Those whose caller left or whose time passed
    /// are not among them.
    pub fn admit(&mut self, room: usize) -> Vec<Request<T>> {
        let (whole, live): (Vec<_>, Vec<_>) = self.admit_live(room).into_iter().partition(Request::is_whole);
        for request in live {
            let message = format!("this model can only {} what is there from the beginning", T::KIND);
            request.fail(RequestError::Unsupported { param: "stream", message });
        }
        whole
    }

    /// [`Self::admit`] for a model that takes [input](Request::input) while it works.
    pub fn admit_live(&mut self, room: usize) -> Vec<Request<T>> {
        let mut admitted = Vec::new();
        let room = room.min(self.most.saturating_sub(self.in_hand()));
        while admitted.len() < room {
            let Some(mut request) = self.first.pop_front().or_else(|| self.more.next()) else { break };
            match request.over() {
                Some(error) => request.fail(error),
                None => {
                    request.begin(self.places.clone(), &self.signal);
                    admitted.push(request);
                }
            }
        }
        admitted
    }

    /// Tells that the model made progress.
    pub fn step(&mut self) {
        self.more.step();
    }

    /// Sleeps until one of these can go on, because its reader made room, its input arrived, its caller left or its
    /// time passed, or until a newcomer may be admitted. `waiting` are all that the model has in hand, each with nothing
    /// to be done for it; without any it returns at once. It may return early: look around, and park again.
    pub fn park<'r>(&mut self, waiting: impl IntoIterator<Item = &'r Request<T>>) {
        self.park_until(waiting, None);
    }

    /// [`Self::park`], but for no longer than until that time.
    pub fn park_until<'r>(&mut self, waiting: impl IntoIterator<Item = &'r Request<T>>, until: Option<Instant>) {
        let mut waiting = waiting.into_iter().map(Request::deadline).peekable();
        if waiting.peek().is_some() {
            self.more.park(&self.signal, waiting.flatten().chain(until).min());
        }
    }

    /// What ends a [`Self::park`] when it is raised: for a model whose sound is made elsewhere.
    pub fn signal(&self) -> Arc<Signal> {
        self.signal.clone()
    }

    /// That the device had no memory left for what a request needed, about so many bytes, with so many others under way.
    pub fn no_memory(&self, others: usize, need: Option<u64>) -> RequestError {
        RequestError::no_memory(others, Room { need, free: self.more.free_memory() })
    }

    /// Answers that this model does not do such requests.
    pub fn refuse(&mut self) {
        while let Some(request) = self.admit(1).pop() {
            let message = format!("this model does not {}", T::KIND);
            request.fail(RequestError::Unsupported { param: "model", message });
        }
    }

    /// Requests that the model works on.
    fn in_hand(&self) -> usize {
        Arc::strong_count(&self.places) - 1
    }
}
