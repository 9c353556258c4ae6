//! The jobs that a model works on, and those that may still join.

use std::collections::VecDeque;

use super::{Request, RequestError};
use crate::speech::Task;

/// Where more jobs come from while a model works; `runtime` implements it over the queue.
pub trait Admission<T: Task> {
    /// The next job in the queue, without waiting.
    fn next(&mut self) -> Option<Request<T>>;

    /// The model made progress. Called at every step; a model without a step for long counts as stuck.
    fn step(&mut self);
}

/// The jobs that a model works on. It starts with those that waited; [`Self::admit`] lets newcomers join between two
/// steps.
pub struct Batch<'a, T: Task> {
    first: VecDeque<Request<T>>,
    more: &'a mut dyn Admission<T>,
}

impl<'a, T: Task> Batch<'a, T> {
    pub fn new(first: Vec<Request<T>>, more: &'a mut dyn Admission<T>) -> Self {
        Self { first: first.into(), more }
    }

    /// Up to `room` jobs that nobody has worked on. Those whose caller left or whose time passed are not among them.
    pub fn admit(&mut self, room: usize) -> Vec<Request<T>> {
        let mut admitted = Vec::new();
        while admitted.len() < room {
            let Some(mut job) = self.first.pop_front().or_else(|| self.more.next()) else { break };
            match job.over() {
                Some(error) => job.fail(error),
                None => {
                    job.begin();
                    admitted.push(job);
                }
            }
        }
        admitted
    }

    /// Tells that the model made progress.
    pub fn step(&mut self) {
        self.more.step();
    }

    /// Answers that this model does not do such jobs.
    pub fn refuse(&mut self) {
        for job in self.admit(usize::MAX) {
            let message = format!("this model does not {}", T::KIND);
            job.fail(RequestError::Unsupported { param: "model", message });
        }
    }
}
