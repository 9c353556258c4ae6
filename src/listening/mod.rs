//! What is heard of a sound beside its words, whichever model writes them down: whether somebody speaks, and who. Each is a small
//! network in one file, which who runs the server names.

mod network_file;
mod speakers;
mod voice_detection;

use std::{path::PathBuf, sync::Arc};

pub use self::{
    network_file::NetworkFault,
    speakers::{DiarizationError, Diarizer, KnownSpeaker, SpeakerSettings, SpeakerTurns},
    voice_detection::VoiceDetection,
};

/// Which networks there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Silero VAD; absent: speech is what stands out of the noise.
    pub voice_network: Option<PathBuf>,
    /// CAM++; absent: nobody is told apart.
    pub speaker_network: Option<PathBuf>,
    pub speakers: SpeakerSettings,
}

/// The networks that listen.
#[derive(Clone, Default)]
pub struct Listeners {
    pub voices: VoiceDetection,
    pub speakers: Option<Arc<Diarizer>>,
}

// === impl Listeners ===

impl Listeners {
    /// Reads the files. `threads`: that those work on who tell speakers apart.
    ///
    /// # Errors
    /// What is wrong with a file, by its path.
    pub fn open(config: &Config, threads: usize) -> Result<Self, NetworkFault> {
        let voices = match &config.voice_network {
            Some(path) => VoiceDetection::open(path)?,
            None => VoiceDetection::default(),
        };
        let speakers = config.speaker_network.as_deref();
        let speakers =
            speakers.map(|path| Diarizer::open(path, config.speakers, voices.clone(), threads)).transpose()?;
        Ok(Self { voices, speakers: speakers.map(Arc::new) })
    }
}
