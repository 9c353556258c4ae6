//! The next token: the likeliest, or one drawn by its likelihood.

mod choice;
mod chooser;
mod edits;
mod filters;
mod logits;
mod repetition;
mod shape;

pub use choice::{Choice, Chosen, Guidance, GuidanceRule, Pick, SampledToken};
pub use chooser::Chooser;
pub use edits::{Filters, LogitEdits, Repetition};
pub use logits::{argmax, log_sum_exp};
pub use shape::{Shape, Unified};
