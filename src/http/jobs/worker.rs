//! The work of a job: what `/predict` does for a native request, with nobody waiting.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::show::JobBody;
use crate::{
    http::{
        native::{
            fields,
            request::NativeRequest,
            task::{Piece, TaskRequest},
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
        run(self.service.clone(), self.time_limit, item, pieces).boxed()
    }

    fn show(&self, view: &View) -> Value {
        json!(JobBody::from(view))
    }
}

async fn run(service: Service, time_limit: Duration, item: WorkItem, pieces: Pieces) -> Result<Value, Problem> {
    let WorkItem { id, parameters, recording } = item;
    let request = NativeRequest::read(fields::object(parameters)?)?;
    let common = &request.common;
    let call = Call {
        id: id.to_string(),
        protocol: "jobs",
        model: common.model.clone(),
        wait: common.wait.map(|seconds| wait::seconds("wait", seconds)).transpose()?,
        time_limit: Some(time_limit),
        served: Served::default(),
        keep_alive: common.keep_alive,
        allowance: None,
    };
    let format = common.response_format.unwrap_or_default();
    let audio = recording.map(|jobs::Recording { bytes, hint }| Recording { bytes, hint }.into());
    let running = TaskRequest::of(request, audio)?.start(&service, call, format).await?;
    let of = running.seconds();
    let whole = running.whole(|Piece { value, seconds, .. }| pieces.add(Progress { seconds, of }, value));
    Ok(whole.await?.into_json())
}
