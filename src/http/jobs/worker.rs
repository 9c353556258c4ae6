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
    jobs::{self, Failure, Order, Pieces, Progress, View, Worker},
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
    fn work(&self, order: Order, pieces: Pieces) -> BoxFuture<'static, Result<Value, Failure>> {
        hear(self.service.clone(), self.time_limit, order, pieces).boxed()
    }

    fn show(&self, view: &View) -> Value {
        json!(JobBody::from(view))
    }
}

async fn hear(service: Service, time_limit: Duration, order: Order, pieces: Pieces) -> Result<Value, Failure> {
    let Order { id, ask, recording } = order;
    let ask = Ask::from_json(ask).map_err(Problem::into_failure)?;
    let (format, timestamps) = (ask.response_format.unwrap_or_default(), ask.timestamps.unwrap_or_default());
    let wait = ask.wait.map(|seconds| wait::seconds("wait", seconds)).transpose().map_err(Problem::into_failure)?;
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
        return Err(Problem::invalid("audio", "the recording of this job is gone").into_failure());
    };
    let listen = ask.listen(Recording { bytes, hint }).map_err(Problem::into_failure)?;
    let transcription = service.transcribe(call, listen).await.map_err(|error| Failure::of(&error))?;
    let of = transcription.seconds();
    let heard = transcription.whole_watched(|segment| {
        pieces.add(Progress { seconds: segment.end, of }, render::segment(segment, timestamps));
    });
    let heard = heard.await.map_err(|error| Failure::of(&error))?;
    Ok(match format {
        Format::Json => render::prediction(&heard, timestamps),
        format => Value::String(render::text(&heard, format)),
    })
}
