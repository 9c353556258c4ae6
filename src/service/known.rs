//! What is true until the next configuration: the models that there are, and the limits.

use std::sync::Arc;

use super::{Config, ServiceError, request::ANY_RATE, speech_limits::SpeechLimits};
use crate::{
    catalog::{Catalog, Entry},
    model::{Availability, Family},
    speech::TaskKind,
    text::{ChunkLimits, LengthCheck},
};

/// What is true until the next configuration.
pub(super) struct Known {
    pub catalog: Arc<Catalog>,
    pub config: Config,
}

// === impl Known ===

impl Known {
    /// The family of a model, or where that is only found when it is loaded, all that it may be of.
    pub fn candidates<'a>(&self, entry: &'a Entry) -> &'a [&'static dyn Family] {
        entry.family.as_ref().map_or(self.catalog.families(), std::slice::from_ref)
    }

    /// Hertz of the sound that comes with a request. Of a model whose family is only found when it is loaded, the highest
    /// that it may be.
    pub fn input_rate(&self, entry: &Entry, task: TaskKind) -> u32 {
        let able = self.candidates(entry).iter().filter(|family| family.tasks().contains(&task));
        able.map(|family| family.input_rate(task)).max().unwrap_or(ANY_RATE)
    }

    /// Of a model whose family is only found when it is loaded, those that every speaking family keeps.
    pub fn speech_limits(&self, entry: &Entry) -> SpeechLimits {
        let candidates = self.candidates(entry);
        let able = || candidates.iter().filter(|family| family.tasks().contains(&TaskKind::Synthesize));
        let usual = ChunkLimits { target: 200, max: 300 };
        let chunks = able().map(|family| family.chunk_limits()).min_by_key(|limits| limits.max).unwrap_or(usual);
        let scripts = entry.family.map(|family| family.scripts()).unwrap_or_default();
        let follows_instructions = entry.family.is_some_and(|family| family.follows_instructions());
        let follows_pitch = entry.family.is_some_and(|family| family.follows_pitch());
        let check = entry.family.map_or_else(LengthCheck::default, |family| family.length_check());
        let untagged: fn(&str) -> bool = |_| false;
        let tags = entry.family.map_or(untagged, |family| family.tags());
        SpeechLimits {
            max_text: self.config.max_text,
            chunks,
            check,
            language: entry.family.and_then(|family| family.speaks()),
            scripts,
            tags,
            follows_instructions,
            follows_pitch,
            whole: entry.family.is_some_and(|family| family.takes_text_whole()),
        }
    }
}

/// The catalog's entry, if this build can serve it and it does the task.
pub(super) fn entry<'a>(catalog: &'a Catalog, name: Option<&str>, task: TaskKind) -> Result<&'a Entry, ServiceError> {
    let entry = catalog.resolve_for(name, task)?;
    if let Availability::Unsupported(reason) = &entry.availability {
        return Err(ServiceError::Unsupported { model: entry.name.clone(), reason: reason.to_string() });
    }
    let any = || catalog.families().iter().any(|family| family.tasks().contains(&task));
    // As long as the family is not known, it may be any.
    let can = entry.tasks().map_or_else(any, |tasks| tasks.contains(&task));
    if can { Ok(entry) } else { Err(wrong_task(catalog, entry, task)) }
}

fn wrong_task(catalog: &Catalog, entry: &Entry, task: TaskKind) -> ServiceError {
    let others = catalog.entries().filter(|entry| entry.availability == Availability::Available);
    ServiceError::WrongTask {
        model: entry.name.clone(),
        task,
        can: entry.tasks().unwrap_or_default(),
        others: others.filter(|entry| entry.does(task)).map(|entry| entry.name.clone()).collect(),
        instead: entry.family.and_then(|family| family.instead(task)),
    }
}
