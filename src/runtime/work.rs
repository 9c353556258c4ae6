//! What can stand in a model's queue. A new task is a variant of [`Work`] with its arm in [`each!`], and a line at the
//! end of this file.

use std::time::{Duration, Instant};

use crate::{
    model::{Batch, Broken, Model, Request, RequestError},
    speech::{Convert, Synthesize, Task, TaskKind, Transcribe},
};

/// A request of any task.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few wait, and each is moved a few times")]
pub enum Work {
    Transcribe(Request<Transcribe>),
    Synthesize(Request<Synthesize>),
    Convert(Request<Convert>),
}

/// A task that an executor can run.
pub trait Runnable: Task + Sized {
    fn wrap(request: Request<Self>) -> Work;

    /// The request, if it is one of this task; one of another task fails.
    fn unwrap(work: Work) -> Option<Request<Self>>;

    fn run(model: &mut dyn Model, requests: &mut Batch<'_, Self>) -> Result<(), Broken>;
}

/// The same of a request, whatever its task.
macro_rules! each {
    ($work:expr, $request:ident => $do:expr) => {
        match $work {
            $crate::runtime::Work::Transcribe($request) => $do,
            $crate::runtime::Work::Synthesize($request) => $do,
            $crate::runtime::Work::Convert($request) => $do,
        }
    };
}
pub(super) use each;

// === impl Work ===

impl Work {
    pub fn kind(&self) -> TaskKind {
        each!(self, request => kind_of(request))
    }

    /// Why nobody wants the answer any more, if so.
    pub fn over(&self) -> Option<RequestError> {
        each!(self, request => request.over())
    }

    pub fn age(&self) -> Duration {
        each!(self, request => request.age())
    }

    pub fn deadline(&self) -> Option<Instant> {
        each!(self, request => request.deadline())
    }

    pub fn fail(self, error: RequestError) {
        each!(self, request => request.fail(error))
    }
}

fn kind_of<T: Task>(_: &Request<T>) -> TaskKind {
    T::KIND
}

// === impl Runnable ===

macro_rules! runnable {
    ($task:ident by $method:ident) => {
        impl Runnable for $task {
            fn wrap(request: Request<Self>) -> Work {
                Work::$task(request)
            }

            fn unwrap(work: Work) -> Option<Request<Self>> {
                if let Work::$task(request) = work { Some(request) } else { None }
            }

            fn run(model: &mut dyn Model, requests: &mut Batch<'_, Self>) -> Result<(), Broken> {
                model.$method(requests)
            }
        }
    };
}

runnable!(Transcribe by transcribe);
runnable!(Synthesize by synthesize);
runnable!(Convert by convert);
