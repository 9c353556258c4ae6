//! Attention of a sequence to itself whose scores also say how far apart two positions are (Transformer-XL,
//! arXiv 1901.02860, appendix B).

use candle_core::{DType, Result, Tensor};

use crate::{
    context::ComputeContext,
    cpu::{
        detect::SimdLevel,
        matrix::{Rows, with_rows},
        relative::{self, RelativeSequence},
    },
};

/// Numbers that the scores of candle's operations may have at once.
const SCORES: usize = 1 << 24;

/// What is added to queries before they meet the keys, and before they meet the distances. A score is
/// `((q + content) · k + (q + distance) · d) / √head_dim`, with `d` of how far the key is from the query.
#[derive(Debug)]
pub struct RelativeAttention {
    heads: usize,
    head_dim: usize,
    bias: Bias,
}

/// Each of `heads * head_dim` numbers.
#[derive(Debug)]
enum Bias {
    Kernel { level: SimdLevel, content: Vec<f32>, distance: Vec<f32> },
    Tensor { content: Tensor, distance: Tensor },
}

/// A sequence, in rows of `heads * head_dim` numbers.
#[derive(Clone, Copy, Debug)]
pub struct RelativeRows<'a> {
    pub queries: &'a Tensor,
    pub keys: &'a Tensor,
    pub values: &'a Tensor,
    /// `[2 * positions - 1, heads * head_dim]`: the first row is of the key that is `positions - 1` before its query, the
    /// last of the one that is as far after it.
    pub distances: &'a Tensor,
}

// === impl RelativeAttention ===

impl RelativeAttention {
    /// `content` and `distance`: `[heads, head_dim]`, row by row.
    pub fn new(heads: usize, content: Vec<f32>, distance: Vec<f32>, context: &ComputeContext) -> Result<Self> {
        let width = content.len();
        if heads == 0 || width == 0 || !width.is_multiple_of(heads) || distance.len() != width {
            candle_core::bail!("biases of {width} and {} numbers are none of {heads} heads", distance.len());
        }
        let bias = match context.kernels {
            Some(level) => Bias::Kernel { level, content, distance },
            None => {
                let tensor = |bias| context.tensor(bias, &[width]);
                Bias::Tensor { content: tensor(content)?, distance: tensor(distance)? }
            }
        };
        Ok(Self { heads, head_dim: width / heads, bias })
    }

    /// `[positions, heads * head_dim]`. The scores of a few queries exist at once: on our own kernels of 48 of one head per
    /// thread, else of as many of all heads as 64 MiB hold, but at least one.
    pub fn forward(&self, rows: RelativeRows<'_>) -> Result<Tensor> {
        let positions = self.check(&rows)?;
        match &self.bias {
            _ if positions == 0 => Ok(rows.queries.clone()),
            Bias::Kernel { level, content, distance } => self.attend(*level, content, distance, rows),
            Bias::Tensor { content, distance } => self.attend_tensors(content, distance, rows),
        }
    }

    fn check(&self, rows: &RelativeRows<'_>) -> Result<usize> {
        let (positions, width) = rows.queries.dims2()?;
        let same = rows.keys.dims() == rows.queries.dims() && rows.values.dims() == rows.queries.dims();
        let distances = (2 * positions).saturating_sub(1);
        if width != self.heads * self.head_dim
            || !same
            || (positions > 0 && rows.distances.dims() != [distances, width])
        {
            let (keys, values, distances) = (rows.keys.dims(), rows.values.dims(), rows.distances.dims());
            candle_core::bail!(
                "{:?} queries, {keys:?}, {values:?} and {distances:?} do not match",
                rows.queries.dims()
            );
        }
        Ok(positions)
    }

    fn attend(&self, level: SimdLevel, content: &[f32], distance: &[f32], rows: RelativeRows<'_>) -> Result<Tensor> {
        let attend = |queries: Rows<'_>, keys: Rows<'_>, values: Rows<'_>, distances: Rows<'_>| {
            let (heads, head_dim) = (self.heads, self.head_dim);
            let (content_bias, distance_bias) = (content, distance);
            let sequence = RelativeSequence {
                level,
                heads,
                head_dim,
                queries,
                keys,
                values,
                distances,
                content_bias,
                distance_bias,
            };
            relative::attend(sequence)
        };
        let out = with_rows(rows.queries, |queries| {
            with_rows(rows.keys, |keys| {
                with_rows(rows.values, |values| {
                    with_rows(rows.distances, |distances| attend(queries, keys, values, distances))
                })
            })
        })????;
        Tensor::from_vec(out, rows.queries.dims(), rows.queries.device())
    }

    fn attend_tensors(&self, content: &Tensor, distance: &Tensor, rows: RelativeRows<'_>) -> Result<Tensor> {
        let positions = rows.queries.dim(0)?;
        let block = (SCORES / (3 * self.heads * positions)).clamp(1, positions);
        let keys = (self.by_head(rows.keys)?.transpose(1, 2)? / (self.head_dim as f64).sqrt())?;
        let distances = (self.by_head(rows.distances)?.transpose(1, 2)? / (self.head_dim as f64).sqrt())?;
        let values = self.by_head(rows.values)?;
        let mut parts = Vec::new();
        for first in (0..positions).step_by(block) {
            let count = block.min(positions - first);
            let queries = rows.queries.narrow(0, first, count)?;
            let near = self.by_head(&queries.broadcast_add(content)?)?.matmul(&keys)?;
            let of_these = distances.narrow(2, positions - first - count, positions + count - 1)?.contiguous()?;
            let far = self.by_head(&queries.broadcast_add(distance)?)?.matmul(&of_these)?;
            let scores = (near + by_key(&far, positions)?)?.to_dtype(DType::F32)?;
            let weights = candle_nn::ops::softmax_last_dim(&scores)?.to_dtype(values.dtype())?;
            parts.push(weights.matmul(&values)?.transpose(0, 1)?.flatten_from(1)?);
        }
        Tensor::cat(&parts, 0)
    }

    /// `[rows, heads * head_dim]` → `[heads, rows, head_dim]`
    fn by_head(&self, x: &Tensor) -> Result<Tensor> {
        x.reshape((x.dim(0)?, self.heads, self.head_dim))?.transpose(0, 1)?.contiguous()
    }
}

/// From scores by distance to scores by key: each row begins one later than the next. What is cut into rows one shorter
/// than they were moves so. `[heads, rows, positions + rows - 1]` → `[heads, rows, positions]`
fn by_key(scores: &Tensor, positions: usize) -> Result<Tensor> {
    let (heads, rows, width) = scores.dims3()?;
    if rows == 1 {
        return Ok(scores.clone());
    }
    let flat = scores.reshape((heads, rows * width))?;
    flat.narrow(1, rows - 1, rows * (width - 1))?.reshape((heads, rows, width - 1))?.narrow(2, 0, positions)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    const HEADS: usize = 3;
    const HEAD_DIM: usize = 20;
    const WIDTH: usize = HEADS * HEAD_DIM;

    fn numbers(rows: usize, seed: f32) -> Vec<f32> {
        (0..rows * WIDTH).map(|i| (i as f32 * 0.37 + seed).sin() * 1.5).collect()
    }

    fn attention(context: &ComputeContext) -> RelativeAttention {
        RelativeAttention::new(HEADS, numbers(1, 5.0), numbers(1, 6.0), context).unwrap()
    }

    fn answer(attention: &RelativeAttention, positions: usize) -> Result<Vec<f32>> {
        let distances = (2 * positions).saturating_sub(1);
        let rows = |count, seed| Tensor::from_vec(numbers(count, seed), (count, WIDTH), &Device::Cpu);
        let [queries, keys, values] = [rows(positions, 0.0)?, rows(positions, 1.0)?, rows(positions, 2.0)?];
        let distances = &rows(distances, 3.0)?;
        let rows = RelativeRows { queries: &queries, keys: &keys, values: &values, distances };
        attention.forward(rows)?.flatten_all()?.to_vec1()
    }

    /// As the paper has it, one score after the other.
    fn exact(positions: usize) -> Vec<f32> {
        let distances = (2 * positions).saturating_sub(1);
        let rows = [numbers(positions, 0.0), numbers(positions, 1.0), numbers(positions, 2.0), numbers(distances, 3.0)];
        let (content, distance) = (numbers(1, 5.0), numbers(1, 6.0));
        let mut out = vec![0.0; positions * WIDTH];
        for (query, head) in (0..positions).flat_map(|query| (0..HEADS).map(move |head| (query, head))) {
            let of = |rows: &[f32], row: usize, at: usize| f64::from(rows[row * WIDTH + head * HEAD_DIM + at]);
            let term = |key: usize, at: usize| {
                let (near, far) = (of(&rows[1], key, at), of(&rows[3], positions - 1 + key - query, at));
                (of(&rows[0], query, at) + of(&content, 0, at)) * near
                    + (of(&rows[0], query, at) + of(&distance, 0, at)) * far
            };
            let score = |key| ((0..HEAD_DIM).map(|at| term(key, at)).sum::<f64>() / (HEAD_DIM as f64).sqrt()).exp();
            let weights = (0..positions).map(score).collect::<Vec<_>>();
            for at in 0..HEAD_DIM {
                let sum: f64 = weights.iter().enumerate().map(|(key, weight)| weight * of(&rows[2], key, at)).sum();
                out[query * WIDTH + head * HEAD_DIM + at] = (sum / weights.iter().sum::<f64>()) as f32;
            }
        }
        out
    }

    #[test]
    fn both_forms_are_the_paper_s() -> Result<()> {
        let plain = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
        let own = SimdLevel::available().iter().map(|&level| ComputeContext { kernels: Some(level), ..plain.clone() });
        for context in own.chain([plain.clone()]) {
            for positions in [0, 1, 2, 47, 49, 130] {
                let (found, exact) = (answer(&attention(&context), positions)?, exact(positions));
                assert_eq!(found.len(), exact.len());
                for (found, exact) in found.iter().zip(exact) {
                    assert!((found - exact).abs() < 2e-5, "{:?}, {positions}: {found}, not {exact}", context.kernels);
                }
            }
        }
        Ok(())
    }

    /// Of so many positions candle's operations take several blocks of queries.
    #[test]
    fn a_long_sequence_is_cut() -> Result<()> {
        let plain = ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) };
        let positions = 1500;
        assert!(3 * HEADS * positions * positions > SCORES);
        let own = answer(&attention(&ComputeContext::new(&Device::Cpu, DType::F32)), positions)?;
        for (own, plain) in own.iter().zip(answer(&attention(&plain), positions)?) {
            assert!((own - plain).abs() < 2e-5, "{own} and {plain}");
        }
        Ok(())
    }

    #[test]
    fn what_does_not_match_is_an_error() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let rows = |count| Tensor::zeros((count, WIDTH), DType::F32, &Device::Cpu);
        let (three, four) = (rows(3)?, rows(4)?);
        let rows = RelativeRows { queries: &three, keys: &three, values: &three, distances: &four };
        assert!(attention(&context).forward(rows).is_err());
        assert!(RelativeAttention::new(3, vec![0.0; 4], vec![0.0; 4], &context).is_err());
        assert!(RelativeAttention::new(2, vec![0.0; 4], vec![0.0; 6], &context).is_err());
        Ok(())
    }
}
