//! The program espeak-ng, by which one family speaks and another reads.
//!
//! It is of another project, under the GPL. Nothing of it is part of this one: it is found on the machine and run as a process
//! of its own, which text goes into through a pipe as the answer comes out of another.

mod child;
mod clauses;
mod listing;
mod phonemes;
mod survey;
mod wave;

#[cfg(test)]
pub use listing::voices;
pub use {
    child::{Piece, Utterance, written},
    clauses::{Clause, without_flags},
    phonemes::EspeakPhonemizer,
    survey::{COMMAND, of as survey},
};

use crate::model::Program;

/// What it is called, and how one gets it.
pub const PROGRAM: Program =
    Program { command: COMMAND, setting: "speech.espeak_ng", install: "apt-get install espeak-ng", survey };
