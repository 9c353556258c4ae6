//! The layers, of either kind: a transformer has those that attend alone, a hybrid one of them now and then.

use candle_core::{Result, Tensor};

use super::{super::config::BackboneConfig, sequence::Sequence};
#[cfg(feature = "cuda")]
use crate::nn::llama::Repeating;
use crate::nn::{
    ComputeContext, LayerNorm, Linear, Mamba2, Norm, Pairing, Rope, Rotation,
    llama::{self, GatedMlp, GroupedAttention, HeadShape, positions},
    weights::{Bias, Loaded, Loader, WeightError},
};

/// The base of the wavelengths.
const THETA: f32 = 1e4;

#[derive(Debug)]
pub struct Backbone {
    pub(super) layers: Vec<Layer>,
    pub norm: LayerNorm,
    rope: Rope,
    shape: HeadShape,
    context: ComputeContext,
    #[cfg(feature = "cuda")]
    pub(super) repeating: Option<Repeating>,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub norm: LayerNorm,
    pub mixer: Mixer,
    /// State-space layers have none.
    pub mlp: Option<GatedMlp>,
}

/// With its number among those of its kind.
#[derive(Debug)]
pub(super) enum Mixer {
    Attention(usize, Box<GroupedAttention>),
    StateSpace(usize, Box<Mamba2>),
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
        let shape = config.shape();
        let pairing = if config.is_interleaved() { Pairing::Neighbours } else { Pairing::Halves };
        let rope = Rope::new(shape.head_dim, THETA, None, loader.context).paired(pairing);
        Ok(Self {
            layers: (0..count)
                .map(|at| Layer::load(loader, &format!("{layers}{at}"), at, config))
                .collect::<Loaded<_>>()?,
            norm: loader.layer_norm(&format!("{prefix}norm_f"), config.d_model, config.norm_epsilon)?,
            #[cfg(feature = "cuda")]
            repeating: Repeating::new(Some(&rope), shape, loader.context)?,
            rope,
            shape,
            context: loader.context.clone(),
        })
    }

    /// Of a sequence that has not begun, with room for so many positions.
    pub fn sequence(&self, capacity: usize) -> Result<Sequence> {
        let states = self.layers.iter().filter_map(|layer| match &layer.mixer {
            Mixer::Attention(..) => None,
            Mixer::StateSpace(_, mixer) => Some(mixer.state()),
        });
        let states = states.collect::<Result<Vec<_>>>()?;
        let (attending, cache) = (self.layers.len() - states.len(), self.shape.cache(capacity, &self.context));
        Ok(Sequence { attention: llama::Sequence::new(attending, &cache, &self.context)?, states })
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
        let attending: Vec<_> = sequences.iter_mut().map(|sequence| &mut sequence.attention).collect();
        let rotation = self.rope.at(&positions(&attending, count))?;
        let mut x = x.clone();
        for layer in &self.layers {
            x = layer.forward(&x, &rotation, sequences)?;
            watch(&x);
        }
        Ok(x)
    }
}

// === impl Layer ===

impl Layer {
    fn load(loader: &mut Loader<'_>, layer: &str, at: usize, config: &BackboneConfig) -> Loaded<Self> {
        let (width, epsilon) = (config.d_model, config.norm_epsilon);
        let mixer = format!("{layer}.mixer");
        let (a_log, fc1) = (format!("{mixer}.A_log"), format!("{layer}.mlp.fc1.weight"));
        let attends = config.attends(at);
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
        let before = (0..at).filter(|at| config.attends(*at) == attends).count();
        Ok(Self {
            norm: loader.layer_norm(&format!("{layer}.norm"), width, epsilon)?,
            mixer: match attends {
                true => Mixer::Attention(before, Box::new(attention(loader, &mixer, width, config.shape())?)),
                false => Mixer::StateSpace(before, Box::new(loader.mamba2(&mixer, width)?)),
            },
            mlp: match attends || loader.weights.has(&fc1) {
                true => Some(mlp(loader, layer, width, epsilon)?),
                false => None,
            },
        })
    }

    fn forward(&self, x: &Tensor, rotation: &Rotation, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        let normed = self.norm.forward(x)?;
        let x = match &self.mixer {
            Mixer::Attention(at, attention) => {
                let mut sequences: Vec<_> = sequences.iter_mut().map(|sequence| &mut sequence.attention).collect();
                attention.forward(*at, &normed, x, rotation, &mut sequences)?
            }
            Mixer::StateSpace(at, mixer) => {
                let states = sequences.iter_mut().map(|sequence| &mut sequence.states[*at]);
                mixer.forward(&normed, x, &mut states.collect::<Vec<_>>())?
            }
        };
        match &self.mlp {
            Some(mlp) => mlp.forward(&x),
            None => Ok(x),
        }
    }
}

/// `name`: that of the module.
fn attention(loader: &mut Loader<'_>, name: &str, width: usize, shape: HeadShape) -> Loaded<GroupedAttention> {
    let HeadShape { heads, shared, head_dim } = shape;
    let (inner, all) = (heads * head_dim, (heads + 2 * shared) * head_dim);
    let project_in = loader.linear_with(&format!("{name}.in_proj"), width, all, Bias::Absent)?;
    let project_out = loader.linear_with(&format!("{name}.out_proj"), inner, width, Bias::Absent)?;
    Ok(GroupedAttention::new(project_in, project_out, shape))
}

/// Of a layer, with the norm before it.
fn mlp(loader: &mut Loader<'_>, layer: &str, width: usize, epsilon: f32) -> Loaded<GatedMlp> {
    let up = format!("{layer}.mlp.fc1.weight");
    let [both, _] = loader.weights.sizes(&up)?;
    if !both.is_multiple_of(2) {
        let reason = format!("has {both} rows, where two halves are expected");
        return Err(WeightError::tensor(up, reason).into());
    }
    let inner = both / 2;
    let weight = loader.weights.view(&up, &[both, width])?;
    // The file has the gate last.
    let halves = [weight.part(inner * width..both * width), weight.part(0..inner * width)];
    let norm = Norm::Layer(loader.layer_norm(&format!("{layer}.norm2"), width, epsilon)?);
    let gate_up = Linear::quantizable(&halves, None, width, loader.context)?;
    let down = loader.linear_with(&format!("{layer}.mlp.fc2"), inner, width, Bias::Absent)?;
    Ok(GatedMlp::new(norm, gate_up, down, loader.context))
}
