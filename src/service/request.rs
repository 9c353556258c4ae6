//! What is asked of the service, as the protocols hand it over.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    audio::{Pcm, VoiceActivity},
    speech::{ConvertOptions, TranscribeOptions},
};

/// Hertz at which a recording is looked at whose model does not matter.
pub(super) const ANY_RATE: u32 = 16_000;

/// A recording as it came in, not yet decoded.
#[derive(Clone, Debug)]
pub struct Recording {
    pub bytes: Bytes,
    /// A media type or a file name, which may be wrong.
    pub hint: Option<String>,
}

/// Sound, as somebody sent it.
#[derive(Clone, Debug)]
pub enum AudioInput {
    /// A file of any common format.
    Encoded(Recording),
    /// Samples at any rate.
    Samples(Arc<Pcm>),
}

/// What to hear, and how.
#[derive(Clone, Debug)]
pub struct TranscribeRequest {
    pub audio: AudioInput,
    pub options: TranscribeOptions,
    /// Hear nothing but what this finds to be speech. Times are those of the whole recording all the same.
    pub voice_activity: Option<VoiceActivity>,
    /// Those who may speak and whose voices are known, by name; where it is to be told who says what.
    pub known_speakers: Vec<(String, Recording)>,
}

/// What to say in another voice, and how.
#[derive(Clone, Debug)]
pub struct ConvertRequest {
    pub audio: AudioInput,
    pub options: ConvertOptions,
}

// === impl AudioInput ===

impl AudioInput {
    /// The file, if it is one. The bytes are shared, not copied.
    pub(super) fn file(&self) -> Option<Recording> {
        match self {
            Self::Encoded(recording) => Some(recording.clone()),
            Self::Samples(_) => None,
        }
    }

    /// Of what came in.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Encoded(recording) => recording.bytes.len(),
            Self::Samples(pcm) => size_of_val(pcm.samples()),
        }
    }
}

impl From<Recording> for AudioInput {
    fn from(recording: Recording) -> Self {
        Self::Encoded(recording)
    }
}
