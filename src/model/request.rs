//! One request, as a model sees it, and the answers, as the one who asked sees them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{Span, debug_span};

use super::{
    FlowLimits, Input, InputSender, RequestError, Signal, Streak,
    flow::{End, Flow},
};
use crate::speech::{Measured, Task};

/// A model that makes so many times more than may wait did not look whether there is room; it is stopped.
const OVERRUN: u32 = 4;

/// One request in the hands of a model. Whoever holds it must [`finish`](Self::finish) or [`fail`](Self::fail) it; one
/// that is dropped, by a panic for example, fails with [`RequestError::Broken`], so that nobody waits for ever.
///
/// Nothing here blocks the model. Before it makes more it asks [`Self::has_room`], and leaves a request whose reader is
/// slow alone until there is; where all wait, [`Batch::park`](super::Batch::park) sleeps until one can go on.
#[derive(Debug)]
pub struct Request<T: Task> {
    ask: T,
    /// Identifies the request in logs.
    pub id: String,
    deadline: Option<Instant>,
    queued: Instant,
    /// Who asked, and what the request does now, for traces.
    caller: Span,
    phase: Span,
    /// `None` once it is answered.
    output: Option<Output<T>>,
    /// `None`: it came whole.
    input: Option<Arc<Flow<T::Input>>>,
    /// Its place in the batch, once a model works on it.
    place: Option<Arc<()>>,
    /// Where its outcome counts.
    streak: Option<Arc<Streak>>,
}

type Output<T> = Arc<Flow<Result<<T as Task>::Piece, RequestError>>>;

/// The answers to one request, in order. The end of the stream without a last piece cannot happen: see [`Request`].
/// Dropping it tells the model to stop.
#[derive(Debug)]
pub struct Responses<T: Task>(Output<T>);

/// Makes a request that is whole, and the place where its answers arrive, with the usual bounds.
pub fn request<T: Task>(id: String, ask: T, deadline: Option<Instant>) -> (Request<T>, Responses<T>) {
    let output = Arc::new(Flow::new(FlowLimits::default()));
    let request = Request {
        ask,
        id,
        deadline,
        queued: Instant::now(),
        caller: Span::current(),
        phase: debug_span!("queue"),
        output: Some(output.clone()),
        input: None,
        place: None,
        streak: None,
    };
    (request, Responses(output))
}

// === impl Request ===

impl<T: Task> Request<T> {
    /// With other bounds on what waits for the reader.
    pub fn bounded(self, limits: FlowLimits) -> Self {
        if let Some(output) = &self.output {
            output.limit(limits);
        }
        self
    }

    /// Has its outcome counted.
    pub fn counted(mut self, streak: &Arc<Streak>) -> Self {
        self.streak = Some(streak.clone());
        self
    }

    /// A request of which more is to come.
    pub fn live(mut self, limits: FlowLimits) -> (Self, InputSender<T>) {
        let input = Arc::new(Flow::new(limits));
        self.input = Some(input.clone());
        (self, InputSender::new(input))
    }

    /// Whether all that is asked is there from the beginning.
    pub fn is_whole(&self) -> bool {
        self.input.is_none()
    }

    pub fn ask(&self) -> &T {
        &self.ask
    }

    /// Since the request was made.
    pub fn age(&self) -> Duration {
        self.queued.elapsed()
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// A model works on it from now on, in this place of a batch; whatever its caller does raises the signal.
    pub(super) fn begin(&mut self, place: Arc<()>, signal: &Arc<Signal>) {
        self.phase = debug_span!(parent: &self.caller, "inference");
        self.place = Some(place);
        if let Some(output) = &self.output {
            output.attach(signal);
        }
        if let Some(input) = &self.input {
            input.attach(signal);
        }
    }

    /// Why nobody wants the answer any more, if so. Models look at it at every step.
    pub fn over(&self) -> Option<RequestError> {
        let broken_off = |input: &Arc<Flow<T::Input>>| input.end() == Some(End::BrokenOff);
        if self.output.as_ref().is_none_or(|output| output.is_abandoned())
            || self.input.as_ref().is_some_and(broken_off)
        {
            Some(RequestError::Gone)
        } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Some(RequestError::Deadline)
        } else {
            None
        }
    }

    /// Whether the reader keeps up, so that more may be made for it.
    pub fn has_room(&self) -> bool {
        self.output.as_ref().is_none_or(|output| output.has_room())
    }

    /// The next part of what is asked. Never blocks; a batch in which everybody waits is to be
    /// [parked](super::Batch::park).
    pub fn input(&mut self) -> Input<T::Input> {
        let Some(input) = &self.input else { return Input::End };
        // First the end: what was written before it is still there.
        let end = input.end();
        match input.take() {
            Some(part) => Input::More(part),
            None if end.is_some() => Input::End,
            None => Input::Pending,
        }
    }

    /// Hands out a part of the answer. Never blocks, and drops nothing that somebody may still read. A model that never
    /// looks whether there is room is stopped by an error.
    pub fn emit(&mut self, piece: T::Piece) {
        let Some(output) = &self.output else { return };
        if output.is_over(OVERRUN) {
            tracing::error!(request = %self.id, "a model made more than was read, and did not wait");
            return self.end(RequestError::Overrun);
        }
        output.emit(Ok(piece));
    }

    /// The last piece.
    pub fn finish(mut self, last: T::Piece) {
        // Before the reader, and with it the span of the whole request, can be through.
        self.phase = Span::none();
        self.emit(last);
        if let Some(output) = self.output.take() {
            self.streak.iter().for_each(|streak| streak.succeeded());
            output.close();
        }
    }

    pub fn fail(mut self, error: RequestError) {
        self.end(error);
    }

    fn end(&mut self, error: RequestError) {
        if let Some(output) = self.output.take() {
            self.phase = Span::none();
            end(&output, error, self.streak.as_deref());
        }
    }
}

fn end<P: Measured>(output: &Flow<Result<P, RequestError>>, error: RequestError, streak: Option<&Streak>) {
    // What callers do wrong, or decide, tells nothing of the model.
    if let (RequestError::Broken | RequestError::Overrun, Some(streak)) = (&error, streak) {
        streak.failed();
    }
    output.emit(Err(error));
    output.close();
}

impl<T: Task> Drop for Request<T> {
    fn drop(&mut self) {
        match (&self.streak, self.output.take()) {
            // Whoever runs the model knows more of why.
            (Some(streak), Some(output)) => {
                self.phase = Span::none();
                let counted = Arc::downgrade(streak);
                streak.fell(Box::new(move |error| end(&output, error, counted.upgrade().as_deref())));
            }
            (None, Some(output)) => end(&output, RequestError::Broken, None),
            (_, None) => {}
        }
        if let Some(input) = &self.input {
            input.decline();
        }
    }
}

// === impl Responses ===

impl<T: Task> Responses<T> {
    /// The next piece; `None` after the last one or after an error.
    pub async fn next(&mut self) -> Option<Result<T::Piece, RequestError>> {
        self.0.next().await
    }

    /// [`Self::next`] for a thread that may block.
    pub fn blocking_next(&mut self) -> Option<Result<T::Piece, RequestError>> {
        futures::executor::block_on(self.next())
    }
}

impl<T: Task> Drop for Responses<T> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
