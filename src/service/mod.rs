//! Name in, answer out: resolve, check the task, decode, lease, queue, pieces. Knows no protocol, so that three
//! protocols times n tasks do not each repeat it.

mod error;
mod metrics;
mod transcription;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prometheus::Registry;
use tokio::sync::Semaphore;

pub use error::ServiceError;
pub use transcription::Transcription;

use self::metrics::{Account, Metrics};
use crate::{
    audio::{self, Pcm},
    catalog::{Catalog, Entry},
    lifecycle::{Lease, Lifecycle},
    model::{Availability, job},
    speech::{Goal, HEARING_RATE, Task, TaskKind, Timestamps, Transcribe},
};

/// What the service needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a request waits for its model, unless it says otherwise.
    pub wait: Duration,
    /// How long a request may take in all, after its model is there.
    pub request_timeout: Duration,
    /// Longest recording that is taken.
    pub max_audio: Duration,
}

/// The models of this server, ready to be asked.
#[derive(Clone)]
pub struct Service {
    catalog: Arc<Catalog>,
    lifecycle: Lifecycle,
    config: Config,
    decoders: Arc<Semaphore>,
    metrics: Metrics,
}

/// What a protocol knows of a request beside what is asked.
#[derive(Clone, Debug)]
pub struct Call {
    /// Identifies the request in logs and answers.
    pub id: String,
    /// `vertex`, `openai`, …: a label of metrics.
    pub protocol: &'static str,
    /// Name or alias; the default model if absent.
    pub model: Option<String>,
    /// How long to wait for the model; as configured if absent.
    pub wait: Option<Duration>,
}

/// A recording as it came in, not yet decoded.
#[derive(Clone, Debug)]
pub struct Recording {
    pub bytes: Bytes,
    /// A media type or a file name, which may be wrong.
    pub hint: Option<String>,
}

/// What to hear, and how. The fields are those of [`Transcribe`].
#[derive(Clone, Debug)]
pub struct Listen {
    pub recording: Recording,
    pub language: Option<String>,
    pub goal: Goal,
    pub prompt: Option<String>,
    pub temperature: Option<f32>,
    pub timestamps: Timestamps,
    pub options: serde_json::Map<String, serde_json::Value>,
}

// === impl Service ===

impl Service {
    pub fn new(
        config: Config,
        catalog: Arc<Catalog>,
        lifecycle: Lifecycle,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        // Decoding is pure CPU work on the blocking pool: more at once than cores only costs memory.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let decoders = Arc::new(Semaphore::new(cores));
        Ok(Self { catalog, lifecycle, config, decoders, metrics: Metrics::register(registry)? })
    }

    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Has a recording written down. The answer arrives while it is made; dropping it stops the work.
    pub async fn transcribe(&self, call: Call, listen: Listen) -> Result<Transcription, ServiceError> {
        let mut account = self.metrics.open(call.protocol, TaskKind::Transcribe);
        let started = self.start(call, listen, &mut account).await;
        account.settle(started, |mut account, (lease, answers, seconds)| {
            account.sound(seconds);
            Transcription::new(lease, answers, account, seconds)
        })
    }

    async fn start(&self, call: Call, listen: Listen, account: &mut Account) -> Result<Started, ServiceError> {
        let entry = self.entry::<Transcribe>(call.model.as_deref())?;
        account.model(&entry.name);
        let ask = self.decode(listen).await?;
        let seconds = ask.audio.seconds();
        let lease = self.lifecycle.acquire(&entry.name, call.wait.unwrap_or(self.config.wait)).await?;
        let (job, answers) = job(call.id, ask, Some(Instant::now() + self.config.request_timeout));
        lease.submit(job)?;
        Ok((lease, answers, seconds))
    }

    /// The catalog's entry, if this build can serve it and it does the task.
    fn entry<T: Task>(&self, name: Option<&str>) -> Result<&Entry, ServiceError> {
        let entry = self.catalog.resolve(name)?;
        if let Availability::Unsupported(reason) = &entry.availability {
            return Err(ServiceError::Unsupported { model: entry.name.clone(), reason: (*reason).to_owned() });
        }
        match entry.family {
            Some(family) if !family.tasks().contains(&T::KIND) => {
                Err(ServiceError::WrongTask { model: entry.name.clone(), task: T::KIND, can: family.tasks() })
            }
            _ => Ok(entry),
        }
    }

    async fn decode(&self, listen: Listen) -> Result<Transcribe, ServiceError> {
        let Listen { recording, language, goal, prompt, temperature, timestamps, options } = listen;
        let audio = self.pcm(recording).await?;
        Ok(Transcribe { audio, language, goal, prompt, temperature, timestamps, options })
    }

    async fn pcm(&self, recording: Recording) -> Result<Pcm, ServiceError> {
        let _permit = self.decoders.acquire().await.map_err(|_| ServiceError::Internal("the decoders are closed"))?;
        let (limit, start) = (self.config.max_audio, Instant::now());
        let decode = move || audio::decode(&recording.bytes, recording.hint.as_deref(), HEARING_RATE, limit);
        let decoded = tokio::task::spawn_blocking(decode)
            .await
            .map_err(|_| ServiceError::Internal("the audio decoder failed"))?;
        self.metrics.decode_seconds.observe(start.elapsed().as_secs_f64());
        Ok(decoded?.pcm)
    }
}

type Started = (Lease, crate::model::Answers<Transcribe>, f64);
