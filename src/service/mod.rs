//! Name in, answer out: resolve, check the task, decode, lease, queue, pieces. Knows no protocol, so that three
//! protocols times n tasks do not each repeat it.

mod allowance;
mod answer;
mod call;
mod config;
mod error;
mod fallback;
mod ffmpeg;
mod inquiry;
mod lexicon_file;
pub mod live;
mod memory;
mod metrics;
mod original;
mod prefix;
mod request;
mod served;
mod sound;
mod sound_stream;
mod speak;
mod speech_limits;
mod voices;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::Either;
use prometheus::Registry;
use tokio::{sync::Semaphore, task::spawn_blocking};
use tracing::instrument;

pub use allowance::{Allowance, OverAllowance};
pub use answer::{Answer, Transcription};
pub use call::Call;
pub use config::Config;
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
    fallback::Substitute,
    ffmpeg::Ffmpeg,
    live::{LiveMetrics, LiveRoom},
    metrics::{Account, Metrics},
    original::Original,
    request::ANY_RATE,
    speak::SpeechStart,
    speech_limits::SpeechLimits,
};
use crate::{
    audio::{self, DecodeError, Pcm, VoiceActivity},
    catalog::{Catalog, Entry},
    lifecycle::{AcquireOptions, Lease, Lifecycle, Unavailable},
    model::{Availability, Family, InputSender, Request, RequestError, Responses, request},
    runtime::Runnable,
    speech::{Convert, Synthesize, SynthesizeOptions, Task, TaskKind, Transcribe, Warning},
    text::{Chunk, ChunkLimits, LengthCheck},
};

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
    live: LiveRoom,
    live_metrics: LiveMetrics,
}

/// What is true until the next configuration.
struct Known {
    catalog: Arc<Catalog>,
    config: Config,
}

/// A text as a model is to say it.
struct ReadText {
    chunks: VecDeque<Chunk>,
    check: LengthCheck,
    options: SynthesizeOptions,
}

/// A request that its model has.
struct Started<T: Task> {
    lease: Lease,
    responses: Responses<T>,
    original: Original,
    characters: usize,
    longest: Duration,
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
        let voices = Voices::new(config.voices.clone(), config.voice_memory);
        let metrics = Metrics::register(registry)?;
        let (live, live_metrics) = (LiveRoom::new(&config.live), LiveMetrics::register(registry)?);
        let decoded = MemoryBudget::new(config.max_decoded, "decoded recordings", "limits.max_decoded");
        let ffmpeg = Ffmpeg::find(&config.ffmpeg, config.ffmpeg_time_limit);
        let known = Arc::new(ArcSwap::from_pointee(Known { catalog, config }));
        Ok(Self { known, lifecycle, decoders, ffmpeg, decoded, metrics, voices, live, live_metrics })
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
        let longest = self.config().max_audio;
        Ok(self.pcm(recording.into(), None, ANY_RATE, longest).await?.1.seconds)
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
        account: Account,
    ) -> Result<Answer<Transcribe>, ServiceError> {
        let TranscribeRequest { audio, options, voice_activity } = asked;
        let file = audio.file();
        let decode = async |rate, longest| {
            let (audio, original) = self.pcm(audio, voice_activity, rate, longest).await?;
            Ok((Transcribe { audio, options }, original))
        };
        self.answer(call, account, file, decode, whole).await.map(|(answer, ())| answer)
    }

    /// Has a text spoken. The sound arrives while it is made; dropping it stops the work.
    pub async fn synthesize(&self, call: Call, asked: Synthesize) -> Result<Answer<Synthesize>, ServiceError> {
        let ready = async |_, _| Ok((asked, Original::silent()));
        let account = self.metrics.open(call.protocol, TaskKind::Synthesize);
        self.answer(call, account, None, ready, whole).await.map(|(answer, ())| answer)
    }

    /// Has a text read, cut into what the model says in one go, and spoken. The sound arrives while it is made.
    pub async fn speak(&self, call: Call, asked: SpeakRequest) -> Result<Speaking, ServiceError> {
        let mut account = self.metrics.open(call.protocol, TaskKind::Synthesize);
        let started = self.start_speaking(call, asked, &mut account).await;
        account.settle(started, |mut account, started| {
            account.begun(0.0, started.characters);
            Speaking::new(started, account)
        })
    }

    async fn start_speaking(
        &self,
        call: Call,
        asked: SpeakRequest,
        account: &mut Account,
    ) -> Result<SpeechStart, ServiceError> {
        let known = self.known.load_full();
        let (config, entry) = (&known.config, entry(&known.catalog, call.model.as_deref(), TaskKind::Synthesize)?);
        account.model(&entry.name);
        let (characters, normalize_loudness) = (asked.text.chars().count(), asked.normalize_loudness);
        let normalize_loudness = normalize_loudness.unwrap_or(config.normalize_loudness);
        // For who may have to speak in its place.
        let again = entry.fallback.is_some().then(|| asked.clone());
        let text = self.read(&known, entry, asked).await?;
        if let Some(allowance) = &call.allowance {
            allowance.take_characters(characters)?;
        }
        let (ReadText { chunks, check, options }, lease) = match (self.acquire(entry, &call, config.wait).await, again)
        {
            (Ok(lease), _) => (text, lease),
            (Err(error), Some(asked)) if fallback::out_of_reach(&error) => {
                self.fall_back(&known, entry, asked, error, &call, account).await?
            }
            (Err(error), _) => return Err(error),
        };
        // Once for all chunks.
        let options = self.at_rate_of(&lease, Synthesize { options, ..Synthesize::default() }).await?.options;
        let deadline = call.ends(config.request_timeout);
        let (output, longest, id) = (config.output, config.max_audio, call.id);
        Ok(SpeechStart { lease, id, deadline, output, longest, options, chunks, check, normalize_loudness, characters })
    }

    /// Has a text read for a model.
    async fn read(&self, known: &Known, entry: &Entry, asked: SpeakRequest) -> Result<ReadText, ServiceError> {
        let asked = self.with_prefix(known.candidates(entry), asked).await?;
        let (limits, options) = (known.speech_limits(entry), asked.options.clone());
        let chunks = read_aloud(asked, limits, known.config.lexicon.clone()).await?;
        Ok(ReadText { chunks, check: limits.check, options })
    }

    /// Has another model speak in the place of one that `error` keeps from it: the first that is there. Where nobody is, the
    /// error stands.
    async fn fall_back(
        &self,
        known: &Known,
        entry: &Entry,
        asked: SpeakRequest,
        error: ServiceError,
        call: &Call,
        account: &mut Account,
    ) -> Result<(ReadText, Lease), ServiceError> {
        for speaker in fallback::speakers(&known.catalog, entry) {
            let Substitute { asked, ignored } = fallback::substitute(asked.clone(), entry, speaker);
            let ready = async {
                Ok((self.read(known, speaker, asked).await?, self.acquire(speaker, call, known.config.wait).await?))
            };
            let (id, model, fallback) = (&call.id, &entry.name, &speaker.name);
            match ready.await {
                Ok(ready) => {
                    tracing::warn!(request = id, %model, %fallback, reason = %error, ?ignored, "another model speaks in its place");
                    account.falls_back(model, fallback);
                    call.served.in_place_of(model, ignored);
                    return Ok(ready);
                }
                Err::<_, ServiceError>(other) => {
                    tracing::warn!(request = id, %model, %fallback, reason = %other, "nor can its fallback speak");
                }
            }
        }
        Err(error)
    }

    /// Whether the model follows what `instructions` say; else they are to be told as ignored.
    pub fn follows_instructions(&self, model: Option<&str>) -> Result<bool, ServiceError> {
        let known = self.known.load_full();
        let entry = entry(&known.catalog, model, TaskKind::Synthesize)?;
        Ok(known.speech_limits(entry).follows_instructions)
    }

    /// Has a recording spoken by another voice. The sound arrives while it is made; dropping it stops the work.
    pub async fn convert(&self, call: Call, asked: ConvertRequest) -> Result<Answer<Convert>, ServiceError> {
        let ConvertRequest { audio, options } = asked;
        let file = audio.file();
        let decode = async |rate, longest| {
            let (audio, original) = self.pcm(audio, None, rate, longest).await?;
            Ok((Convert { audio, options }, original))
        };
        let account = self.metrics.open(call.protocol, TaskKind::Convert);
        self.answer(call, account, file, decode, whole).await.map(|(answer, ())| answer)
    }

    /// Begins what is still being said or written: more of it goes through the sender, at
    /// [`Answer::input_rate`] where it is sound.
    pub async fn live<T: Runnable + Sounding>(
        &self,
        call: Call,
        beginning: T,
    ) -> Result<(Answer<T>, InputSender<T>), ServiceError> {
        let limits = self.config().input;
        let ready = async |_, _| Ok((beginning, Original::silent()));
        let account = self.metrics.open(call.protocol, T::KIND);
        self.answer(call, account, None, ready, |request| request.live(limits)).await
    }

    /// The way of every request: resolve, check, look at the file, lease, decode, queue. `decode` is given the rate that
    /// the family wants and the longest recording that is taken.
    async fn answer<T: Runnable + Sounding, I>(
        &self,
        call: Call,
        mut account: Account,
        file: Option<Recording>,
        decode: impl AsyncFnOnce(u32, Duration) -> Result<(T, Original), ServiceError>,
        open: impl FnOnce(Request<T>) -> (Request<T>, I),
    ) -> Result<(Answer<T>, I), ServiceError> {
        let started = self.start(call, file, decode, open, &mut account).await;
        account.settle(started, |mut account, (started, input)| {
            let Started { lease, responses, original, characters, longest } = started;
            account.begun(original.seconds, characters);
            (Answer::new(lease, responses, account, original, longest), input)
        })
    }

    async fn start<T: Runnable + Sounding, I>(
        &self,
        call: Call,
        file: Option<Recording>,
        decode: impl AsyncFnOnce(u32, Duration) -> Result<(T, Original), ServiceError>,
        open: impl FnOnce(Request<T>) -> (Request<T>, I),
        account: &mut Account,
    ) -> Result<(Started<T>, I), ServiceError> {
        let known = self.known.load_full();
        let (config, entry) = (&known.config, entry(&known.catalog, call.model.as_deref(), T::KIND)?);
        account.model(&entry.name);
        // What is no recording costs no load, and what is one no memory before its model is there.
        self.probe(file, config.max_audio).await?;
        let rate = known.input_rate(entry, T::KIND);
        // Who may send so many seconds is told before anything is loaded, for which they have to be counted.
        let sound = match &call.allowance {
            None => Either::Left(decode),
            Some(allowance) => {
                let decoded = decode(rate, config.max_audio).await?;
                allowance.take_audio(decoded.1.seconds)?;
                allowance.take_characters(decoded.0.characters())?;
                Either::Right(decoded)
            }
        };
        let lease = self.acquire(entry, &call, config.wait).await?;
        let (ask, original) = match sound {
            Either::Left(decode) => decode(rate, config.max_audio).await?,
            Either::Right(decoded) => decoded,
        };
        call.served.warned(original.warnings());
        let (characters, ask) = (ask.characters(), self.at_rate_of(&lease, ask).await?);
        let deadline = call.ends(config.request_timeout);
        let (request, responses) = request(call.id, ask, Some(deadline));
        let (request, input) = open(request.bounded(config.output));
        lease.submit(request)?;
        Ok((Started { lease, responses, original, characters, longest: config.max_audio }, input))
    }

    #[instrument(name = "wait", level = "debug", skip_all, fields(model = %entry.name))]
    async fn acquire(&self, entry: &Entry, call: &Call, usual: Duration) -> Result<Lease, ServiceError> {
        // Who has somebody to speak in its place does not wait for better times.
        let sits_out_failures = entry.fallback.is_none();
        let options = AcquireOptions { timeout: call.patience(usual), keep_alive: call.keep_alive, sits_out_failures };
        let lease = self.lifecycle.acquire(&entry.name, options).await;
        let lease = lease.map_err(|error| match error {
            // That it had no more time says more than how far the model was.
            Unavailable::NotYet { .. } | Unavailable::NoRoom { .. } if call.is_over() => RequestError::Deadline.into(),
            error => ServiceError::from(error),
        });
        lease.inspect(|lease| call.served.by(lease))
    }

    async fn probe(&self, file: Option<Recording>, longest: Duration) -> Result<(), ServiceError> {
        let Some(Recording { bytes, hint }) = file else { return Ok(()) };
        let _permit = self.decoders.acquire().await.map_err(|_| ServiceError::Internal("the decoders are closed"))?;
        let file = bytes.clone();
        let probed = spawn_blocking(move || audio::probe(&file, hint.as_deref(), longest)).await;
        let Err(error) = probed.map_err(|_| ServiceError::Internal("the audio decoder failed"))? else { return Ok(()) };
        if !error.may_be_heard_otherwise() {
            return Err(error.into());
        }
        match self.hear_otherwise(bytes, ANY_RATE, sound::PROBED, error, &mut self.decoded.nothing()).await {
            Err(ServiceError::Audio(DecodeError::TooLong { limit })) if limit == sound::PROBED => Ok(()),
            heard => heard.map(|_| ()),
        }
    }

    /// What the decoders here refused, by ffmpeg, where that may help and is installed.
    async fn hear_otherwise(
        &self,
        file: Bytes,
        rate: u32,
        longest: Duration,
        error: DecodeError,
        share: &mut MemoryShare,
    ) -> Result<(Pcm, Vec<Warning>), ServiceError> {
        match self.ffmpeg.remedy() {
            _ if !error.may_be_heard_otherwise() => Err(error.into()),
            Some(remedy) if matches!(error, DecodeError::Unsupported(_)) => {
                Err(ServiceError::Undecoded { error, remedy })
            }
            Some(_) => Err(error.into()),
            None => self.ffmpeg.hear(file, rate, longest, share).await.or(error, longest).map(|pcm| (pcm, Vec::new())),
        }
    }

    #[instrument(name = "decode", level = "debug", skip_all, fields(bytes = audio.bytes() as i64))]
    async fn pcm(
        &self,
        audio: AudioInput,
        voice_activity: Option<VoiceActivity>,
        rate: u32,
        longest: Duration,
    ) -> Result<(Pcm, Original), ServiceError> {
        let _permit = self.decoders.acquire().await.map_err(|_| ServiceError::Internal("the decoders are closed"))?;
        let start = Instant::now();
        let mut share = self.decoded.nothing();
        let file = audio.file();
        let decode = move || (sound::decode(audio, rate, longest, &mut share), share);
        let failed = |_| ServiceError::Internal("the audio decoder failed");
        let (decoded, mut share) = spawn_blocking(decode).await.map_err(failed)?;
        let heard = match (decoded, file) {
            (Err(ServiceError::Audio(error)), Some(file)) => {
                self.hear_otherwise(file.bytes, rate, longest, error, &mut share).await?
            }
            (decoded, _) => decoded?,
        };
        self.metrics.warned(&heard.1);
        let heard = spawn_blocking(move || sound::cut(heard, voice_activity, share)).await.map_err(failed)?;
        self.metrics.decode_seconds.observe(start.elapsed().as_secs_f64());
        heard
    }

    /// What is asked, with its sound as the model wants it: where its family was not known before it was loaded, and where
    /// a voice comes with it, that may have another rate.
    async fn at_rate_of<T: Sounding>(&self, lease: &Lease, ask: T) -> Result<T, ServiceError> {
        match lease.input_rate(T::KIND) {
            Some(rate) if !ask.is_at(rate) => {
                let voices = self.voices.clone();
                let resampled = spawn_blocking(move || ask.at(rate, &voices)).await;
                resampled
                    .map_err(|_| ServiceError::Internal("the resampler failed"))?
                    .map_err(|unusable| ServiceError::Audio(unusable.into()))
            }
            // A model that does not do the task says so itself.
            _ => Ok(ask),
        }
    }
}

/// What is to be said, on a thread that may work.
async fn read_aloud(
    asked: SpeakRequest,
    limits: SpeechLimits,
    lexicon: Option<LexiconFile>,
) -> Result<VecDeque<Chunk>, ServiceError> {
    let read = spawn_blocking(move || asked.chunks(&limits, lexicon.as_ref().map(LexiconFile::words))).await;
    read.map_err(|_| ServiceError::Internal("the text could not be read"))?
}

/// A request to which nothing is added.
fn whole<T: Task>(request: Request<T>) -> (Request<T>, ()) {
    (request, ())
}

// === impl Known ===

impl Known {
    /// The family of a model, or where that is only found when it is loaded, all that it may be of.
    fn candidates<'a>(&self, entry: &'a Entry) -> &'a [&'static dyn Family] {
        entry.family.as_ref().map_or(self.catalog.families(), std::slice::from_ref)
    }

    /// Hertz of the sound that comes with a request. Of a model whose family is only found when it is loaded, the highest
    /// that it may be.
    fn input_rate(&self, entry: &Entry, task: TaskKind) -> u32 {
        let able = self.candidates(entry).iter().filter(|family| family.tasks().contains(&task));
        able.map(|family| family.input_rate(task)).max().unwrap_or(ANY_RATE)
    }

    /// Of a model whose family is only found when it is loaded, those that every speaking family keeps.
    fn speech_limits(&self, entry: &Entry) -> SpeechLimits {
        let candidates = self.candidates(entry);
        let able = || candidates.iter().filter(|family| family.tasks().contains(&TaskKind::Synthesize));
        let usual = ChunkLimits { target: 200, max: 300 };
        let chunks = able().map(|family| family.chunk_limits()).min_by_key(|limits| limits.max).unwrap_or(usual);
        let scripts = entry.family.map(|family| family.scripts()).unwrap_or_default();
        let follows_instructions = entry.family.is_some_and(|family| family.follows_instructions());
        let follows_pitch = entry.family.is_some_and(|family| family.follows_pitch());
        let check = entry.family.map_or_else(LengthCheck::default, |family| family.length_check());
        SpeechLimits { max_text: self.config.max_text, chunks, check, scripts, follows_instructions, follows_pitch }
    }
}

/// The catalog's entry, if this build can serve it and it does the task.
fn entry<'a>(catalog: &'a Catalog, name: Option<&str>, task: TaskKind) -> Result<&'a Entry, ServiceError> {
    let entry = catalog.resolve_for(name, task)?;
    if let Availability::Unsupported(reason) = &entry.availability {
        return Err(ServiceError::Unsupported { model: entry.name.clone(), reason: reason.to_string() });
    }
    let any = || catalog.families().iter().any(|family| family.tasks().contains(&task));
    // As long as the family is not known, it may be any.
    let can = entry.tasks().map_or_else(any, |tasks| tasks.contains(&task));
    if can { Ok(entry) } else { Err(wrong_task(catalog, entry, task)) }
}

fn wrong_task(catalog: &Catalog, entry: &Entry, task: TaskKind) -> ServiceError {
    let others = catalog.entries().filter(|entry| entry.availability == Availability::Available);
    ServiceError::WrongTask {
        model: entry.name.clone(),
        task,
        can: entry.tasks().unwrap_or_default(),
        others: others.filter(|entry| entry.does(task)).map(|entry| entry.name.clone()).collect(),
    }
}
