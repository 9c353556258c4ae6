//! A layer: attention that all rows share, and a feed-forward part for each kind of rows.

use candle_core::{Result, Tensor};

use super::rows::Rows;
use crate::nn::{
    RmsNorm, Rotation,
    llama::{GatedMlp, GroupedAttention, HeadShape, Sequence},
    weights::{Loaded, Loader},
};

#[derive(Debug)]
pub struct Layer {
    pub(super) text: Part,
    pub(super) audio: Part,
    pub(super) attention: GroupedAttention,
}

/// What rows of one kind have to themselves.
#[derive(Debug)]
pub(super) struct Part {
    pub attention_norm: RmsNorm,
    pub mlp: GatedMlp,
}

// === impl Layer ===

impl Layer {
    /// `layer`: its name.
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize, shape: HeadShape, epsilon: f32) -> Loaded<Self> {
        Ok(Self {
            text: Part::load(loader, layer, "", width, epsilon)?,
            audio: Part::load(loader, layer, "audio_", width, epsilon)?,
            attention: GroupedAttention::load(loader, &format!("{layer}.self_attn"), width, shape)?,
        })
    }

    /// Feeds as many rows to each of some sequences, `[rows, width]`, sequence after sequence.
    pub fn forward(
        &self,
        at: usize,
        x: &Tensor,
        rows: &Rows,
        rotation: &Rotation,
        sequences: &mut [&mut Sequence],
    ) -> Result<Tensor> {
        let (text, audio) = (&self.text, &self.audio);
        let normed = rows.apart(x, |x| text.attention_norm.forward(x), |x| audio.attention_norm.forward(x))?;
        let x = self.attention.forward(at, &normed, x, rotation, sequences)?;
        rows.apart(&x, |x| text.mlp.forward(x), |x| audio.mlp.forward(x))
    }
}

// === impl Part ===

impl Part {
    /// `kind`: what the names of its modules begin with.
    fn load(loader: &mut Loader<'_>, layer: &str, kind: &str, width: usize, epsilon: f32) -> Loaded<Self> {
        let norm = format!("{layer}.{kind}post_attention_layernorm");
        Ok(Self {
            attention_norm: loader.rms_norm(&format!("{layer}.{kind}input_layernorm"), width, epsilon)?,
            mlp: GatedMlp::load(loader, &format!("{layer}.{kind}mlp"), &norm, width, epsilon)?,
        })
    }
}
