//! One request, as a model sees it, and the answers, as the one who asked sees them.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::{Span, debug_span};

use crate::speech::{Fault, Kind, Task};

/// Pieces that may wait for a reader. A reader that falls further behind has in effect left.
const PIECES_IN_FLIGHT: usize = 1024;

/// One request in the hands of a model. Whoever holds it must [`finish`](Job::finish) or [`fail`](Job::fail) it; a job
/// that is dropped, by a panic for example, fails with [`RequestError::Broken`], so that nobody waits for ever.
#[derive(Debug)]
pub struct Request<T: Task> {
    ask: T,
    /// Identifies the request in logs.
    pub id: String,
    deadline: Option<Instant>,
    queued: Instant,
    /// Who asked, and what the job does now, for traces.
    caller: Span,
    phase: Span,
    answers: Option<mpsc::Sender<Result<T::Piece, RequestError>>>,
}

/// The answers to one job, in order. The end of the stream without a last piece cannot happen: see [`Request`].
#[derive(Debug)]
pub struct Responses<T: Task>(mpsc::Receiver<Result<T::Piece, RequestError>>);

/// Why a job failed, while the model goes on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// The request is wrong.
    #[error("{message}")]
    Invalid { param: &'static str, message: String },
    /// This model cannot do that.
    #[error("{message}")]
    Unsupported { param: &'static str, message: String },
    #[error("the time limit of the request passed")]
    Deadline,
    #[error("the caller left")]
    Gone,
    #[error("the model failed while it worked on the request")]
    Broken,
    #[error("the server is stopping")]
    Stopping,
}

/// Makes a job and the place where its answers arrive.
pub fn request<T: Task>(id: String, ask: T, deadline: Option<Instant>) -> (Request<T>, Responses<T>) {
    let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
    let (caller, phase) = (Span::current(), debug_span!("queue"));
    (Request { ask, id, deadline, queued: Instant::now(), caller, phase, answers: Some(sender) }, Responses(receiver))
}

// === impl Job ===

impl<T: Task> Request<T> {
    pub fn ask(&self) -> &T {
        &self.ask
    }

    /// Since the job was made.
    pub fn age(&self) -> Duration {
        self.queued.elapsed()
    }

    /// A model works on it from now on.
    pub(super) fn begin(&mut self) {
        self.phase = debug_span!(parent: &self.caller, "inference");
    }

    /// Why nobody wants the answer any more, if so. Models look at it at every step.
    pub fn over(&self) -> Option<RequestError> {
        if self.answers.as_ref().is_none_or(mpsc::Sender::is_closed) {
            Some(RequestError::Gone)
        } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Some(RequestError::Deadline)
        } else {
            None
        }
    }

    /// Hands out a part of the answer. Never blocks; a reader who left or is far behind is found by [`Self::over`].
    pub fn emit(&mut self, piece: T::Piece) {
        if let Some(answers) = &self.answers
            && answers.try_send(Ok(piece)).is_err()
        {
            self.answers = None;
        }
    }

    /// The last piece.
    pub fn finish(mut self, last: T::Piece) {
        self.emit(last);
        self.answers = None;
    }

    pub fn fail(mut self, error: RequestError) {
        self.end(error);
    }

    fn end(&mut self, error: RequestError) {
        if let Some(answers) = self.answers.take() {
            // A full channel means that the reader is far behind: closing it tells the same.
            let _ = answers.try_send(Err(error));
        }
    }
}

impl<T: Task> Drop for Request<T> {
    fn drop(&mut self) {
        self.end(RequestError::Broken);
    }
}

// === impl Answers ===

impl<T: Task> Responses<T> {
    /// The next piece; `None` after the last one or after an error.
    pub async fn next(&mut self) -> Option<Result<T::Piece, RequestError>> {
        self.0.recv().await
    }

    /// [`Self::next`] for a thread that may block.
    pub fn blocking_next(&mut self) -> Option<Result<T::Piece, RequestError>> {
        self.0.blocking_recv()
    }
}

// === impl JobError ===

impl Fault for RequestError {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid { .. } => Kind::Invalid,
            Self::Unsupported { .. } => Kind::Unsupported,
            Self::Deadline => Kind::Deadline,
            Self::Gone => Kind::Cancelled,
            Self::Broken => Kind::Internal,
            Self::Stopping => Kind::Stopping,
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Invalid { param, .. } | Self::Unsupported { param, .. } => Some(param),
            _ => None,
        }
    }
}
