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
mod stems;
mod transcripts;
mod voices;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
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
    answer::Started,
    channels::Answers,
    diarization::DiarizationAsk,
    fallback::Substitute,
    ffmpeg::Ffmpeg,
    live::{LiveMetrics, LiveRoom},
    metrics::{Account, Metrics},
    original::Original,
    request::ANY_RATE,
    sound::{Hearing, Sound},
    speak::SpeechStart,
    speech_limits::SpeechLimits,
};
use crate::{
    audio::Pcm,
    catalog::{Catalog, Entry},
    lifecycle::{AcquireOptions, Lease, Lifecycle, Unavailable},
    listening::{KnownSpeaker, Listeners},
    model::{Availability, Family, FlowLimits, InputSender, Request, RequestError, request},
    runtime::Runnable,
    speech::{Convert, Synthesize, SynthesizeOptions, Task, TaskKind, Timestamps, Transcribe},
    text::{Chunk, ChunkLimits, LengthCheck},
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

/// What is true until the next configuration.
struct Known {
    catalog: Arc<Catalog>,
    config: Config,
}

/// A text as a model is to say it.
struct ReadText {
    chunks: VecDeque<Chunk>,
    check: LengthCheck,
    /// As it was written.
    whole: bool,
    options: SynthesizeOptions,
}

/// What is asked of a model.
enum Asked<T> {
    /// As the model gets it.
    Ready(T),
    /// Made of each sound that is decoded of a recording.
    Heard(Hearing, Box<dyn FnOnce(Vec<Pcm>) -> Vec<T> + Send>),
}

/// A request whose model and whose sound are there: one, or one for each channel of its recording.
struct Ready<T: Task> {
    lease: Lease,
    asks: Vec<(T, Original)>,
    id: String,
    deadline: Instant,
    output: FlowLimits,
    longest: Duration,
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
        let ffmpeg = Ffmpeg::find(&config.ffmpeg, config.ffmpeg_time_limit);
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
        let hearing = Hearing { audio, channels: options.channels, voice_activity, diarization };
        let asked = Asked::of(hearing, options, |audio, options| Transcribe { audio, options });
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
        self.answer(call, account, Asked::Ready(asked)).await
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
        // Several sounds of one piece keep the loudness that they have in it.
        let normalize_loudness =
            normalize_loudness.unwrap_or(config.normalize_loudness && asked.options.stems.len() < 2);
        // For who may have to speak in its place.
        let again = entry.fallback.is_some().then(|| asked.clone());
        let text = self.read(&known, entry, asked).await?;
        if let Some(allowance) = &call.allowance {
            allowance.take_characters(characters)?;
        }
        let text = self.told(entry, text, &call).await?;
        let (ReadText { chunks, check, whole, options }, lease) =
            match (self.acquire(entry, &call, config.wait).await, again) {
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
        Ok(SpeechStart {
            lease,
            id,
            deadline,
            output,
            longest,
            options,
            chunks,
            check,
            normalize_loudness,
            joined: !whole,
            characters,
        })
    }

    /// Has a text read for a model.
    async fn read(&self, known: &Known, entry: &Entry, asked: SpeakRequest) -> Result<ReadText, ServiceError> {
        let families = known.candidates(entry);
        dialogue::check(families, &asked)?;
        stems::check(families, &asked)?;
        let asked = self.with_prefix(families, asked).await?;
        let (limits, options) = (known.speech_limits(entry), asked.options.clone());
        let chunks = read_aloud(asked, limits, known.config.lexicon.clone()).await?;
        Ok(ReadText { chunks, check: limits.check, whole: limits.whole, options })
    }

    /// With what is said in the voices that are to speak.
    async fn told(&self, entry: &Entry, text: ReadText, call: &Call) -> Result<ReadText, ServiceError> {
        Ok(ReadText { options: self.with_transcripts(entry, text.options, call).await?, ..text })
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
                let text = self.told(speaker, self.read(known, speaker, asked).await?, call).await?;
                Ok((text, self.acquire(speaker, call, known.config.wait).await?))
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
        let asked = Asked::of(Hearing::of(audio), options, |audio, options| Convert { audio, options });
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
        let started = self.ready(call, Asked::Ready(beginning), &mut account).await.and_then(|ready| {
            ready.send(|request| {
                let (request, sender) = request.live(limits);
                input = Some(sender);
                request
            })
        });
        let answer = account.settle(started, Answer::begun)?;
        Ok((answer, input.ok_or(ServiceError::Internal("nothing was asked"))?))
    }

    /// The way of every request: resolve, check, look at the recording, lease, decode, queue.
    async fn answer<T: Runnable + Sounding>(
        &self,
        call: Call,
        mut account: Account,
        asked: Asked<T>,
    ) -> Result<Answer<T>, ServiceError> {
        let ready = self.ready(call, asked, &mut account).await;
        account.settle(ready.and_then(|ready| ready.send(|request| request)), Answer::begun)
    }

    /// Has the model of a request here, and its sound.
    async fn ready<T: Runnable + Sounding>(
        &self,
        call: Call,
        asked: Asked<T>,
        account: &mut Account,
    ) -> Result<Ready<T>, ServiceError> {
        let known = self.known.load_full();
        let (config, entry) = (&known.config, entry(&known.catalog, call.model.as_deref(), T::KIND)?);
        account.model(&entry.name);
        let (rate, longest) = (known.input_rate(entry, T::KIND), config.max_audio);
        let (lease, asks) = match asked {
            Asked::Ready(ask) => {
                if let Some(allowance) = &call.allowance {
                    allowance.take_characters(ask.characters())?;
                }
                (self.acquire(entry, &call, config.wait).await?, vec![(ask, Original::silent())])
            }
            Asked::Heard(hearing, ask) => {
                // What is no recording costs no load, and what is one no memory before its model is there.
                let mut sound = self.look(hearing, rate, longest).await?;
                // Who may send so many seconds is told before anything is loaded, for which they have to be counted.
                if let Some(allowance) = &call.allowance {
                    sound = Sound::Decoded(self.hear(sound, rate, longest).await?);
                    allowance.take_audio(sound.seconds())?;
                }
                let lease = self.acquire(entry, &call, config.wait).await?;
                let (sounds, originals): (_, Vec<_>) = self.hear(sound, rate, longest).await?.into_iter().unzip();
                (lease, ask(sounds).into_iter().zip(originals).collect())
            }
        };
        call.served.warned(asks.first().map(|(_, original)| original.warnings()).unwrap_or_default());
        let asks = self.all_at_rate_of(&lease, asks).await?;
        let deadline = call.ends(config.request_timeout);
        Ok(Ready { lease, asks, id: call.id, deadline, output: config.output, longest })
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

    async fn all_at_rate_of<T: Sounding>(
        &self,
        lease: &Lease,
        asks: Vec<(T, Original)>,
    ) -> Result<Vec<(T, Original)>, ServiceError> {
        let mut ready = Vec::with_capacity(asks.len());
        for (ask, original) in asks {
            ready.push((self.at_rate_of(lease, ask).await?, original));
        }
        Ok(ready)
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

// === impl Asked ===

impl<T: 'static> Asked<T> {
    /// The same of each channel that is heard.
    fn of<O: Clone + Send + 'static>(hearing: Hearing, options: O, ask: fn(Pcm, O) -> T) -> Self {
        let asks = move |sounds: Vec<Pcm>| {
            let options = std::iter::repeat_n(options, sounds.len());
            sounds.into_iter().zip(options).map(|(sound, options)| ask(sound, options)).collect()
        };
        Self::Heard(hearing, Box::new(asks))
    }
}

// === impl Ready ===

impl<T: Runnable + Sounding> Ready<T> {
    /// Queues it; each of its requests as `open` makes it.
    fn send(self, mut open: impl FnMut(Request<T>) -> Request<T>) -> Result<Started<T>, ServiceError> {
        let Self { lease, asks, id, deadline, output, longest } = self;
        let heard = asks.iter().map(|(_, original)| original.seconds).sum();
        let characters = asks.iter().map(|(ask, _)| ask.characters()).sum();
        let send = |(ask, original)| {
            let (request, responses) = request(id.clone(), ask, Some(deadline));
            lease.submit(open(request.bounded(output)))?;
            Ok((responses, original))
        };
        // Where one finds no place, those before it are dropped, and their requests with them.
        let sent = asks.into_iter().map(send).collect::<Result<_, ServiceError>>()?;
        Ok(Started { lease, answers: Answers::new(sent), heard, characters, longest })
    }
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
        let untagged: fn(&str) -> bool = |_| false;
        let tags = entry.family.map_or(untagged, |family| family.tags());
        SpeechLimits {
            max_text: self.config.max_text,
            chunks,
            check,
            language: entry.family.and_then(|family| family.speaks()),
            scripts,
            tags,
            follows_instructions,
            follows_pitch,
            whole: entry.family.is_some_and(|family| family.takes_text_whole()),
        }
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
        instead: entry.family.and_then(|family| family.instead(task)),
    }
}
