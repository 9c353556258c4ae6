//! The work of a job: what `/predict` does for a native request, with nobody waiting.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::show::JobBody;
use crate::{
    http::{
        native::{
            render,
            request::{Ask, Format},
        },
        problem::Problem,
        wait,
    },
    jobs::{self, Pieces, Progress, View, WorkItem, Worker},
    service::{Call, Recording, Served, Service},
};

/// Does jobs by the service.
pub struct JobWorker {
    service: Service,
    /// Of one job, once its model is there.
    time_limit: Duration,
}

// === impl JobWorker ===

impl JobWorker {
    /// A job may take longer than a request that somebody waits for.
    pub fn new(service: &Service, time_limit: Duration) -> Self {
        Self { service: service.clone(), time_limit }
    }
}

impl Worker for JobWorker {
    fn work(&self, item: WorkItem, pieces: Pieces) -> BoxFuture<'static, Result<Value, Problem>> {
        hear(self.service.clone(), self.time_limit, item, pieces).boxed()
    }

    fn show(&self, view: &View) -> Value {
        json!(JobBody::from(view))
    }
}

async fn hear(service: Service, time_limit: Duration, item: WorkItem, pieces: Pieces) -> Result<Value, Problem> {
    let WorkItem { id, parameters, recording } = item;
    let ask = Ask::from_json(parameters)?;
    let (format, timestamps) = (ask.response_format.unwrap_or_default(), ask.timestamps.unwrap_or_default());
    let wait = ask.wait.map(|seconds| wait::seconds("wait", seconds)).transpose()?;
    let call = Call {
        id: id.to_string(),
        protocol: "jobs",
        model: ask.model.clone(),
        wait,
        time_limit: Some(time_limit),
        served: Served::default(),
        keep_alive: ask.keep_alive,
        allowance: None,
    };
    let Some(jobs::Recording { bytes, hint }) = recording else {
        return Err(Problem::invalid("audio", "the recording of this job is gone"));
    };
    let listen = ask.listen(Recording { bytes, hint })?;
    let transcription = service.transcribe(call, listen).await?;
    let of = transcription.seconds();
    let heard = transcription.whole_watched(|segment| {
        pieces.add(Progress { seconds: segment.end, of }, render::segment(segment, timestamps));
    });
    let heard = heard.await?;
    Ok(match format {
        Format::Json => render::prediction(&heard, timestamps),
        format => Value::String(render::text(&heard, format)),
    })
}
