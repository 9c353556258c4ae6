//! What the service needs to know.

use std::{path::PathBuf, time::Duration};

use super::{LexiconFile, live::LiveConfig};
pub use crate::audio::TimeOrigin;
use crate::{
    listening,
    model::{FlowLimits, GuardRules, ProgramChoice},
};

/// What the service needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a request waits for its model, unless it says otherwise.
    pub wait: Duration,
    /// How long a request may take in all, after its model is there.
    pub request_timeout: Duration,
    /// Longest recording that is taken, and longest sound that is gathered before it is sent.
    pub max_audio: Duration,
    /// Characters of a text that is spoken, markup included.
    pub max_text: usize,
    /// Bytes of decoded sound that are in memory at once, over all requests.
    pub max_decoded: usize,
    /// What hears the recordings that are not decoded here, and for how long at most.
    pub ffmpeg: ProgramChoice,
    pub ffmpeg_time_limit: Duration,
    pub ffmpeg_guard: GuardRules,
    /// What times are counted from.
    pub time_origin: TimeOrigin,
    /// What a model may make ahead of the one who reads its answer.
    pub output: FlowLimits,
    /// What may wait of a live recording, or of a text that is being written, for its model.
    pub input: FlowLimits,
    /// How words are said that models say wrongly; absent: as models do.
    pub lexicon: Option<LexiconFile>,
    /// Whether speech is brought to one loudness where a request does not say.
    pub normalize_loudness: bool,
    /// Where recordings of speakers lie; absent: there are none.
    pub voices: Option<PathBuf>,
    /// The model that writes down what is said in a recording of a speaker, where nobody did; absent: none does.
    pub transcriber: Option<String>,
    /// Bytes of decoded recordings of speakers that are kept for the next request.
    pub voice_memory: u64,
    /// The networks that hear beside the models.
    pub listening: listening::Config,
    /// Sound that comes in while somebody speaks.
    pub live: LiveConfig,
}
