//! The layers, of either kind: a transformer has those that attend alone, a hybrid one of them now and then.

use candle_core::{Result, Tensor};

use super::{
    super::config::BackboneConfig,
    attention::{Attention, HeadShape, Mlp},
    sequence::{LayerState, Sequence},
};
use crate::nn::{
    ComputeContext, LayerNorm, Mamba2, Pairing, Rope,
    weights::{Loaded, Loader, WeightError},
};

/// The base of the wavelengths.
const THETA: f32 = 1e4;

#[derive(Debug)]
pub struct Backbone {
    layers: Vec<Layer>,
    pub norm: LayerNorm,
    rope: Rope,
    shape: HeadShape,
    context: ComputeContext,
}

#[derive(Debug)]
struct Layer {
    norm: LayerNorm,
    mixer: Mixer,
    /// State-space layers have none.
    mlp: Option<Mlp>,
}

#[derive(Debug)]
enum Mixer {
    Attention(Box<Attention>),
    StateSpace(Box<Mamba2>),
}

// === impl Backbone ===

impl Backbone {
    /// From tensors whose names begin with `prefix`.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &BackboneConfig) -> Loaded<Self> {
        let layers = format!("{prefix}layers.");
        let count = loader.weights.count(|at| format!("{layers}{at}.norm.weight"));
        if count != config.n_layer || count == 0 {
            let name = format!("{layers}{}.norm.weight", count.min(config.n_layer));
            let reason =
                format!("does not match config.json: there are {count} layers, and n_layer is {}", config.n_layer);
            return Err(WeightError::tensor(name, reason).into());
        }
        let shape = HeadShape::of(config);
        let pairing = if config.is_interleaved() { Pairing::Neighbours } else { Pairing::Halves };
        Ok(Self {
            layers: (0..count)
                .map(|at| Layer::load(loader, &format!("{layers}{at}"), at, config))
                .collect::<Loaded<_>>()?,
            norm: loader.layer_norm(&format!("{prefix}norm_f"), config.d_model, config.norm_epsilon)?,
            rope: Rope::new(shape.head_dim, THETA, None, loader.context).paired(pairing),
            shape,
            context: loader.context.clone(),
        })
    }

    /// Of a sequence that has not begun, with room for so many positions.
    pub fn sequence(&self, capacity: usize) -> Result<Sequence> {
        let layers = self.layers.iter().map(|layer| layer.memory(self.shape, capacity, &self.context));
        Ok(Sequence { layers: layers.collect::<Result<_>>()?, len: 0 })
    }

    /// Feeds as many rows to each of some sequences, `[rows, width]`, sequence after sequence. The state after each row,
    /// before the last norm.
    pub fn forward(&self, x: &Tensor, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        self.forward_watched(x, sequences, |_| {})
    }

    /// The same; `watch` sees the state after each layer.
    pub fn forward_watched(
        &self,
        x: &Tensor,
        sequences: &mut [&mut Sequence],
        mut watch: impl FnMut(&Tensor),
    ) -> Result<Tensor> {
        let count = x.dim(0)? / sequences.len().max(1);
        let next = |sequence: &&mut Sequence| (sequence.len..sequence.len + count).map(|at| at as u32);
        let rotation = self.rope.at(&sequences.iter().flat_map(next).collect::<Vec<_>>())?;
        let mut x = x.clone();
        for (at, layer) in self.layers.iter().enumerate() {
            let normed = layer.norm.forward(&x)?;
            x = match &layer.mixer {
                Mixer::Attention(attention) => attention.forward(at, &normed, &x, &rotation, sequences)?,
                Mixer::StateSpace(mixer) => {
                    let states = sequences.iter_mut().map(|sequence| sequence.state_mut(at));
                    mixer.forward(&normed, &x, &mut states.collect::<Result<Vec<_>>>()?)?
                }
            };
            if let Some(mlp) = &layer.mlp {
                x = mlp.forward(&x)?;
            }
            watch(&x);
        }
        sequences.iter_mut().for_each(|sequence| sequence.len += count);
        Ok(x)
    }
}

// === impl Layer ===

impl Layer {
    fn load(loader: &mut Loader<'_>, layer: &str, at: usize, config: &BackboneConfig) -> Loaded<Self> {
        let (width, epsilon) = (config.d_model, config.norm_epsilon);
        let mixer = format!("{layer}.mixer");
        let (a_log, fc1) = (format!("{mixer}.A_log"), format!("{layer}.mlp.fc1.weight"));
        let attends = !config.is_hybrid() || config.attn_layer_idx.contains(&at);
        if attends == loader.weights.has(&a_log) {
            let reason = match (config.is_hybrid(), attends) {
                (false, _) => "is of a hybrid, and config.json describes a transformer; ssm_cfg would say so",
                (true, true) => {
                    "is of a state-space layer, and attn_layer_idx in config.json has one that attends here"
                }
                (true, false) => {
                    "is missing: config.json describes a hybrid whose layer this is, and there is none here"
                }
            };
            return Err(WeightError::tensor(a_log, reason.to_owned()).into());
        }
        Ok(Self {
            norm: loader.layer_norm(&format!("{layer}.norm"), width, epsilon)?,
            mixer: match attends {
                true => Mixer::Attention(Box::new(Attention::load(loader, &mixer, width, HeadShape::of(config))?)),
                false => Mixer::StateSpace(Box::new(loader.mamba2(&mixer, width)?)),
            },
            mlp: match attends || loader.weights.has(&fc1) {
                true => Some(Mlp::load(loader, &format!("{layer}.mlp"), &format!("{layer}.norm2"), width, epsilon)?),
                false => None,
            },
        })
    }

    fn memory(&self, shape: HeadShape, capacity: usize, context: &ComputeContext) -> Result<LayerState> {
        match &self.mixer {
            Mixer::Attention(_) => {
                crate::nn::attention::KvCache::new(&shape.cache(capacity, context), context).map(LayerState::Attention)
            }
            Mixer::StateSpace(mixer) => mixer.state().map(LayerState::StateSpace),
        }
    }
}
