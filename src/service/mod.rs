//! Name in, answer out: resolve, check the task, decode, lease, queue, pieces. Knows no protocol, so that three
//! protocols times n tasks do not each repeat it.

mod allowance;
mod error;
mod metrics;
mod original;
mod request;
mod served;
mod transcription;
mod voices;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio::sync::Semaphore;
use tracing::instrument;

pub use allowance::{Allowance, OverAllowance};
pub use error::ServiceError;
pub use request::{AudioInput, Recording, TranscribeRequest};
pub use served::Served;
pub use transcription::Transcription;
pub use voices::{Voice, VoiceError, Voices};

use self::{
    metrics::{Account, Metrics},
    original::Original,
};
use crate::{
    audio::{self, Pcm, VoiceActivity},
    catalog::{Catalog, Entry},
    lifecycle::{AcquireOptions, KeepAlive, Lease, Lifecycle},
    model::{Availability, request},
    speech::{HEARING_RATE, ModelName, Task, TaskKind, Transcribe},
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
    /// Where recordings of speakers lie; absent: there are none.
    pub voices: Option<PathBuf>,
}

/// The models of this server, ready to be asked.
#[derive(Clone)]
pub struct Service {
    /// The one place that a new configuration replaces.
    known: Arc<ArcSwap<Known>>,
    lifecycle: Lifecycle,
    decoders: Arc<Semaphore>,
    metrics: Metrics,
    voices: Voices,
}

/// What is true until the next configuration.
struct Known {
    catalog: Arc<Catalog>,
    config: Config,
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
    /// How long it may take, once its model is there; as configured if absent.
    pub time_limit: Option<Duration>,
    /// Where it is written who serves the request.
    pub served: Served,
    /// How long the model is to stay in memory afterwards; as the request before said, or as configured, if absent.
    pub keep_alive: Option<KeepAlive>,
    /// What the caller may use; without bounds if absent.
    pub allowance: Option<Arc<dyn Allowance>>,
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
        let (voices, metrics) = (Voices::new(config.voices.clone()), Metrics::register(registry)?);
        let known = Arc::new(ArcSwap::from_pointee(Known { catalog, config }));
        Ok(Self { known, lifecycle, decoders, metrics, voices })
    }

    /// The models that there are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.known.load().catalog.clone()
    }

    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// What holds now.
    pub fn config(&self) -> Config {
        self.known.load().config.clone()
    }

    /// Requests from now on see these models and limits; those under way end as they began.
    pub fn reconfigure(&self, config: Config, catalog: Arc<Catalog>) {
        self.known.store(Arc::new(Known { catalog, config }));
    }

    pub fn voices(&self) -> &Voices {
        &self.voices
    }

    /// Why a model does not do a task that no family of this build does: the answer to those who ask for it.
    pub fn refuse(&self, protocol: &'static str, model: Option<&str>, task: TaskKind) -> ServiceError {
        let mut account = self.metrics.open(protocol, task);
        let catalog = self.catalog();
        let error = match catalog.resolve(model) {
            Ok(entry) => {
                account.model(&entry.name);
                wrong_task(&catalog, entry, task)
            }
            Err(unknown) => unknown.into(),
        };
        account.fail(&error);
        error
    }

    /// Whether a model can be asked for a task at all.
    pub fn check<T: Task>(&self, model: Option<&str>) -> Result<(), ServiceError> {
        entry::<T>(&self.catalog(), model).map(drop)
    }

    /// How long a recording is.
    pub async fn seconds(&self, recording: Recording) -> Result<f64, ServiceError> {
        let longest = self.config().max_audio;
        Ok(self.pcm(recording.into(), None, longest).await?.1.seconds)
    }

    /// Has a recording written down. The answer arrives while it is made; dropping it stops the work.
    pub async fn transcribe(&self, call: Call, request: TranscribeRequest) -> Result<Transcription, ServiceError> {
        let mut account = self.metrics.open(call.protocol, TaskKind::Transcribe);
        let started = self.start(call, request, &mut account).await;
        account.settle(started, |mut account, (lease, answers, original)| {
            account.sound(original.seconds);
            Transcription::new(lease, answers, account, original)
        })
    }

    async fn start(
        &self,
        call: Call,
        asked: TranscribeRequest,
        account: &mut Account,
    ) -> Result<Started, ServiceError> {
        let known = self.known.load_full();
        let entry = entry::<Transcribe>(&known.catalog, call.model.as_deref())?;
        account.model(&entry.name);
        let (ask, original) = self.decode(asked, known.config.max_audio).await?;
        call.allowance.map_or(Ok(()), |allowance| allowance.take_audio(original.seconds))?;
        let options = AcquireOptions { patience: call.wait.unwrap_or(known.config.wait), keep_alive: call.keep_alive };
        let lease = self.acquire(&entry.name, options).await?;
        call.served.by(&lease);
        let time_limit = call.time_limit.unwrap_or(known.config.request_timeout);
        let (job, answers) = request(call.id, ask, Some(Instant::now() + time_limit));
        lease.submit(job)?;
        Ok((lease, answers, original))
    }

    #[instrument(name = "wait", level = "debug", skip_all, fields(%model))]
    async fn acquire(&self, model: &ModelName, options: AcquireOptions) -> Result<Lease, ServiceError> {
        Ok(self.lifecycle.acquire(model, options).await?)
    }

    async fn decode(
        &self,
        request: TranscribeRequest,
        longest: Duration,
    ) -> Result<(Transcribe, Original), ServiceError> {
        let TranscribeRequest { audio, options, voice_activity } = request;
        let (audio, original) = self.pcm(audio, voice_activity, longest).await?;
        Ok((Transcribe { audio, options }, original))
    }

    #[instrument(name = "decode", level = "debug", skip_all, fields(bytes = audio.bytes() as i64))]
    async fn pcm(
        &self,
        audio: AudioInput,
        voice_activity: Option<VoiceActivity>,
        longest: Duration,
    ) -> Result<(Pcm, Original), ServiceError> {
        let _permit = self.decoders.acquire().await.map_err(|_| ServiceError::Internal("the decoders are closed"))?;
        let start = Instant::now();
        let decode = move || {
            let pcm = match audio {
                AudioInput::Encoded(Recording { bytes, hint }) => {
                    audio::decode(&bytes, hint.as_deref(), HEARING_RATE, longest)?.pcm
                }
                AudioInput::Samples(pcm) => audio::conform(pcm, HEARING_RATE, longest)?,
            };
            Ok(Original::cut(pcm, voice_activity))
        };
        let pcm = tokio::task::spawn_blocking(decode)
            .await
            .map_err(|_| ServiceError::Internal("the audio decoder failed"))?;
        self.metrics.decode_seconds.observe(start.elapsed().as_secs_f64());
        pcm
    }
}

/// The catalog's entry, if this build can serve it and it does the task.
fn entry<'a, T: Task>(catalog: &'a Catalog, name: Option<&str>) -> Result<&'a Entry, ServiceError> {
    let entry = catalog.resolve(name)?;
    if let Availability::Unsupported(reason) = &entry.availability {
        return Err(ServiceError::Unsupported { model: entry.name.clone(), reason: reason.to_string() });
    }
    match entry.family {
        Some(family) if !family.tasks().contains(&T::KIND) => Err(wrong_task(catalog, entry, T::KIND)),
        _ => Ok(entry),
    }
}

fn wrong_task(catalog: &Catalog, entry: &Entry, task: TaskKind) -> ServiceError {
    let does = |entry: &&Entry| entry.family.is_some_and(|family| family.tasks().contains(&task));
    let others = catalog.entries().filter(|entry| entry.availability == Availability::Available);
    ServiceError::WrongTask {
        model: entry.name.clone(),
        task,
        can: entry.family.map(|family| family.tasks()).unwrap_or_default(),
        others: others.filter(does).map(|entry| entry.name.clone()).collect(),
    }
}

type Started = (Lease, crate::model::Responses<Transcribe>, Original);
