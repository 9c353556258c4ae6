//! The networks of a voice, of either make.

use std::ops::Range;

use super::{error::LarkError, hibari::HibariNet, net::LarkNet, plan::Plan};

/// What plans a sentence and decodes it.
#[derive(Debug)]
pub enum Networks {
    Lark(Box<LarkNet>),
    Hibari(Box<HibariNet>),
}

// === impl Networks ===

impl Networks {
    /// How long each symbol lasts and how high the voice is. `ids`: symbols with both edges, each of the alphabet.
    pub fn plan(&self, ids: &[u8], speed: f32) -> Result<Plan, LarkError> {
        match self {
            Self::Lark(net) => net.plan(ids, speed),
            Self::Hibari(net) => net.plan(ids, speed),
        }
    }

    /// What the vocoder reads of some steps, row by row of a frame; the same as those rows of the whole.
    pub fn decode(&self, plan: &Plan, steps: Range<usize>) -> Result<Vec<f32>, LarkError> {
        match self {
            Self::Lark(net) => net.decode(plan, steps),
            Self::Hibari(net) => net.decode(plan, steps),
        }
    }
}
