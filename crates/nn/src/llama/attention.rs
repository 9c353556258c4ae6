//! Attention in which several heads of queries share one of keys and values.

use candle_core::{Result, Tensor};

use super::{
    joined::joined,
    sequence::{HeadShape, Sequence, attend_causally},
};
use crate::{
    linear::{Epilogue, Linear},
    rope::Rotation,
    weights::{Bias, Loaded, Loader},
};

#[derive(Debug)]
pub struct GroupedAttention {
    /// Queries, keys and values.
    pub(super) project_in: Linear,
    pub(super) project_out: Linear,
    pub(super) shape: HeadShape,
}

// === impl GroupedAttention ===

impl GroupedAttention {
    /// `project_in`: to queries, keys and values, in this order.
    pub fn new(project_in: Linear, project_out: Linear, shape: HeadShape) -> Self {
        Self { project_in, project_out, shape }
    }

    /// `name`: that of the module whose projections they are, as `model.layers.0.self_attn`.
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize, shape: HeadShape) -> Loaded<Self> {
        let HeadShape { heads, shared, head_dim } = shape;
        let projections = [("q_proj", heads), ("k_proj", shared), ("v_proj", shared)];
        Ok(Self {
            project_in: joined(loader, name, &projections.map(|(name, heads)| (name, heads * head_dim)), width)?,
            project_out: loader.linear_with(&format!("{name}.o_proj"), heads * head_dim, width, Bias::Absent)?,
            shape,
        })
    }

    /// As many new rows of each of some sequences, `[rows, width]`, sequence after sequence: after the norm, and as they
    /// were before, to which what is attended to is added. `layer`: its number.
    pub fn forward(
        &self,
        layer: usize,
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
        let attended = attend_causally(layer, [&queries, &keys, &values], heads / shared, sequences)?;
        self.project_out.forward(&attended, Epilogue::Add(residual))
    }
}
