//! What files call the tensors of a Voxtral.

use crate::nn::weights::Weights;

/// Which of two kinds of names a file has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Spelling {
    /// As on the hub: `audio_tower`, `language_model.model.layers`, `language_model.lm_head`.
    Hub,
    /// As transformers has them in memory since the base model is a class of its own: `model.audio_tower`,
    /// `model.language_model.layers`, `lm_head`.
    Nested,
}

// === impl Spelling ===

impl Spelling {
    /// Of files that were opened and nothing was taken from yet.
    pub fn of(weights: &Weights) -> Self {
        if weights.has("model.audio_tower.conv1.weight") { Self::Nested } else { Self::Hub }
    }

    /// The name in the file of a tensor, or the beginning of some, that has this name on the hub.
    pub fn stored(self, name: &str) -> String {
        let inner = match self {
            Self::Hub => return name.to_owned(),
            Self::Nested => name.strip_prefix("language_model."),
        };
        match inner.map(|inner| inner.strip_prefix("model.").ok_or(inner)) {
            None => format!("model.{name}"),
            Some(Ok(inner)) => format!("model.language_model.{inner}"),
            Some(Err(outside)) => outside.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_place_in_either() {
        for (hub, nested) in [
            ("audio_tower", "model.audio_tower"),
            ("multi_modal_projector.linear_1.weight", "model.multi_modal_projector.linear_1.weight"),
            ("language_model.model.norm.weight", "model.language_model.norm.weight"),
            ("language_model.lm_head.weight", "lm_head.weight"),
        ] {
            assert_eq!((Spelling::Hub.stored(hub).as_str(), Spelling::Nested.stored(hub).as_str()), (hub, nested));
        }
    }
}
