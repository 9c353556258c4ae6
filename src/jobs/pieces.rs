//! Where a worker puts what it has of a job so far: for those who look on, and for a later try.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    progress::{PartialSound, Progress, ProgressState},
    record::JobId,
};

/// Where a worker puts what it has so far.
#[derive(Clone)]
pub struct Pieces {
    progress_state: watch::Sender<ProgressState>,
    id: JobId,
    keeper: mpsc::Sender<KeepCheckpoint>,
}

/// From where the work on a job can go on, to be written down.
pub(super) struct KeepCheckpoint {
    pub id: JobId,
    pub bytes: Bytes,
    /// Told when it is, or when it cannot be.
    pub kept: oneshot::Sender<()>,
}

// === impl Pieces ===

impl Pieces {
    pub(super) fn new(
        progress_state: watch::Sender<ProgressState>,
        id: JobId,
        keeper: mpsc::Sender<KeepCheckpoint>,
    ) -> Self {
        Self { progress_state, id, keeper }
    }

    pub fn add(&self, progress: Progress, piece: Value) {
        self.progress_state.send_modify(|progress_state| {
            progress_state.pieces.push(Arc::new(piece));
            progress_state.progress = Some(progress);
        });
    }

    /// So far it is, with nothing that could be shown.
    pub fn reach(&self, progress: Progress) {
        self.progress_state.send_modify(|progress_state| progress_state.progress = Some(progress));
    }

    /// So far it is, as the model told, which is worth an event.
    pub fn report(&self, progress: Progress) {
        self.progress_state.send_modify(|progress_state| {
            progress_state.progress = Some(progress);
            progress_state.reports += 1;
        });
    }

    /// More of a sound that may be listened to already; `own`: of the answer itself. The bytes are shared.
    pub fn sound(&self, media_type: &'static str, own: bool, stem: Option<&str>, bytes: Bytes) {
        self.progress_state.send_modify(|progress_state| {
            let sounds = &mut progress_state.sounds;
            match sounds.iter_mut().find(|sound| sound.stem.as_deref() == stem && sound.own == own) {
                Some(sound) => sound.blocks.push(bytes),
                None => {
                    let (stem, blocks) = (stem.map(str::to_owned), vec![bytes]);
                    sounds.push(PartialSound { own, stem, media_type, blocks });
                }
            }
        });
    }

    /// Has it written down from where the work can go on. Returns when it is, or when it cannot be, which the log tells.
    pub async fn checkpoint(&self, bytes: Bytes) {
        let (kept, answered) = oneshot::channel();
        // Who is not there any more stops, and the work with it.
        if self.keeper.send(KeepCheckpoint { id: self.id.clone(), bytes, kept }).await.is_ok() {
            let _ = answered.await;
        }
    }
}

#[cfg(test)]
mod tests;
