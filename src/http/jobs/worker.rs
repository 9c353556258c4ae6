//! The work of a job: what `/predict` does for a native request, with nobody waiting.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    http::{
        native::{
            content::Content,
            delivery::{deliver, output_uri},
            fields, job,
            job_body::JobBody,
            prediction::Prediction,
            request::NativeRequest,
            task::{Piece, Running, SoundRetention, Step, TaskRequest},
        },
        problem::Problem,
        unknown::Unknown,
        wait,
    },
    jobs::{JobId, Pieces, Progress, View, WorkItem, Worker},
    remote::Remote,
    service::{Call, Served, Service},
    speech::{Checkpoint, Kind},
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

/// What its listeners are told of a sound.
struct SoundOfJob {
    media_type: &'static str,
    /// Of the answer's own, where it was asked for by its name.
    stem: Option<String>,
}

// === impl SoundOfJob ===

impl SoundOfJob {
    fn of(request: &NativeRequest) -> Self {
        Self { media_type: request.media_type(), stem: request.stem().map(str::to_owned) }
    }
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
    let WorkItem { id, parameters, recording, checkpoint } = item;
    let mut fields = fields::object(parameters)?;
    let output = output_uri(&mut fields)?;
    let body = recording.map(job::matter).transpose()?;
    let mut request = NativeRequest::read(&service, fields, body, &Content::default(), &Unknown::told())?;
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
    request.seed(seed_of(&id));
    let (voice, sound) = (request.find_named_voice(&service).await?, SoundOfJob::of(&request));
    let audio = request.take_sound();
    let task = TaskRequest::of(&service, request, audio, voice)?;
    let running = task.go_on(&service, call, SoundRetention::Sound, checkpoint.map(Checkpoint)).await?;
    let whole = watch(running, &pieces, &sound).await?;
    Ok(deliver(&remote, whole, output).await?.into_json())
}

/// Waits for the whole, and shows what comes meanwhile.
async fn watch(mut running: Running, pieces: &Pieces, sound: &SoundOfJob) -> Result<Prediction, Problem> {
    let (of, mut told) = (running.seconds(), false);
    let reached = |seconds| Progress { seconds, of, ..Progress::default() };
    while let Some(step) = running.next().await {
        match step? {
            Step::Whole(whole) => return Ok(whole),
            Step::Piece(Piece::Segment(segment, seconds)) => pieces.add(reached(seconds), segment),
            Step::Piece(Piece::Sound(bytes, seconds)) => {
                pieces.sound(sound.media_type, true, sound.stem.as_deref(), bytes);
                // The model itself knows better.
                if !told {
                    pieces.reach(reached(seconds));
                }
            }
            Step::Piece(Piece::Stem(stem, bytes)) => pieces.sound(sound.media_type, false, Some(stem), bytes),
            Step::Piece(Piece::Progress(progress)) => {
                told = true;
                pieces.report(progress.into());
            }
            Step::Piece(Piece::Checkpoint(Checkpoint(bytes))) => pieces.checkpoint(bytes).await,
        }
    }
    Err(Problem::new(Kind::Internal, "internal error: the answer ended without its last piece"))
}

/// For one that says none: the same whenever the job is begun anew, so that it goes on with the sound that it began. Within
/// JSON's numbers.
fn seed_of(id: &JobId) -> u64 {
    let digest = Sha256::digest(id.as_str());
    u64::from_le_bytes(std::array::from_fn(|at| digest[at])) >> 11
}
