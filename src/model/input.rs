//! What is still asked while a model works: the sound of a live recording, a text that is being written.

use std::sync::Arc;

use super::flow::{End, Flow};
use crate::speech::Task;

/// What a model finds when it looks for more of what is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<C> {
    More(C),
    /// There will be more, or an end.
    Pending,
    /// There is no more. A request that came whole begins with this.
    End,
}

/// The caller's end of an input. One that is dropped without [`Self::finish`] tells that the caller has gone.
#[derive(Debug)]
pub struct InputSender<T: Task>(Arc<Flow<T::Input>>);

/// The request is over, so nobody takes more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request is over")]
pub struct InputClosed;

// === impl InputSender ===

impl<T: Task> InputSender<T> {
    pub(super) fn new(flow: Arc<Flow<T::Input>>) -> Self {
        Self(flow)
    }

    /// Hands on a part. Waits as long as the model is behind by as much as its input may hold, so that whoever sends is
    /// held back too.
    pub async fn send(&mut self, part: T::Input) -> Result<(), InputClosed> {
        self.0.send(part).await.map_err(|_| InputClosed)
    }

    /// Whether there is room, so that a part would be taken at once.
    pub fn has_room(&self) -> bool {
        self.0.has_room()
    }

    /// That was all.
    pub fn finish(self) {
        self.0.end_with(End::Whole);
    }
}

impl<T: Task> Drop for InputSender<T> {
    fn drop(&mut self) {
        // After `finish` this changes nothing.
        self.0.end_with(End::BrokenOff);
    }
}
