//! The vocabulary that every layer above sound shares: what a caller may ask, what comes back, and what a failure
//! *means*. Nothing here knows a model, a thread or a protocol.

mod convert;
mod fault;
pub mod languages;
mod name;
mod part;
mod problem;
mod size;
mod speech_event;
mod synthesize;
mod task;
mod tracks;
mod transcribe;
mod transcript;
mod voice;
mod warning;

pub use convert::{Convert, ConvertOptions};
pub use fault::{Awaited, Fault, Kind};
pub use name::ModelName;
pub use part::{Part, Parts};
pub use problem::Problem;
pub use size::{Measured, Size};
pub use speech_event::{
    Checkpoint, Mark, MarkKind, Speech, SpeechEstimate, SpeechEvent, SpeechProgress, SpeechSummary, SpeechTail,
};
pub use synthesize::{Pronunciation, Synthesize, SynthesizeOptions};
pub use task::{Piece, Task, TaskKind};
pub use tracks::Tracks;
pub use transcribe::{
    Alternative, Channels, Logprob, Segment, Summary, Timestamps, Transcribe, TranscribeMode, TranscribeOptions,
    TranscriptEvent, Word,
};
pub use transcript::{RunningText, Transcript};
pub use voice::{BlendError, CastError, ReferenceVoice, VoiceBlend, VoiceCast, VoiceInput};
pub use warning::{Warning, WarningCode};
