//! The vocabulary that every layer above sound shares: what a caller may ask, what comes back, and what a failure
//! *means*. Nothing here knows a model, a thread or a protocol.

mod fault;
mod name;
mod task;
mod transcribe;
mod transcript;

pub use fault::{Fault, Kind};
pub use name::ModelName;
pub use task::{Task, TaskKind};
pub use transcribe::{
    HEARING_RATE, Logprob, Segment, Summary, Timestamps, Transcribe, TranscribeMode, TranscribeOptions,
    TranscriptEvent, Word,
};
pub use transcript::Transcript;
