//! A family of one model: what the configuration and the files of a program say of it, and what it said itself.

use std::sync::Arc;

use serde_json::Value;

use super::{
    hosted::Hosted,
    kind::{LAYOUTS, MARKER, NAME, files},
    learned::Learned,
    manifest::Manifest,
    plan::{self, Plan},
};
use crate::{
    families::described::DescribedFamilies,
    model::{Family, LoadError, Model, ModelFiles, OwnVoice, Placement, Preset, Programs},
    speech::TaskKind,
    text::{ChunkLimits, LengthCheck},
};

/// Hertz that it hears at, unless it says otherwise.
const USUAL_RATE: u32 = 16_000;

/// One model.
#[derive(Debug)]
pub struct Described {
    model: String,
    tasks: &'static [TaskKind],
    manifest: Manifest,
    learned: Arc<Learned>,
}

static ALL: DescribedFamilies<Described> = DescribedFamilies::new();

/// What is known of one model; `None`: it is no program.
pub fn described(
    name: &str,
    files: &ModelFiles,
    programs: &Programs,
) -> Result<Option<&'static dyn Family>, LoadError> {
    let Some(plan) = Plan::of(name, files, programs)? else { return Ok(None) };
    plan.check_briefly()?;
    Ok(Some(Described::of(name, &plan)?))
}

// === impl Described ===

impl Described {
    /// The same for the same description.
    pub fn of(model: &str, plan: &Plan) -> Result<&'static Self, LoadError> {
        let tasks = fixed(&plan.tasks);
        let is = |known: &Self| known.model == model && known.tasks == tasks && known.manifest == plan.manifest;
        ALL.find_or_add(is, || {
            let learned = Learned::default();
            learned.learn(plan.voices(), plan.manifest.sample_rate, plan.manifest.max_text);
            let (manifest, learned) = (plan.manifest.clone(), Arc::new(learned));
            Self { model: model.to_owned(), tasks, manifest, learned }
        })
    }
}

/// The same tasks, for ever.
fn fixed(tasks: &[TaskKind]) -> &'static [TaskKind] {
    use TaskKind::{Convert, Synthesize, Transcribe};
    let does = |task| tasks.contains(&task);
    match (does(Transcribe), does(Synthesize), does(Convert)) {
        (true, true, true) => &[Transcribe, Synthesize, Convert],
        (true, true, false) => &[Transcribe, Synthesize],
        (true, false, true) => &[Transcribe, Convert],
        (true, false, false) => &[Transcribe],
        (false, true, true) => &[Synthesize, Convert],
        (false, true, false) => &[Synthesize],
        (false, false, true) => &[Convert],
        (false, false, false) => &[],
    }
}

impl Family for Described {
    fn name(&self) -> &'static str {
        NAME
    }

    fn tasks(&self) -> &'static [TaskKind] {
        self.tasks
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        self.manifest.input_rate.unwrap_or(USUAL_RATE)
    }

    fn chunk_limits(&self) -> ChunkLimits {
        const USUAL: ChunkLimits = ChunkLimits { target: 200, max: 300 };
        // What is shorter than it could be is begun sooner.
        self.learned.max_text().map_or(USUAL, |max| ChunkLimits { target: (max * 2 / 3).clamp(1, 600), max })
    }

    /// Nothing is known of how it speaks.
    fn length_check(&self) -> LengthCheck {
        LengthCheck::NONE
    }

    fn follows_instructions(&self) -> bool {
        self.manifest.instructions
    }

    fn follows_pitch(&self) -> bool {
        self.manifest.pitch
    }

    fn voices(&self) -> &'static [OwnVoice<'static>] {
        self.learned.voices()
    }

    fn presets(&self) -> &'static [Preset] {
        &[]
    }

    fn recognises(&self, _config: &Value) -> bool {
        false
    }

    fn marker(&self) -> Option<&'static str> {
        Some(MARKER)
    }

    fn described(
        &self,
        name: &str,
        files: &ModelFiles,
        programs: &Programs,
    ) -> Result<Option<&'static dyn Family>, LoadError> {
        described(name, files, programs)
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        LAYOUTS
    }

    fn files(&self, _part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        Ok(files(listing))
    }

    fn footprint(&self, files: &ModelFiles, _place: &Placement) -> Result<u64, LoadError> {
        plan::footprint(files)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let plan =
            Plan::of(&self.model, files, &place.programs)?.ok_or_else(|| LoadError::Missing(MARKER.to_owned()))?;
        plan.check()?;
        let hosted = Hosted::start(&self.model, &plan, place)?;
        let hello = hosted.hello();
        let rate = hello.sample_rate.or(self.manifest.sample_rate);
        let voices = if hello.voices.is_empty() { plan.voices() } else { &hello.voices };
        self.learned.learn(voices, rate, hello.max_text.or(self.manifest.max_text));
        Ok(Box::new(hosted))
    }
}
