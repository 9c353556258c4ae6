//! What can be found out before anything is asked of a model.

use super::{Service, ServiceError, SpeakRequest, entry, read_aloud};
use crate::{model::OwnVoice, speech::TaskKind};

impl Service {
    /// Whether a model can be asked for a task, as far as is known before it is loaded. Nothing is counted.
    pub fn can(&self, model: Option<&str>, task: TaskKind) -> bool {
        entry(&self.catalog(), model, task).is_ok()
    }

    /// The voices that the model of a request has itself; empty where only the loaded model knows them.
    pub fn own_voices(&self, model: Option<&str>, task: TaskKind) -> Result<&'static [OwnVoice], ServiceError> {
        let catalog = self.catalog();
        Ok(entry(&catalog, model, task)?.family.map(|family| family.voices()).unwrap_or_default())
    }

    /// Reads a text as [`speak`](Self::speak) does, and says what is wrong with it.
    pub async fn check_text(&self, model: Option<&str>, asked: SpeakRequest) -> Result<(), ServiceError> {
        let known = self.known.load_full();
        let limits = known.speech_limits(entry(&known.catalog, model, TaskKind::Synthesize)?);
        read_aloud(asked, limits, known.config.lexicon.clone()).await.map(drop)
    }
}
