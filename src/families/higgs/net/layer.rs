//! A layer: attention that all rows share, and a feed-forward part for each kind of rows.

use candle_core::{Result, Tensor};

use super::{
    rows::Rows,
    sequence::{HeadShape, Sequence},
};
use crate::nn::{
    ComputeContext, Epilogue, Linear, RmsNorm, Rotation,
    attention::{SequenceQueries, attend_grouped, extend_each},
    swiglu,
    weights::{Bias, Loaded, Loader},
};

#[derive(Debug)]
pub struct Layer {
    text: Part,
    audio: Part,
    /// Queries, keys and values.
    project_in: Linear,
    project_out: Linear,
    shape: HeadShape,
}

/// What rows of one kind have to themselves.
#[derive(Debug)]
struct Part {
    attention_norm: RmsNorm,
    norm: RmsNorm,
    /// Gate, then up.
    gate_up: Linear,
    down: Linear,
    context: ComputeContext,
}

// === impl Layer ===

impl Layer {
    /// `layer`: its name.
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize, shape: HeadShape, epsilon: f32) -> Loaded<Self> {
        let HeadShape { heads, shared, head_dim } = shape;
        let attention = format!("{layer}.self_attn");
        let projections = [("q_proj", heads), ("k_proj", shared), ("v_proj", shared)];
        Ok(Self {
            text: Part::load(loader, layer, "", width, epsilon)?,
            audio: Part::load(loader, layer, "audio_", width, epsilon)?,
            project_in: joined(loader, &attention, &projections.map(|(name, heads)| (name, heads * head_dim)), width)?,
            project_out: loader.linear_with(&format!("{attention}.o_proj"), heads * head_dim, width, Bias::Absent)?,
            shape,
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
        let x = self.attend(at, &normed, x, rotation, sequences)?;
        rows.apart(&x, |x| text.feed_forward(x), |x| audio.feed_forward(x))
    }

    fn attend(
        &self,
        at: usize,
        normed: &Tensor,
        residual: &Tensor,
        rotation: &Rotation,
        sequences: &mut [&mut Sequence],
    ) -> Result<Tensor> {
        let HeadShape { heads, shared, head_dim } = self.shape;
        let (inner, of_keys) = (heads * head_dim, shared * head_dim);
        let all = self.project_in.forward(normed, Epilogue::None)?;
        let queries = rotation.apply(&all.narrow(1, 0, inner)?)?;
        let keys = rotation.apply(&all.narrow(1, inner, of_keys)?)?;
        let values = all.narrow(1, inner + of_keys, of_keys)?;
        let count = normed.dim(0)? / sequences.len().max(1);
        extend_each(&mut sequences.iter_mut().map(|it| &mut it.caches[at]).collect::<Vec<_>>(), &keys, &values)?;
        let seen = sequences.iter().map(|sequence| SequenceQueries {
            cache: &sequence.caches[at],
            queries: count,
            causal: true,
        });
        let attended = attend_grouped(&queries, &seen.collect::<Vec<_>>(), heads / shared)?;
        self.project_out.forward(&attended, Epilogue::Add(residual))
    }
}

// === impl Part ===

impl Part {
    /// `kind`: what the names of its modules begin with.
    fn load(loader: &mut Loader<'_>, layer: &str, kind: &str, width: usize, epsilon: f32) -> Loaded<Self> {
        let mlp = format!("{layer}.{kind}mlp");
        let [inner, _] = loader.weights.sizes(&format!("{mlp}.gate_proj.weight"))?;
        Ok(Self {
            attention_norm: loader.rms_norm(&format!("{layer}.{kind}input_layernorm"), width, epsilon)?,
            norm: loader.rms_norm(&format!("{layer}.{kind}post_attention_layernorm"), width, epsilon)?,
            gate_up: joined(loader, &mlp, &[("gate_proj", inner), ("up_proj", inner)], width)?,
            down: loader.linear_with(&format!("{mlp}.down_proj"), inner, width, Bias::Absent)?,
            context: loader.context.clone(),
        })
    }

    /// `[rows, width]`, with what it was given.
    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.gate_up.forward(&self.norm.forward(x)?, Epilogue::None)?;
        self.down.forward(&swiglu(&inner, &self.context)?, Epilogue::Add(x))
    }
}

/// Several layers without biases over the same input as one; name and columns of each.
fn joined(loader: &mut Loader<'_>, of: &str, layers: &[(&str, usize)], depth: usize) -> Loaded<Linear> {
    let view = |(name, columns): &(&str, usize)| {
        Ok(loader.weights.view(&format!("{of}.{name}.weight"), &[*columns, depth])?)
    };
    let weights = layers.iter().map(view).collect::<Loaded<Vec<_>>>()?;
    Ok(Linear::quantizable(&weights, None, depth, loader.context)?)
}
