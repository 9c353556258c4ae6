//! The shapes of the published networks: what their `config.json` say, each by its repository.

use serde_json::{Value, json};

/// Of a window.
pub(super) const WINDOW_SECONDS: f64 = 30.0;

/// What tells a published network from the others.
pub(super) struct Shape {
    /// The repository that has it.
    pub preset: &'static str,
    pub width: usize,
    pub heads: usize,
    pub encoder_layers: usize,
    pub decoder_layers: usize,
    /// Of the log-mel.
    pub bands: usize,
    pub vocabulary: usize,
}

/// The vocabularies that there are.
pub(super) mod vocabularies {
    pub const ENGLISH: usize = 51_864;
    pub const MULTILINGUAL: usize = 51_865;
    /// With Cantonese.
    pub const V3: usize = 51_866;
}

use vocabularies::{ENGLISH, MULTILINGUAL, V3};

pub(super) const SHAPES: &[Shape] = &[
    Shape::new("openai/whisper-tiny", 384, [4, 4], MULTILINGUAL),
    Shape::new("openai/whisper-tiny.en", 384, [4, 4], ENGLISH),
    Shape::new("openai/whisper-base", 512, [6, 6], MULTILINGUAL),
    Shape::new("openai/whisper-base.en", 512, [6, 6], ENGLISH),
    Shape::new("openai/whisper-small", 768, [12, 12], MULTILINGUAL),
    Shape::new("openai/whisper-small.en", 768, [12, 12], ENGLISH),
    Shape::new("openai/whisper-medium", 1024, [24, 24], MULTILINGUAL),
    Shape::new("openai/whisper-medium.en", 1024, [24, 24], ENGLISH),
    Shape::new("openai/whisper-large", 1280, [32, 32], MULTILINGUAL),
    Shape::new("openai/whisper-large-v2", 1280, [32, 32], MULTILINGUAL),
    Shape::new("openai/whisper-large-v3", 1280, [32, 32], V3),
    Shape::new("openai/whisper-large-v3-turbo", 1280, [32, 4], V3),
    Shape::new("distil-whisper/distil-small.en", 768, [12, 4], ENGLISH),
    Shape::new("distil-whisper/distil-medium.en", 1024, [24, 2], ENGLISH),
    Shape::new("distil-whisper/distil-large-v2", 1280, [32, 2], MULTILINGUAL),
    Shape::new("distil-whisper/distil-large-v3", 1280, [32, 2], V3),
    Shape::new("distil-whisper/distil-large-v3.5", 1280, [32, 2], V3),
];

// === impl Shape ===

impl Shape {
    /// `layers`: of the encoder, and of the decoder. A head is 64 wide in all of them.
    const fn new(preset: &'static str, width: usize, layers: [usize; 2], vocabulary: usize) -> Self {
        let [encoder_layers, decoder_layers] = layers;
        let bands = if vocabulary == V3 { 128 } else { 80 };
        Self { preset, width, heads: width / 64, encoder_layers, decoder_layers, bands, vocabulary }
    }

    /// What its `config.json` says.
    pub fn config(&self) -> Value {
        json!({
            "model_type": "whisper", "activation_function": "gelu", "d_model": self.width,
            "encoder_layers": self.encoder_layers, "encoder_attention_heads": self.heads,
            "encoder_ffn_dim": 4 * self.width,
            "decoder_layers": self.decoder_layers, "decoder_attention_heads": self.heads,
            "decoder_ffn_dim": 4 * self.width,
            "num_mel_bins": self.bands, "max_source_positions": 1500, "max_target_positions": 448,
            "vocab_size": self.vocabulary,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::presets::PRESETS, weights},
        *,
    };

    #[test]
    fn every_published_model_has_its_shape_and_no_other_has_one() {
        let published: Vec<&str> =
            PRESETS.iter().map(|preset| preset.name).filter(|name| !name.starts_with("sconce/")).collect();
        let shapes: Vec<&str> = SHAPES.iter().map(|shape| shape.preset).collect();
        assert_eq!(shapes, published);
    }

    /// Within what their authors round by.
    #[test]
    fn a_shape_has_as_many_parameters_as_its_model() {
        for shape in SHAPES {
            let known = PRESETS.iter().find(|preset| preset.name == shape.preset).unwrap().million_parameters;
            let shapes = weights::shapes(&shape.config());
            let millions = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>() as f64 / 1e6;
            let ratio = millions / f64::from(known);
            assert!((0.96..1.01).contains(&ratio), "{}: {millions} of {known}", shape.preset);
        }
    }
}
