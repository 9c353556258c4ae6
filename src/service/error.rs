//! Why a request got no answer.

use std::time::Duration;

use super::{allowance::OverAllowance, memory::OutOfMemory, voices::VoiceError};
use crate::{
    audio::DecodeError,
    catalog::Unknown,
    lifecycle::Unavailable,
    listening::DiarizationError,
    model::RequestError,
    runtime::Rejected,
    speech::{Awaited, Fault, Kind, ModelName, TaskKind},
    text::{LengthVerdict, TextError},
};

/// Why a request got no answer, or not a whole one.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Unknown(#[from] Unknown),
    #[error("{model} cannot be served here: {reason}")]
    Unsupported { model: ModelName, reason: String },
    #[error("{model} does not {task}{}; {}{}", it_can(.can), who_can(*.task, .others), advice(.instead))]
    WrongTask {
        model: ModelName,
        task: TaskKind,
        can: &'static [TaskKind],
        /// Who could.
        others: Vec<ModelName>,
        /// What its family says to who asks for it.
        instead: Option<&'static str>,
    },
    #[error(transparent)]
    Audio(#[from] DecodeError),
    /// Another decoder would hear it.
    #[error("{error}; {remedy}")]
    Undecoded { error: DecodeError, remedy: &'static str },
    #[error(transparent)]
    Allowance(#[from] OverAllowance),
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    #[error(transparent)]
    Model(#[from] Unavailable),
    #[error(transparent)]
    Queue(#[from] Rejected),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(
        "speakers are not told apart here: this server has no network that does so; `audio.speaker_network` names its file, or \
         leave diarize out"
    )]
    NoSpeakerNetwork,
    #[error(transparent)]
    Diarization(#[from] DiarizationError),
    #[error("the reference of the speaker {name:?} cannot be heard: {error}")]
    KnownSpeaker { name: String, error: Box<ServiceError> },
    #[error("what is said in the recording of the voice cannot be written down: {0}")]
    NoTranscript(Box<ServiceError>),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Voice(#[from] VoiceError),
    #[error("the {0} of the voice cannot be changed by this model; leave it out")]
    Prosody(&'static str),
    #[error("{}, {}", .0, why_at_last(.0))]
    ImplausibleLength(#[from] ImplausibleLength),
    #[error("the answer is longer than {} s; it can be had as a stream", limit.as_secs_f64())]
    TooLong { limit: Duration },
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// What a model made of a text cannot be what the text says.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the model {}", told(.verdict, .spoken))]
pub struct ImplausibleLength {
    pub verdict: LengthVerdict,
    /// Before it ended, or was ended.
    pub spoken: Duration,
    /// Whether it was too late to try again.
    pub sent: bool,
}

/// Why it is not tried again.
fn why_at_last(implausible: &ImplausibleLength) -> &'static str {
    if implausible.sent { "and its beginning was sent already" } else { "under two seeds" }
}

fn told(verdict: &LengthVerdict, spoken: &Duration) -> String {
    let spoken = spoken.as_secs_f32();
    match verdict {
        LengthVerdict::TooShort { least } => {
            format!("stopped after {spoken:.1} s of a text that takes {:.1} s at least", least.as_secs_f32())
        }
        LengthVerdict::TooLong { most } => {
            format!("found no end within the {:.1} s that its text may take", most.as_secs_f32())
        }
        LengthVerdict::Fine => format!("spoke for {spoken:.1} s"),
    }
}

fn it_can(tasks: &[TaskKind]) -> String {
    let tasks = tasks.iter().map(|task| task.as_str()).collect::<Vec<_>>().join(", ");
    if tasks.is_empty() { tasks } else { format!(", it can {tasks}") }
}

fn who_can(task: TaskKind, models: &[ModelName]) -> String {
    match models {
        [] => format!("no model of this server can {task}"),
        models => format!("these can: {}", models.iter().map(ModelName::as_str).collect::<Vec<_>>().join(", ")),
    }
}

fn advice(instead: &Option<&'static str>) -> String {
    instead.map(|advice| format!(". {advice}")).unwrap_or_default()
}

// === impl ServiceError ===

impl ServiceError {
    /// The error inside that knows its own meaning.
    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            Self::Unknown(error) => Some(error),
            Self::Allowance(error) => Some(error),
            Self::Memory(error) => Some(error),
            Self::Model(error) => Some(error),
            Self::Queue(error) => Some(error),
            Self::Request(error) => Some(error),
            Self::Voice(error) => Some(error),
            Self::Diarization(error) => Some(error),
            Self::KnownSpeaker { error, .. } | Self::NoTranscript(error) => Some(error.as_ref()),
            Self::NoSpeakerNetwork
            | Self::Unsupported { .. }
            | Self::WrongTask { .. }
            | Self::Audio(_)
            | Self::Undecoded { .. }
            | Self::Text(_)
            | Self::Prosody(_)
            | Self::ImplausibleLength(_)
            | Self::TooLong { .. }
            | Self::Internal(_) => None,
        }
    }
}

impl Fault for ServiceError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unsupported { .. } | Self::WrongTask { .. } | Self::Prosody(_) | Self::NoSpeakerNetwork => {
                Kind::Unsupported
            }
            Self::Audio(error) if error.is_too_large() => Kind::TooLarge,
            Self::TooLong { .. } => Kind::TooLarge,
            Self::Text(TextError::TooLong { .. }) => Kind::TooLarge,
            Self::Audio(_) | Self::Undecoded { .. } | Self::Text(_) => Kind::Invalid,
            Self::ImplausibleLength(_) | Self::Internal(_) => Kind::Internal,
            Self::Unknown(_)
            | Self::Allowance(_)
            | Self::Memory(_)
            | Self::Model(_)
            | Self::Queue(_)
            | Self::Request(_)
            | Self::Diarization(_)
            | Self::KnownSpeaker { .. }
            | Self::NoTranscript(_)
            | Self::Voice(_) => self.inner().map_or(Kind::Internal, Fault::kind),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.inner().and_then(Fault::retry_after)
    }

    fn permanent(&self) -> bool {
        self.inner().map_or(!matches!(self, Self::ImplausibleLength(_) | Self::Internal(_)), Fault::permanent)
    }

    fn awaited(&self) -> Option<Awaited> {
        self.inner().and_then(Fault::awaited)
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Audio(DecodeError::NoSuchTrack { .. } | DecodeError::TooManyTracks { .. }) => Some("track"),
            Self::Audio(_) | Self::Undecoded { .. } => Some("audio"),
            Self::Text(_) | Self::Prosody(_) => Some("text"),
            Self::NoSpeakerNetwork => Some("diarize"),
            Self::KnownSpeaker { .. } => Some("known_speaker_references"),
            Self::NoTranscript(_) => Some("voice"),
            Self::Unsupported { .. } | Self::WrongTask { .. } | Self::Unknown(_) => Some("model"),
            _ => self.inner().and_then(Fault::param),
        }
    }
}
