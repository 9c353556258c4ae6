//! Name in, answer out: resolve, check the task, decode, lease, queue, pieces. Knows no protocol, so that three
//! protocols times n tasks do not each repeat it.

mod allowance;
mod answer;
mod call;
mod channels;
mod config;
mod dialogue;
mod diarization;
mod error;
mod fallback;
mod ffmpeg;
mod hearing;
mod inquiry;
mod known;
mod lexicon_file;
pub mod live;
mod memory;
mod metrics;
mod original;
mod prefix;
mod prepare;
mod read_aloud;
mod request;
mod served;
mod sound;
mod sound_stream;
mod speak;
mod speech_limits;
mod stems;
mod task_input;
mod tracks;
mod transcripts;
mod voices;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio::sync::Semaphore;

pub use allowance::{Allowance, OverAllowance};
pub use answer::{Answer, Transcription};
pub use call::Call;
pub use config::{Config, TimeOrigin};
pub use error::{ImplausibleLength, ServiceError};
pub use lexicon_file::{LexiconFault, LexiconFile};
pub use memory::{MemoryBudget, MemoryShare, OutOfMemory};
pub use request::{AudioInput, ConvertRequest, Recording, TranscribeRequest};
pub use served::{InPlaceOf, Served, ServedBy};
pub use sound::Sounding;
pub use sound_stream::SoundStream;
pub use speak::{SpeakRequest, Speaking, rest_after};
pub use voices::{Voice, VoiceError, VoiceNotes, Voices};

use self::{
    diarization::DiarizationAsk,
    ffmpeg::Ffmpeg,
    known::{Known, entry},
    live::{LiveMetrics, LiveRoom},
    metrics::{Account, Metrics},
    request::ANY_RATE,
    sound::{Hearing, Sound},
    task_input::TaskInput,
};
use crate::{
    catalog::Catalog,
    lifecycle::Lifecycle,
    listening::{KnownSpeaker, Listeners},
    model::InputSender,
    runtime::Runnable,
    speech::{Convert, Synthesize, TaskKind, Timestamps, Transcribe},
};

/// Of a recording of somebody who is known: ten seconds tell as much of a voice as more.
const LONGEST_REFERENCE: Duration = Duration::from_secs(30);

/// The models of this server, ready to be asked.
#[derive(Clone)]
pub struct Service {
    /// The one place that a new configuration replaces.
    known: Arc<ArcSwap<Known>>,
    lifecycle: Lifecycle,
    decoders: Arc<Semaphore>,
    /// For what is not decoded here.
    ffmpeg: Ffmpeg,
    /// Bytes of decoded sound.
    decoded: MemoryBudget,
    metrics: Metrics,
    voices: Voices,
    listeners: Listeners,
    live: LiveRoom,
    live_metrics: LiveMetrics,
}

// === impl Service ===

impl Service {
    pub fn new(
        config: Config,
        catalog: Arc<Catalog>,
        lifecycle: Lifecycle,
        listeners: Listeners,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        // Decoding is pure CPU work on the blocking pool: more at once than cores only costs memory.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let decoders = Arc::new(Semaphore::new(cores));
        let voices = Voices::new(config.voices.clone(), config.voice_memory);
        let metrics = Metrics::register(registry)?;
        let (live, live_metrics) = (LiveRoom::new(&config.live), LiveMetrics::register(registry)?);
        let decoded = MemoryBudget::new(config.max_decoded, "decoded recordings", "limits.max_decoded");
        let ffmpeg = Ffmpeg::find(&config.ffmpeg, config.ffmpeg_time_limit, &config.ffmpeg_guard);
        let known = Arc::new(ArcSwap::from_pointee(Known { catalog, config }));
        Ok(Self { known, lifecycle, decoders, ffmpeg, decoded, metrics, voices, listeners, live, live_metrics })
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

    /// Whether a model can be asked for a task at all, as the families of the catalog have it. A refusal is counted like
    /// that of a request.
    pub fn check(&self, protocol: &'static str, model: Option<&str>, task: TaskKind) -> Result<(), ServiceError> {
        let catalog = self.catalog();
        let Err(error) = entry(&catalog, model, task) else { return Ok(()) };
        let mut account = self.metrics.open(protocol, task);
        if let Ok(entry) = catalog.resolve(model) {
            account.model(&entry.name);
        }
        account.fail(&error);
        Err(error)
    }

    /// Memory of sound that is gathered before it is sent, as much as the share is made to be.
    pub fn sound_memory(&self) -> MemoryShare {
        self.decoded.nothing()
    }

    /// How long a recording is.
    pub async fn seconds(&self, recording: Recording) -> Result<f64, ServiceError> {
        let sound = Sound::Undecoded(Hearing::of(recording.into()));
        let heard = self.hear(sound, ANY_RATE, self.config().max_audio).await?;
        Ok(heard.iter().map(|(_, original)| original.seconds).sum())
    }

    /// Has a recording written down. The answer arrives while it is made; dropping it stops the work.
    pub async fn transcribe(&self, call: Call, asked: TranscribeRequest) -> Result<Answer<Transcribe>, ServiceError> {
        let account = self.metrics.open(call.protocol, TaskKind::Transcribe);
        self.write_down(call, asked, account).await
    }

    /// The same for the beginning of what is still being said, which will be heard as a whole, and is counted then.
    async fn overhear(&self, call: Call, asked: TranscribeRequest) -> Result<Answer<Transcribe>, ServiceError> {
        let account = self.metrics.open(call.protocol, TaskKind::Transcribe).uncounted();
        self.write_down(call, asked, account).await
    }

    async fn write_down(
        &self,
        call: Call,
        asked: TranscribeRequest,
        mut account: Account,
    ) -> Result<Answer<Transcribe>, ServiceError> {
        let TranscribeRequest { audio, mut options, voice_activity, known_speakers } = asked;
        let diarization = match options.diarize {
            true => Some(self.diarization(known_speakers).await.inspect_err(|error| account.fail(error))?),
            false => None,
        };
        if diarization.is_some() && self.tells_words(call.model.as_deref()) {
            // By its words a segment is told apart in which speakers change.
            options.timestamps = Timestamps::Word;
        }
        let hearing = Hearing { audio, channels: options.channels, tracks: options.track, voice_activity, diarization };
        let asked = TaskInput::of(hearing, options, |audio, options| Transcribe { audio, options });
        self.answer(call, account, asked).await
    }

    /// Whether the speakers of a recording can be told apart: that takes a network of its own.
    pub fn tells_speakers(&self) -> bool {
        self.listeners.speakers.is_some()
    }

    /// What finds the speakers of a recording, with the voices of those who are known.
    async fn diarization(&self, known: Vec<(String, Recording)>) -> Result<DiarizationAsk, ServiceError> {
        let diarizer = self.listeners.speakers.clone().ok_or(ServiceError::NoSpeakerNetwork)?;
        let mut voices = Vec::with_capacity(known.len());
        for (name, reference) in known {
            let sound = Sound::Undecoded(Hearing::of(reference.into()));
            let heard = self.hear(sound, ANY_RATE, LONGEST_REFERENCE).await;
            match heard.map(|heard| heard.into_iter().next()) {
                Ok(Some((voice, _))) => voices.push(KnownSpeaker { name, voice }),
                Ok(None) => return Err(ServiceError::Internal("a reference has no sound")),
                Err(error) => return Err(ServiceError::KnownSpeaker { name, error: Box::new(error) }),
            }
        }
        Ok(DiarizationAsk { diarizer, known: voices, seconds: self.metrics.diarization_seconds.clone() })
    }

    /// Whether a model is known to tell when each word is said.
    fn tells_words(&self, model: Option<&str>) -> bool {
        let catalog = self.catalog();
        let entry = catalog.resolve_for(model, TaskKind::Transcribe);
        entry.is_ok_and(|entry| entry.family.is_some_and(|family| family.tells_words()))
    }

    /// Has a text spoken. The sound arrives while it is made; dropping it stops the work.
    pub async fn synthesize(&self, call: Call, asked: Synthesize) -> Result<Answer<Synthesize>, ServiceError> {
        let account = self.metrics.open(call.protocol, TaskKind::Synthesize);
        self.answer(call, account, TaskInput::Ready(asked)).await
    }

    /// Has a recording spoken by another voice. The sound arrives while it is made; dropping it stops the work.
    pub async fn convert(&self, call: Call, asked: ConvertRequest) -> Result<Answer<Convert>, ServiceError> {
        let ConvertRequest { audio, options } = asked;
        let asked = TaskInput::of(Hearing::of(audio), options, |audio, options| Convert { audio, options });
        let account = self.metrics.open(call.protocol, TaskKind::Convert);
        self.answer(call, account, asked).await
    }

    /// Begins what is still being said or written: more of it goes through the sender, at
    /// [`Answer::input_rate`] where it is sound.
    pub async fn live<T: Runnable + Sounding>(
        &self,
        call: Call,
        beginning: T,
    ) -> Result<(Answer<T>, InputSender<T>), ServiceError> {
        let limits = self.config().input;
        let mut account = self.metrics.open(call.protocol, T::KIND);
        let mut input = None;
        let started = self.ready(call, TaskInput::Ready(beginning), &mut account).await.and_then(|ready| {
            ready.send(|request| {
                let (request, sender) = request.live(limits);
                input = Some(sender);
                request
            })
        });
        let answer = account.settle(started, Answer::begun)?;
        Ok((answer, input.ok_or(ServiceError::Internal("nothing was asked"))?))
    }
}
