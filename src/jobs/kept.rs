//! What lies beside a job, read for its work.

use std::sync::Arc;

use bytes::Bytes;
use tracing::error;

use super::{
    job_store::JobStore,
    record::{JobId, Recording},
};
use crate::speech::{Kind, Problem};

/// Without it the work begins anew.
pub(super) async fn checkpoint(store: Arc<JobStore>, id: &JobId) -> Option<Bytes> {
    let key = id.clone();
    let read = tokio::task::spawn_blocking(move || store.checkpoint(&key).map_err(|error| error.to_string())).await;
    let read = read.map_err(|error| error.to_string()).flatten();
    read.inspect_err(|reason| error!(job = %id, reason, "a checkpoint could not be read")).ok().flatten()
}

pub(super) async fn recording(store: Arc<JobStore>, id: &JobId, hint: Option<String>) -> Result<Recording, Problem> {
    let key = id.clone();
    let read = tokio::task::spawn_blocking(move || store.recording(&key).map_err(|error| error.to_string()));
    // The pool refuses when the process ends.
    let read = read.await.map_err(|_| Problem::new(Kind::Stopping, "the server is stopping"))?;
    let bytes = read.map_err(|reason| {
        error!(job = %id, reason, "the recording of a job could not be read");
        // The disk may do better later, and the job stays until then.
        Problem::new(Kind::Unavailable, "the recording of the job cannot be read just now")
    })?;
    let gone = || Problem::new(Kind::Invalid, "the recording of the job is not there any more; send it again");
    let bytes = bytes.ok_or_else(gone)?;
    Ok(Recording { bytes, hint })
}
