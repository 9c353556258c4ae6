//! Steps on a GPU against the same reference. On the stand-in (`tests/cuda`) our own kernels and products compute, and nothing else
//! does, so that a prompt is read by steps as well: each of its rows is one of a table.

use super::{
    super::{net::Sequence, row::joined},
    *,
};
use crate::nn::{ComputeContext, Embedding, llama::StepInput, to_rows};

/// A network on the device, and the one that embeds for it.
struct OnGpu {
    net: Net,
    here: Net,
    context: ComputeContext,
}

// === impl OnGpu ===

impl OnGpu {
    fn new(dtype: DType) -> Self {
        let context = ComputeContext::new(&Device::new_cuda_with_stream(0).unwrap(), dtype);
        let net = Net::load_with(context.clone(), config(), &files(), &place(Precision::F32)).unwrap();
        Self { net, here: super::net(&files(), Precision::F32), context }
    }

    /// A sequence that read a case, with room for all that follows, and the logits of the first token.
    fn read(&self, expected: &Expected, at: usize) -> (Sequence, Tensor) {
        let (config, case, decoding) = (config(), &expected.cases[at], decoding(&files()));
        let heard = expected.tensors[&format!("embeds.{at}")].clone();
        let closing = decoding.closing(case.language.as_deref()).unwrap();
        let windows = heard.dim(0).unwrap() / config.audio_tokens();
        let rows = joined(&self.here, &decoding.opening, heard, &closing).unwrap();
        let (count, width) = rows.dims2().unwrap();
        let numbers = rows.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let table = Embedding::new(numbers.into(), width, &self.context).unwrap();
        let mut sequence = self.net.sequence(config.positions(windows, case.ids.len())).unwrap();
        let step = |row: usize| {
            let input = StepInput { tokens: &[row as u32], table: &table, positions: None };
            self.net.language_model.step(input, &mut [&mut sequence]).unwrap().unwrap()
        };
        let logits = (0..count).map(step).last().unwrap();
        (sequence, logits)
    }
}

/// Rows join each other, so that numbers of them come again: asked for one by one, recorded and repeated.
#[test]
fn logits_of_steps_are_those_of_transformers_in_every_type() {
    const LATER: usize = 4;
    let expected = Expected::read();
    for (dtype, tolerance) in [(DType::F32, TOLERANCE), (DType::F16, 2e-2), (DType::BF16, 1e-1)] {
        let on_gpu = OnGpu::new(dtype);
        let check = |logits: &Tensor, at: usize, step: usize| {
            let (rows, width) = expected.numbers(&format!("logits.{at}"));
            let reference = &rows[step * width..(step + 1) * width];
            let what = format!("{dtype:?}, case {at}, step {step}");
            assert_near(&to_rows(logits).unwrap().concat(), reference, tolerance, &what);
        };
        let mut rows: Vec<(usize, usize, Sequence)> = Vec::new();
        let mut waiting = 0..expected.cases.len();
        for step in 0.. {
            if step % LATER == 0
                && let Some(at) = waiting.next()
            {
                let (sequence, logits) = on_gpu.read(&expected, at);
                check(&logits, at, 0);
                rows.push((at, 1, sequence));
            }
            rows.retain(|(at, step, _)| *step < expected.cases[*at].ids.len());
            if rows.is_empty() && waiting.is_empty() {
                break;
            }
            let tokens: Vec<u32> = rows.iter().map(|(at, step, _)| expected.cases[*at].ids[step - 1]).collect();
            let mut sequences = rows.iter_mut().map(|(_, _, sequence)| sequence).collect::<Vec<_>>();
            let logits = on_gpu.net.next(&tokens, &mut sequences).unwrap();
            for (row, (at, step, _)) in rows.iter_mut().enumerate() {
                check(&logits.narrow(0, row, 1).unwrap(), *at, *step);
                *step += 1;
            }
        }
    }
}
