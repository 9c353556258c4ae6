//! What is said of a text before its codes: its phonemes, whose voice it is, and in which manner. Each has its own vectors,
//! which follow each other in the order of `config.json`.

use std::{collections::BTreeMap, f32::consts::TAU, ops::RangeInclusive};

use candle_core::{Result, Tensor};

use super::super::config::{ConditionerConfig, ConditionerKind, PrefixConfig, Projection, Unconditional};
use crate::nn::{
    ComputeContext, Embedding, Epilogue, LayerNorm, Linear,
    activation::silu,
    weights::{Loaded, Loader, WeightError},
};

/// The condition that is a speaker's embedding.
pub const SPEAKER: &str = "speaker";
/// Of the last norm, PyTorch's own.
const EPSILON: f32 = 1e-5;

/// What is said of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    pub phonemes: Vec<u32>,
    /// By the name of the condition; what is absent is left to the model.
    pub values: BTreeMap<&'static str, Vec<f32>>,
}

/// What a condition takes.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionRange {
    /// Numbers.
    pub size: usize,
    /// `None`: any.
    pub values: Option<RangeInclusive<f32>>,
}

/// Turns conditions into what the backbone reads first.
#[derive(Debug)]
pub struct PrefixConditioner {
    conditioners: Vec<Conditioner>,
    project: Projected,
    norm: LayerNorm,
    context: ComputeContext,
}

#[derive(Debug)]
struct Conditioner {
    name: String,
    kind: Kind,
    project: Projected,
    /// `[1, width]`, in the place of a value that is not given; `None`: it has to be.
    unconditional: Option<Tensor>,
}

#[derive(Debug)]
enum Kind {
    Phonemes(Embedding),
    Passthrough {
        size: usize,
    },
    /// `[width / 2, input]`, row by row
    Fourier {
        weight: Vec<f32>,
        input: usize,
        range: RangeInclusive<f32>,
    },
    /// From the least number on.
    Integer {
        table: Embedding,
        least: f32,
    },
}

#[derive(Debug)]
enum Projected {
    None,
    Linear(Linear),
    Mlp(Linear, Linear),
}

// === impl PrefixConditioner ===

impl PrefixConditioner {
    /// From tensors whose names begin with `prefix`.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &PrefixConfig, width: usize) -> Loaded<Self> {
        let name = |at: usize| format!("{prefix}conditioners.{at}.");
        let conditioners = config.conditioners.iter().enumerate();
        let conditioners = conditioners.map(|(at, config)| Conditioner::load(loader, &name(at), config, width));
        Ok(Self {
            conditioners: conditioners.collect::<Loaded<_>>()?,
            project: Projected::load(loader, prefix, config.projection, width, width)?,
            norm: loader.layer_norm(&format!("{prefix}norm"), width, EPSILON)?,
            context: loader.context.clone(),
        })
    }

    /// Ids of phonemes.
    pub fn vocabulary(&self) -> usize {
        let tables = self.conditioners.iter().filter_map(|conditioner| match &conditioner.kind {
            Kind::Phonemes(table) => Some(table.len()),
            _ => None,
        });
        tables.min().unwrap_or(0)
    }

    /// What a condition takes; `None`: this model does not hear of it.
    pub fn range(&self, name: &str) -> Option<ConditionRange> {
        let conditioner = self.conditioners.iter().find(|conditioner| conditioner.name == name)?;
        Some(match &conditioner.kind {
            Kind::Phonemes(_) => return None,
            Kind::Passthrough { size } => ConditionRange { size: *size, values: None },
            Kind::Fourier { input, range, .. } => ConditionRange { size: *input, values: Some(range.clone()) },
            Kind::Integer { table, least } => {
                ConditionRange { size: 1, values: Some(*least..=least + table.len() as f32 - 1.0) }
            }
        })
    }

    /// A condition without which the model says nothing, if that is so of one that is not there.
    pub fn missing(&self, conditions: &Conditions) -> Option<&str> {
        let missing = |conditioner: &&Conditioner| {
            let is_text = matches!(conditioner.kind, Kind::Phonemes(_));
            let given = is_text || conditions.values.contains_key(conditioner.name.as_str());
            !given && conditioner.unconditional.is_none()
        };
        self.conditioners.iter().find(missing).map(|conditioner| conditioner.name.as_str())
    }

    /// `[positions, width]`. The numbers are of the right count, and within their ranges.
    pub fn forward(&self, conditions: &Conditions) -> Result<Tensor> {
        let parts = self.conditioners.iter().map(|conditioner| conditioner.forward(conditions, &self.context));
        let all = Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)?;
        self.norm.forward(&self.project.forward(&all)?)
    }
}

// === impl Conditioner ===

impl Conditioner {
    fn load(loader: &mut Loader<'_>, prefix: &str, config: &ConditionerConfig, width: usize) -> Loaded<Self> {
        let size = config.cond_dim.unwrap_or(width);
        if config.projection == Projection::None && size != width {
            let reason =
                format!("is missing: config.json has {size} numbers of {}, and {width} are expected", config.name);
            return Err(WeightError::tensor(format!("{prefix}project.weight"), reason).into());
        }
        let (low, high) = (config.min_val.unwrap_or(0.0), config.max_val);
        let kind = match config.kind {
            ConditionerKind::Phonemes => {
                let name = format!("{prefix}phoneme_embedder");
                let [rows, _] = loader.weights.sizes(&format!("{name}.weight"))?;
                Kind::Phonemes(loader.embedding(&name, rows, size)?)
            }
            ConditionerKind::Passthrough => Kind::Passthrough { size },
            ConditionerKind::Fourier => {
                let (name, high) = (format!("{prefix}weight"), high.unwrap_or(1.0));
                let [half, input] = loader.weights.sizes(&name)?;
                let told = config.input_dim.unwrap_or(1);
                if input != told || 2 * half != size || high.partial_cmp(&low) != Some(std::cmp::Ordering::Greater) {
                    let reason = format!(
                        "has the shape [{half}, {input}], where config.json has {told} numbers from {low} to {high} and \
                         a width of {size}"
                    );
                    return Err(WeightError::tensor(name, reason).into());
                }
                Kind::Fourier { weight: loader.weights.take(&name, &[half, input])?, input, range: low..=high }
            }
            ConditionerKind::Integer => {
                let name = format!("{prefix}int_embedder");
                let [rows, _] = loader.weights.sizes(&format!("{name}.weight"))?;
                let told = high.unwrap_or(512.0) - low + 1.0;
                if rows as f32 != told {
                    let reason = format!("has {rows} rows, where config.json has {told} whole numbers");
                    return Err(WeightError::tensor(format!("{name}.weight"), reason).into());
                }
                Kind::Integer { table: loader.embedding(&name, rows, size)?, least: low }
            }
        };
        let unconditional = match config.uncond_type {
            Unconditional::Learned => {
                let vector = loader.weights.take(&format!("{prefix}uncond_vector"), &[width])?;
                Some(loader.context.tensor(vector, &[1, width])?)
            }
            Unconditional::None => None,
        };
        let project = Projected::load(loader, prefix, config.projection, size, width)?;
        Ok(Self { name: config.name.clone(), kind, project, unconditional })
    }

    fn forward(&self, conditions: &Conditions, context: &ComputeContext) -> Result<Tensor> {
        let given = match &self.kind {
            Kind::Phonemes(table) => Some(table.forward(&conditions.phonemes)?),
            kind => match conditions.values.get(self.name.as_str()) {
                Some(numbers) => Some(kind.embed(numbers, context)?),
                None => None,
            },
        };
        match (given, &self.unconditional) {
            (Some(given), _) => self.project.forward(&given),
            (None, Some(vector)) => Ok(vector.clone()),
            (None, None) => candle_core::bail!("the condition {} has no value", self.name),
        }
    }
}

// === impl Kind ===

impl Kind {
    /// `[1, width]`
    fn embed(&self, numbers: &[f32], context: &ComputeContext) -> Result<Tensor> {
        match self {
            Self::Phonemes(_) => candle_core::bail!("phonemes are no numbers"),
            Self::Passthrough { size } => context.tensor(numbers.to_vec(), &[1, *size]),
            Self::Integer { table, least } => {
                let number = numbers.first().copied().unwrap_or_default();
                table.forward(&[(number - least) as u32])
            }
            Self::Fourier { weight, input, range } => {
                let scaled = |number: &f32| TAU * ((number - range.start()) / (range.end() - range.start()));
                let scaled: Vec<f32> = numbers.iter().map(scaled).collect();
                let angle = |row: &[f32]| row.iter().zip(&scaled).map(|(weight, x)| weight * x).sum::<f32>();
                let angles: Vec<f32> = weight.chunks_exact(*input).map(angle).collect();
                let waves = angles.iter().map(|angle| angle.cos()).chain(angles.iter().map(|angle| angle.sin()));
                context.tensor(waves.collect(), &[1, 2 * angles.len()])
            }
        }
    }
}

// === impl Projected ===

impl Projected {
    fn load(loader: &mut Loader<'_>, prefix: &str, kind: Projection, depth: usize, width: usize) -> Loaded<Self> {
        let mut layer = |name: &str, depth: usize| {
            let name = format!("{prefix}{name}");
            let weight = loader.weights.view(&format!("{name}.weight"), &[width, depth])?;
            let bias = loader.weights.take(&format!("{name}.bias"), &[width])?;
            // Its product is one row or few, once a text; eight bits would save nothing.
            Loaded::Ok(Linear::new(&[weight], Some(bias), depth, loader.context)?)
        };
        Ok(match kind {
            Projection::None => Self::None,
            Projection::Linear => Self::Linear(layer("project", depth)?),
            Projection::Mlp => Self::Mlp(layer("project.0", depth)?, layer("project.2", width)?),
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.clone()),
            Self::Linear(layer) => layer.forward(x, Epilogue::None),
            Self::Mlp(first, second) => second.forward(&silu(&first.forward(x, Epilogue::None)?)?, Epilogue::None),
        }
    }
}
