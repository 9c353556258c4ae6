//! The next token: the likeliest, or one drawn by its likelihood.

mod choice;
mod chooser;
mod edits;
mod filters;
mod logits;
mod repetition;

pub use choice::{Choice, Chosen, Guidance, GuidanceRule, Pick};
pub use chooser::Chooser;
pub use edits::{Filters, LogitEdits, Repetition};
pub use logits::{argmax, log_sum_exp};

/// A token and the natural logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampledToken {
    pub token: u32,
    pub logprob: f32,
}
