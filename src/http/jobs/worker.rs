//! The work of a job: what `/predict` does for a native request, with nobody waiting.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use super::{request, show::JobBody};
use crate::{
    http::{
        native::{
            content::Content,
            delivery::{deliver, output_uri},
            fields,
            request::NativeRequest,
            task::{Piece, SoundRetention, TaskRequest},
        },
        problem::Problem,
        wait,
    },
    jobs::{Pieces, Progress, View, WorkItem, Worker},
    remote::Remote,
    service::{Call, Served, Service},
};

/// Does jobs by the service.
#[derive(Clone)]
pub struct JobWorker {
    service: Service,
    /// Where answers are written to.
    remote: Remote,
    /// Of one job, once its model is there.
    time_limit: Duration,
}

// === impl JobWorker ===

impl JobWorker {
    /// A job may take longer than a request that somebody waits for.
    pub fn new(service: &Service, remote: &Remote, time_limit: Duration) -> Self {
        Self { service: service.clone(), remote: remote.clone(), time_limit }
    }
}

impl Worker for JobWorker {
    fn work(&self, item: WorkItem, pieces: Pieces) -> BoxFuture<'static, Result<Value, Problem>> {
        run(self.clone(), item, pieces).boxed()
    }

    fn show(&self, view: &View) -> Value {
        json!(JobBody::from(view))
    }
}

async fn run(worker: JobWorker, item: WorkItem, pieces: Pieces) -> Result<Value, Problem> {
    let JobWorker { service, remote, time_limit } = worker;
    let WorkItem { id, parameters, recording } = item;
    let mut fields = fields::object(parameters)?;
    let output = output_uri(&mut fields)?;
    let body = recording.map(request::matter).transpose()?;
    let mut request = NativeRequest::read(&service, fields, body, &Content::default())?;
    let common = &request.common;
    // Nobody waits: it is counted from when the model is there.
    let timeout = common.timeout.map(|seconds| wait::seconds("timeout", seconds)).transpose()?;
    let call = Call {
        id: id.to_string(),
        protocol: "jobs",
        model: common.model.clone(),
        wait: common.wait.map(|seconds| wait::seconds("wait", seconds)).transpose()?,
        time_limit: Some(timeout.map_or(time_limit, |timeout| timeout.min(time_limit))),
        deadline: None,
        served: Served::default(),
        keep_alive: common.keep_alive,
        allowance: None,
    };
    let voice = request.find_named_voice(&service).await?;
    let audio = request.take_sound();
    let running =
        TaskRequest::of(&service, request, audio, voice)?.start(&service, call, SoundRetention::Sound).await?;
    let of = running.seconds();
    let whole = running.whole(|piece| match piece {
        Piece::Segment(segment, seconds) => pieces.add(Progress { seconds, of }, segment),
        // All of it would be in memory twice.
        Piece::Sound(_, seconds) => pieces.reach(Progress { seconds, of }),
    });
    Ok(deliver(&remote, whole.await?, output).await?.into_json())
}
