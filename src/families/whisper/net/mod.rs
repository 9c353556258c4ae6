//! The network: log-mel in, the likelihood of the next token out.
//!
//! [`Net`] is weights only. What belongs to a request lives in [`Slots`]: each holds the keys and values of one decoder
//! sequence, and sequences join ([`Net::open`]) and leave ([`Slots::close`]) between two steps.

mod cross_attention;
mod decoder;
mod features;
mod load;
mod network;
#[cfg(feature = "cuda")]
mod step;
#[cfg(test)]
mod tests;

pub use features::{Alignment, Features};
pub use network::Net;

pub use crate::nn::attention::{Slot, Slots};
