//! Any model that somebody has as a program: a process of its own that speaks a small protocol over its standard input and
//! output (`docs/workers.md`).
//!
//! What is to be executed, and whether it may be, is a `Plan`, made of the model's files and of what the
//! configuration says. Of each model that is configured so there is a `Described`, a family of one: what it does, and the
//! voices that it said it has. `Child` is the process, `Hosted` the model.

mod child;
mod described;
mod frame;
mod hosted;
mod kind;
mod learned;
mod log;
mod manifest;
mod message;
mod options;
mod plan;
mod posed;
mod row;

#[cfg(test)]
mod tests;

use serde_json::Value;

use self::{
    described::described,
    kind::{LAYOUTS, MARKER, NAME, files},
};
use crate::{
    model::{Family, LoadError, Model, ModelFiles, Placement, Preset, Programs},
    speech::TaskKind,
    text::LengthCheck,
};

/// The family.
pub struct Worker;

/// What a model is called that nobody named.
const NAMELESS: &str = "model";

// === impl Worker ===

impl Family for Worker {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Any of them: which, a model says itself.
    fn tasks(&self) -> &'static [TaskKind] {
        &TaskKind::ALL
    }

    /// Nothing is known of how it speaks.
    fn length_check(&self) -> LengthCheck {
        LengthCheck::NONE
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
        match described(NAMELESS, files, &place.programs)? {
            Some(described) => described.load(files, place),
            None => Err(LoadError::Missing(MARKER.to_owned())),
        }
    }
}
