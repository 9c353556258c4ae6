//! espeak-ng: more than a hundred languages by rules and formants, fast on any processor, and always the same.
//!
//! The program is of another project, under the GPL. Nothing of it is part of this one: it is found on the machine and run
//! as a process of its own, one for each chunk of text, which goes in through a pipe as the sound comes out of another
//! (`child`). Its models have no files.

mod options;
mod speaker;

#[cfg(test)]
mod tests;

use serde_json::Value;

use self::speaker::{PATIENCE, Speaker};
use crate::{
    families::espeak_ng::{EspeakPhonemizer, PROGRAM},
    model::{
        Availability, Family, Knob, LoadError, Model, ModelFiles, NoProgram, Placement, Preset, Program, Programs,
    },
    speech::TaskKind,
    text::{ChunkLimits, LengthCheck, Phonemizer},
};

/// The family.
pub struct Espeak;

const PRESETS: &[Preset] = &[Preset {
    name: "espeak-ng",
    aliases: &["espeak"],
    parts: &[],
    availability: Availability::Available,
    licence: "GPL-3.0-or-later",
    million_parameters: 0,
}];

/// Bytes of memory of a process that speaks: 7 MB of espeak-ng 1.51, by `/usr/bin/time -v`, and room.
const PROCESS: u64 = 16 << 20;

// === impl Espeak ===

impl Family for Espeak {
    fn name(&self) -> &'static str {
        "espeak-ng"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize]
    }

    /// It says any text in one go; what is shorter is begun sooner, and less of it lost when it fails.
    fn chunk_limits(&self) -> ChunkLimits {
        ChunkLimits { target: 300, max: 600 }
    }

    /// What it makes of a text follows from the text: saying it once more gives the same.
    fn length_check(&self) -> LengthCheck {
        LengthCheck::NONE
    }

    fn follows_pitch(&self) -> bool {
        true
    }

    fn program(&self) -> Option<&'static Program> {
        Some(&PROGRAM)
    }

    fn phonemizer(&self, programs: &Programs) -> Result<Option<Box<dyn Phonemizer>>, NoProgram> {
        Ok(Some(Box::new(EspeakPhonemizer::new(programs.survey(&PROGRAM)?))))
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    /// There is but the one, which has no files.
    fn recognises(&self, _config: &Value) -> bool {
        false
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        &[&[]]
    }

    fn files(&self, _part: &str, _listing: &[String]) -> Result<Vec<String>, LoadError> {
        Ok(Vec::new())
    }

    /// Of its processes, which are no accelerator's.
    fn footprint(&self, _files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        Ok(if place.device.is_cpu() { PROCESS.saturating_mul(place.max_batch as u64) } else { 0 })
    }

    fn load(&self, _files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let facts = place.programs.survey(&PROGRAM)?;
        tracing::info!(version = facts.version, voices = facts.voices.len(), "espeak-ng speaks");
        Ok(Box::new(Speaker::new(facts, place.max_batch, PATIENCE)))
    }
}
