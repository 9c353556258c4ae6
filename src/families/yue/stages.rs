//! Both stages on one device: there together, or in turns.

use std::time::Instant;

use super::{
    config::StageConfig,
    net::{Stage1, Stage2},
    repository::{MODEL, STAGE_2},
    tokens::{self, SongIds},
};
use crate::{
    families::{context, weight_files},
    model::{LoadError, ModelFiles, Placement, Residency},
    nn::{
        llama::Llama,
        sampler::Chooser,
        weights::{Loader, Weights},
    },
};

/// The stages, as far as they are there. One that is to work and is not there is loaded; where they take turns the other goes
/// first.
pub struct Stages {
    source: StageSource,
    first: Option<Stage1>,
    second: Option<Stage2>,
}

/// What the stages are loaded from, and where to.
pub struct StageSource {
    pub files: ModelFiles,
    pub place: Placement,
    pub ids: SongIds,
}

// === impl Stages ===

impl Stages {
    /// Both are loaded once, so that what is wrong with either is told before anybody waits for its turn.
    pub fn load(source: StageSource) -> Result<Self, LoadError> {
        let mut stages = Self { source, first: None, second: None };
        stages.bring_second()?;
        stages.bring_first()?;
        // What is read again is read from the disk: who holds files in memory counts those of models that are not loaded.
        stages.source.files = stages.source.files.unheld();
        Ok(stages)
    }

    pub fn are_together(&self) -> bool {
        self.source.place.residency == Residency::Together
    }

    pub fn first(&mut self) -> candle_core::Result<&Stage1> {
        self.bring_first().map_err(candle_core::Error::wrap)
    }

    pub fn second(&mut self) -> candle_core::Result<&Stage2> {
        self.bring_second().map_err(candle_core::Error::wrap)
    }

    fn bring_first(&mut self) -> Result<&Stage1, LoadError> {
        let first = match self.first.take() {
            Some(first) => first,
            None => {
                self.second.take_if(|_| self.source.place.residency == Residency::InTurns);
                Stage1 { llama: self.source.stage(MODEL)?, ids: self.source.ids, chooser: Chooser::default() }
            }
        };
        Ok(self.first.insert(first))
    }

    fn bring_second(&mut self) -> Result<&Stage2, LoadError> {
        let second = match self.second.take() {
            Some(second) => second,
            None => {
                self.first.take_if(|_| self.source.place.residency == Residency::InTurns);
                Stage2 { llama: self.source.stage(STAGE_2)?, ids: self.source.ids, chooser: Chooser::default() }
            }
        };
        Ok(self.second.insert(second))
    }
}

// === impl StageSource ===

impl StageSource {
    /// It says token by token, and each takes all of its weights: there eight bits are worth the most.
    fn stage(&self, part: &str) -> Result<Llama, LoadError> {
        let (began, place) = (Instant::now(), &self.place);
        let config = StageConfig::read(&self.files, part)?;
        let files = weight_files::names(&self.files, part)?;
        let context = context::with_kept(context::quantized(place), place, &self.files, part, &files)?;
        let open = |name: String| {
            let bytes = context::weights(&context, &self.files, part, &name, place)?;
            Ok::<_, LoadError>((name, bytes))
        };
        let files = files.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let mut weights = Weights::open(&files, "")?;
        let written = self.ids.written();
        let logits = (part == STAGE_2).then_some(written.start as usize..written.end as usize);
        let llama = Llama::load(&mut Loader { weights: &mut weights, context: &context }, &config.llama, logits)?;
        weights.finish()?;
        let (found, most) = (llama.vocabulary(), written.end as usize);
        if found < most {
            let reason = format!("its model {part} knows {found} tokens, and there are {most}");
            return Err(LoadError::Malformed { file: tokens::FILE.to_owned(), reason });
        }
        context::keep(&context);
        tracing::debug!(part, seconds = began.elapsed().as_secs_f64(), "a stage is there");
        Ok(llama)
    }
}
