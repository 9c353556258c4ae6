//! What can be found out before anything is asked of a model.

use super::{Service, ServiceError, SpeakRequest, VoiceError, entry};
use crate::speech::{SpeechEstimate, TaskKind, VoiceInput};

impl Service {
    /// Whether a model can be asked for a task, as far as is known before it is loaded. Nothing is counted.
    pub fn can(&self, model: Option<&str>, task: TaskKind) -> bool {
        entry(&self.catalog(), model, task).is_ok()
    }

    /// The voice that a name means to the model of a request: a recording of this server, else one of the model's own. A
    /// model of which is not known which it has says itself whether it has this one.
    pub async fn voice(&self, model: Option<&str>, task: TaskKind, name: &str) -> Result<VoiceInput, ServiceError> {
        if let Some(reference) = self.voices.of_name(name).await? {
            return Ok(VoiceInput::Reference(reference));
        }
        let catalog = self.catalog();
        let entry = entry(&catalog, model, task)?;
        if entry.has_voice(name) != Some(false) {
            return Ok(VoiceInput::Named(name.to_owned()));
        }
        let others = self.voices.list().await?.into_iter().map(|voice| voice.name);
        let known = entry.own_voices().iter().map(|voice| voice.name.to_owned()).chain(others).collect();
        Err(VoiceError::Unknown { asked: name.to_owned(), known }.into())
    }

    /// Whether a text takes longer than somebody at a connection waits, as its family has it.
    pub fn takes_long(&self, model: Option<&str>, asked: &SpeakRequest) -> bool {
        let catalog = self.catalog();
        let family = entry(&catalog, model, TaskKind::Synthesize).ok().and_then(|entry| entry.family);
        family.is_some_and(|family| family.is_long(&asked.text, &asked.options))
    }

    /// What becomes of a text at most, where its family can tell.
    pub fn estimate(&self, model: Option<&str>, asked: &SpeakRequest) -> Option<SpeechEstimate> {
        let catalog = self.catalog();
        let family = entry(&catalog, model, TaskKind::Synthesize).ok()?.family?;
        family.estimate(&asked.text, &asked.options)
    }

    /// Reads a text as [`speak`](Self::speak) does, and says what is wrong with it.
    pub async fn check_text(&self, model: Option<&str>, asked: SpeakRequest) -> Result<(), ServiceError> {
        let known = self.known.load_full();
        self.read(&known, entry(&known.catalog, model, TaskKind::Synthesize)?, asked).await.map(drop)
    }
}
