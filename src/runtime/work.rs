//! What can stand in a model's queue. A new task is one variant of [`Work`] and one `impl` of [`Runnable`].

use crate::{
    model::{Batch, Broken, Model, Request, RequestError},
    speech::{Task, TaskKind, Transcribe},
};

/// A job of any task.
#[derive(Debug)]
pub enum Work {
    Transcribe(Request<Transcribe>),
}

/// A task that an executor can run.
pub trait Runnable: Task + Sized {
    fn wrap(job: Request<Self>) -> Work;

    /// The job, if it is one of this task; a job of another task fails.
    fn unwrap(work: Work) -> Option<Request<Self>>;

    fn run(model: &mut dyn Model, jobs: &mut Batch<'_, Self>) -> Result<(), Broken>;
}

// === impl Work ===

impl Work {
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::Transcribe(_) => TaskKind::Transcribe,
        }
    }

    /// Why nobody wants the answer any more, if so.
    pub fn over(&self) -> Option<RequestError> {
        match self {
            Self::Transcribe(job) => job.over(),
        }
    }

    pub fn age(&self) -> std::time::Duration {
        match self {
            Self::Transcribe(job) => job.age(),
        }
    }

    pub fn fail(self, error: RequestError) {
        match self {
            Self::Transcribe(job) => job.fail(error),
        }
    }
}

// === impl Runnable ===

impl Runnable for Transcribe {
    fn wrap(job: Request<Self>) -> Work {
        Work::Transcribe(job)
    }

    fn unwrap(work: Work) -> Option<Request<Self>> {
        match work {
            Work::Transcribe(job) => Some(job),
        }
    }

    fn run(model: &mut dyn Model, jobs: &mut Batch<'_, Self>) -> Result<(), Broken> {
        model.transcribe(jobs)
    }
}
