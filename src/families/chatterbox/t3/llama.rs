//! The backbone of the English and the multilingual model: a Llama.

use candle_core::{Result, Tensor};

use super::{
    heads::HEAD_DIM,
    sequence::{Sequence, attend_causally, positions},
};
use crate::nn::{
    ComputeContext, Epilogue, Linear, LongContext, RmsNorm, Rope, Rotation, swiglu,
    weights::{Loaded, Loader},
};

const EPSILON: f32 = 1e-5;

/// The base of the wavelengths and their stretch, as in Llama 3.1.
const THETA: f32 = 5e5;
const LONG: LongContext = LongContext { factor: 8.0, low: 1.0, high: 4.0, trained: 8192.0 };

#[derive(Debug)]
pub(super) struct Llama {
    pub layers: Vec<Layer>,
    pub norm: RmsNorm,
    rope: Rope,
    context: ComputeContext,
}

#[derive(Debug)]
pub(super) struct Layer {
    attention_norm: RmsNorm,
    /// Queries, keys and values.
    project_in: Linear,
    project_out: Linear,
    mlp_norm: RmsNorm,
    /// Gate, then up.
    gate_up: Linear,
    down: Linear,
}

// === impl Llama ===

impl Llama {
    pub fn load(loader: &mut Loader<'_>, prefix: &str, width: usize) -> Loaded<Self> {
        let layers = format!("{prefix}layers.");
        // At least one, which is then found missing.
        let count = loader.weights.count(|at| format!("{layers}{at}.input_layernorm.weight")).max(1);
        // The model is always given embeddings of T3's own.
        loader.weights.ignore(&format!("{prefix}embed_tokens.weight"));
        Ok(Self {
            layers: (0..count).map(|at| Layer::load(loader, &format!("{layers}{at}"), width)).collect::<Loaded<_>>()?,
            norm: loader.rms_norm(&format!("{prefix}norm"), width, EPSILON)?,
            rope: Rope::new(HEAD_DIM, THETA, Some(LONG), loader.context),
            context: loader.context.clone(),
        })
    }

    pub fn forward(&self, x: &Tensor, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        let rotation = self.rope.at(&positions(sequences, x.dim(0)? / sequences.len().max(1)))?;
        let mut x = x.clone();
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.attend(at, &x, &rotation, sequences)?;
            x = layer.feed_forward(&x, &self.context)?;
        }
        Ok(x)
    }
}

// === impl Layer ===

impl Layer {
    fn load(loader: &mut Loader<'_>, layer: &str, width: usize) -> Loaded<Self> {
        let (attention, mlp) = (format!("{layer}.self_attn"), format!("{layer}.mlp"));
        loader.weights.ignore(&format!("{attention}.rotary_emb.inv_freq"));
        let [inner, _] = loader.weights.sizes(&format!("{mlp}.gate_proj.weight"))?;
        Ok(Self {
            attention_norm: loader.rms_norm(&format!("{layer}.input_layernorm"), width, EPSILON)?,
            project_in: joined(loader, &attention, &["q_proj", "k_proj", "v_proj"], width, width)?,
            project_out: joined(loader, &attention, &["o_proj"], width, width)?,
            mlp_norm: loader.rms_norm(&format!("{layer}.post_attention_layernorm"), width, EPSILON)?,
            gate_up: joined(loader, &mlp, &["gate_proj", "up_proj"], width, inner)?,
            down: joined(loader, &mlp, &["down_proj"], inner, width)?,
        })
    }

    fn attend(&self, at: usize, x: &Tensor, rotation: &Rotation, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        let all = self.project_in.forward(&self.attention_norm.forward(x)?, Epilogue::None)?;
        let width = all.dim(1)? / 3;
        let queries = rotation.apply(&all.narrow(1, 0, width)?)?;
        let keys = rotation.apply(&all.narrow(1, width, width)?)?;
        let values = all.narrow(1, 2 * width, width)?;
        let attended = attend_causally(at, [&queries, &keys, &values], sequences)?;
        self.project_out.forward(&attended, Epilogue::Add(x))
    }

    fn feed_forward(&self, x: &Tensor, context: &ComputeContext) -> Result<Tensor> {
        let inner = self.gate_up.forward(&self.mlp_norm.forward(x)?, Epilogue::None)?;
        self.down.forward(&swiglu(&inner, context)?, Epilogue::Add(x))
    }
}

/// Several layers without biases over the same input as one, `columns` of each.
fn joined(loader: &mut Loader<'_>, of: &str, names: &[&str], depth: usize, columns: usize) -> Loaded<Linear> {
    let view = |name: &&str| Ok(loader.weights.view(&format!("{of}.{name}.weight"), &[columns, depth])?);
    let weights = names.iter().map(view).collect::<Loaded<Vec<_>>>()?;
    Ok(Linear::quantizable(&weights, None, depth, loader.context)?)
}
