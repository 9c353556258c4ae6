//! The one place where a native request becomes that of a task, and where what a task answers becomes a prediction.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    content::Matter,
    format::TextFormat,
    prediction::{self, Prediction, Sound, SoundFile},
    request::{NativeRequest, SoundAnswer, TaskOptions},
    sound::{EncodedEvent, EncodedSound},
};
use crate::{
    http::problem::Problem,
    jobs::Progress,
    service::{
        AudioInput, Call, ConvertRequest, Service, ServiceError, SpeakRequest, TranscribeRequest, Transcription,
    },
    speech::{Checkpoint, Kind, Segment, SpeechProgress, Timestamps, TranscriptEvent, VoiceInput},
    text::TextError,
};

/// What is to be done, understood.
#[derive(Clone, Debug)]
pub(in crate::http) enum TaskRequest {
    Transcribe(Box<TranscribeRequest>, TextFormat),
    Synthesize(Box<SpeakRequest>, SoundAnswer),
    Convert(Box<ConvertRequest>, SoundAnswer),
}

/// Whether sound is kept until all of it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum SoundRetention {
    /// The whole answer has it.
    Sound,
    /// Its pieces are sent as they come.
    Nothing,
}

/// A request that a model works on. Dropping it stops the work.
pub(in crate::http) enum Running {
    Transcribe {
        transcription: Box<Transcription>,
        timestamps: Timestamps,
        /// Those that came so far.
        segments: Vec<Segment>,
        format: TextFormat,
    },
    Sound(Box<RunningSound>),
}

/// Sound that is being made.
pub(in crate::http) struct RunningSound {
    sound: EncodedSound,
    as_file: bool,
    /// What came so far, if it is kept.
    file: Option<SoundFile>,
    /// Its name, where it was asked for by that.
    stem: Option<String>,
    stems: Vec<(&'static str, SoundFile)>,
    memory: Service,
    /// Seconds that are kept, at most.
    longest: std::time::Duration,
    ignored: Vec<&'static str>,
    over: bool,
}

/// What comes of a request while a model works on it.
pub(in crate::http) enum Step {
    Piece(Piece),
    /// Once, last.
    Whole(Prediction),
}

/// A part of an answer.
pub(in crate::http) enum Piece {
    /// And where it ends, in seconds of the recording.
    Segment(Value, f64),
    /// And how many seconds of sound there are with it.
    Sound(Bytes, f64),
    /// Of another sound, by its name.
    Stem(&'static str, Bytes),
    Progress(SpeechProgress),
    /// From which the model can go on, given the same request.
    Checkpoint(Checkpoint),
}

// === impl TaskRequest ===

impl TaskRequest {
    /// `audio` is the request's recording, if it has one, and `voice` whose voice it wants.
    pub fn of(
        service: &Service,
        request: NativeRequest,
        audio: Option<AudioInput>,
        voice: Option<VoiceInput>,
    ) -> Result<Self, Problem> {
        let missing = |name, what| Problem::invalid(name, format!("the field {name}, with the {what}, is missing"));
        let audio = || audio.ok_or_else(|| missing("audio", "recording"));
        match request.options {
            TaskOptions::Transcribe(options, format) => {
                let request =
                    TranscribeRequest { audio: audio()?, options, voice_activity: None, known_speakers: Vec::new() };
                Ok(Self::Transcribe(Box::new(request), format))
            }
            TaskOptions::Synthesize(fields, answer) => match request.content.matter {
                Some(Matter::Text(text)) => {
                    let text = bounded(&text, service.config().max_text)?;
                    Ok(Self::Synthesize(Box::new(fields.request(text, voice)), answer))
                }
                _ => Err(missing("text", "words")),
            },
            TaskOptions::Convert(fields, answer) => {
                let request = ConvertRequest { audio: audio()?, options: fields.options(voice) };
                Ok(Self::Convert(Box::new(request), answer))
            }
        }
    }

    /// What is wrong with it as far as can be told without the model: a text is read, and thrown away.
    pub async fn check(self, service: &Service, model: Option<&str>) -> Result<(), Problem> {
        match self {
            Self::Synthesize(request, _) => Ok(service.check_text(model, *request).await?),
            Self::Transcribe(..) | Self::Convert(..) => Ok(()),
        }
    }

    /// Brings the request to its model.
    pub async fn start(self, service: &Service, call: Call, keep: SoundRetention) -> Result<Running, Problem> {
        self.go_on(service, call, keep, None).await
    }

    /// The same, where an earlier try came as far as the checkpoint says.
    pub async fn go_on(
        self,
        service: &Service,
        call: Call,
        keep: SoundRetention,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Running, Problem> {
        match self {
            Self::Transcribe(request, format) => {
                let timestamps = request.options.timestamps;
                let transcription = Box::new(service.transcribe(call, *request).await?);
                Ok(Running::Transcribe { transcription, timestamps, segments: Vec::new(), format })
            }
            Self::Synthesize(request, answer) => {
                let instructed = request.options.instructions.is_some();
                let stem = request.options.stems.first().cloned();
                let follows = !instructed || service.follows_instructions(call.model.as_deref())?;
                let ignored = if follows { Vec::new() } else { vec!["instructions"] };
                let speaking = service.speak(call, *request).await?.going_on(checkpoint);
                let speaking = if keep == SoundRetention::Sound { speaking.patiently() } else { speaking };
                let sound = EncodedSound::new(speaking, answer.format);
                Ok(Running::sound(service, sound, answer, keep, ignored, stem))
            }
            Self::Convert(request, answer) => {
                let sound = EncodedSound::new(service.convert(call, *request).await?, answer.format);
                Ok(Running::sound(service, sound, answer, keep, Vec::new(), None))
            }
        }
    }
}

/// A copy of a text, unless it is longer than any that is spoken.
fn bounded(text: &str, limit: usize) -> Result<String, Problem> {
    match text.chars().count() {
        length if length > limit => Err(ServiceError::from(TextError::TooLong { length, limit }).into()),
        _ => Ok(text.to_owned()),
    }
}

// === impl Running ===

impl Running {
    fn sound(
        service: &Service,
        sound: EncodedSound,
        answer: SoundAnswer,
        keep: SoundRetention,
        ignored: Vec<&'static str>,
        stem: Option<String>,
    ) -> Self {
        let file = (keep == SoundRetention::Sound).then(|| SoundFile::new(service.sound_memory()));
        let (as_file, longest, memory) = (answer.as_file, service.config().max_audio, service.clone());
        Self::Sound(Box::new(RunningSound {
            sound,
            as_file,
            file,
            stem,
            stems: Vec::new(),
            memory,
            longest,
            ignored,
            over: false,
        }))
    }

    /// Length of the recording, or of what is made, as far as that is known from the start.
    pub fn seconds(&self) -> Option<f64> {
        match self {
            Self::Transcribe { transcription, .. } => Some(transcription.seconds()),
            Self::Sound(running) => running.sound.expected(),
        }
    }

    /// What comes next; `None` after the whole, or after a problem.
    pub async fn next(&mut self) -> Option<Result<Step, Problem>> {
        match self {
            Self::Transcribe { transcription, timestamps, segments, format } => {
                Some(loop {
                    break match transcription.next().await? {
                        // It may still change.
                        Ok(TranscriptEvent::Partial(_)) => continue,
                        Ok(TranscriptEvent::Segment(segment)) => {
                            let piece = Piece::Segment(prediction::segment(&segment, *timestamps), segment.end);
                            segments.push(segment);
                            Ok(Step::Piece(piece))
                        }
                        Ok(TranscriptEvent::Done(summary)) => {
                            let transcript = transcription.transcript(std::mem::take(segments), summary);
                            Ok(Step::Whole(Prediction::of_transcript(&transcript, *timestamps, *format)))
                        }
                        Err(error) => Err(error.into()),
                    };
                })
            }
            Self::Sound(running) => running.next().await,
        }
    }

    /// Waits for the whole, and shows each piece as soon as it is there.
    pub async fn whole(mut self, mut see: impl FnMut(Piece)) -> Result<Prediction, Problem> {
        while let Some(step) = self.next().await {
            match step? {
                Step::Piece(piece) => see(piece),
                Step::Whole(prediction) => return Ok(prediction),
            }
        }
        Err(Problem::new(Kind::Internal, "internal error: the answer ended without its last piece"))
    }
}

// === impl RunningSound ===

impl RunningSound {
    async fn next(&mut self) -> Option<Result<Step, Problem>> {
        if self.over {
            return None;
        }
        let step = match self.sound.next_event().await {
            Some(Ok(event)) => self.piece(event).map(Step::Piece),
            Some(Err(problem)) => Err(problem),
            None => self.whole().map(Step::Whole),
        };
        self.over = !matches!(step, Ok(Step::Piece(_)));
        Some(step)
    }

    fn piece(&mut self, event: EncodedEvent) -> Result<Piece, Problem> {
        Ok(match event {
            EncodedEvent::Sound(bytes) => {
                self.keep(&bytes)?;
                Piece::Sound(bytes, self.sound.seconds())
            }
            EncodedEvent::Stem(name, bytes) => {
                self.keep_stem(name, &bytes)?;
                Piece::Stem(name, bytes)
            }
            EncodedEvent::Progress(progress) => Piece::Progress(progress),
            EncodedEvent::Checkpoint(checkpoint) => Piece::Checkpoint(checkpoint),
        })
    }

    fn keep(&mut self, bytes: &Bytes) -> Result<(), Problem> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.sound.seconds() > self.longest.as_secs_f64() {
            return Err(ServiceError::TooLong { limit: self.longest }.into());
        }
        Ok(file.push(bytes.clone()).map_err(ServiceError::from)?)
    }

    fn keep_stem(&mut self, name: &'static str, bytes: &Bytes) -> Result<(), Problem> {
        if self.file.is_none() {
            return Ok(());
        }
        let at = self.stems.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.stems.push((name, SoundFile::new(self.memory.sound_memory())));
            self.stems.len() - 1
        });
        Ok(self.stems[at].1.push(bytes.clone()).map_err(ServiceError::from)?)
    }

    fn whole(&mut self) -> Result<Prediction, Problem> {
        let silent = || Problem::new(Kind::Internal, "internal error: the model made no sound");
        let sample_rate = Some(self.sound.rate().ok_or_else(silent)?);
        let mut file = self.file.take();
        if let Some(file) = &mut file {
            file.complete(|file| self.sound.complete(file));
        }
        let mut stems = std::mem::take(&mut self.stems);
        for (name, stem) in &mut stems {
            stem.complete(|file| self.sound.complete_stem(name, file));
        }
        Ok(Prediction::Sound(Box::new(Sound {
            file,
            stem: self.stem.take(),
            stems,
            format: self.sound.format(),
            as_file: self.as_file,
            sample_rate,
            model: self.sound.model().clone(),
            watermark: self.sound.watermark(),
            summary: self.sound.summary.take().unwrap_or_default(),
            ignored: std::mem::take(&mut self.ignored),
        })))
    }
}

// === impl Piece ===

impl Piece {
    /// As it stands in an event, where it is one.
    pub fn event(&self) -> Option<Value> {
        match self {
            Self::Segment(segment, _) => Some(json!({"segment": segment})),
            Self::Sound(bytes, _) => Some(json!({"audio": {"content": BASE64_STANDARD.encode(bytes)}})),
            Self::Stem(name, bytes) => Some(json!({"stem": name, "audio": {"content": BASE64_STANDARD.encode(bytes)}})),
            Self::Progress(progress) => Some(json!({"progress": Progress::from(*progress)})),
            Self::Checkpoint(_) => None,
        }
    }
}
