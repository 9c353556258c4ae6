//! To change a voice: speech in, the same speech by somebody else out.

use serde_json::{Map, Value};

use super::{SpeechEvent, Task, TaskKind, VoiceInput};
use crate::audio::Pcm;

/// A recording to be spoken by another voice, and how.
#[derive(Clone, Debug)]
pub struct Convert {
    /// At the rate that the family wants ([`Family::input_rate`](crate::model::Family::input_rate)). Of a live recording,
    /// its beginning.
    pub audio: Pcm,
    pub options: ConvertOptions,
}

/// What a caller may say about a conversion. Made where a request is read, and handed on as it is.
#[derive(Clone, Debug, Default)]
pub struct ConvertOptions {
    /// Whose voice it is to become; the model's default voice if absent.
    pub voice: Option<VoiceInput>,
    /// Equal seeds convert alike. Chosen by chance if absent.
    pub seed: Option<u64>,
    /// Knobs of one family, read by it with unknown names refused.
    pub options: Map<String, Value>,
}

impl Task for Convert {
    const KIND: TaskKind = TaskKind::Convert;
    type Piece = SpeechEvent;
    /// The sound that follows.
    type Input = Pcm;
}
