//! What happens to a job, as server-sent events.

use futures::{Stream, stream};
use serde_json::{Value, json};

use crate::{
    http::{native::job_body::JobBody, problem::Problem},
    jobs::{Event, Feed, JobId, Jobs},
};

/// `{"type":"status","status":…}`, `{"type":"segment","segment":…}`, `{"type":"progress","progress":…}` where a model tells
/// its own, and last `{"type":"end","job":…}`. A second `running` means that the job was begun anew, and its segments with it.
pub(super) fn stream(jobs: Jobs, id: JobId, feed: Feed) -> impl Stream<Item = Value> {
    stream::unfold(Some((jobs, id, feed)), |place| async move {
        let (jobs, id, mut feed) = place?;
        Some(match feed.next().await {
            Some(Event::Phase(phase)) => (json!({"type": "status", "status": phase}), Some((jobs, id, feed))),
            Some(Event::Piece(piece)) => (json!({"type": "segment", "segment": piece}), Some((jobs, id, feed))),
            Some(Event::Progress(progress)) => {
                (json!({"type": "progress", "progress": progress}), Some((jobs, id, feed)))
            }
            None => (end(&jobs, &id).await, None),
        })
    })
}

async fn end(jobs: &Jobs, id: &JobId) -> Value {
    match jobs.get(id).await {
        Ok(view) => json!({"type": "end", "job": JobBody::from(&view)}),
        Err(refusal) => json!({"type": "end", "error": Problem::from(refusal).google_body()}),
    }
}
