//! Steps on a GPU against the same reference. On the stand-in (`tests/cuda`) our own kernels and products compute, and nothing else
//! does, so that a prompt is read by steps as well: each of its rows is one of a table.

use super::*;
use crate::nn::{Embedding, llama::StepInput};

/// Of logits where activations are rounded to `bf16` as weights are: found was 0.14.
const ALL_BF16: f32 = 2.5e-1;
/// Tokens whose logits are looked at.
const MOST: usize = 17;

/// A network on the device, and the one that embeds for it.
struct OnGpu<'a> {
    expected: &'a Expected,
    t3: T3,
    here: T3,
    context: ComputeContext,
}

// === impl OnGpu ===

impl<'a> OnGpu<'a> {
    fn new(of: &str, expected: &'a Expected, dtype: DType) -> Result<Self> {
        let context = ComputeContext::new(&Device::new_cuda_with_stream(0)?, dtype);
        let t3 = load(model(of), expected.ids, &context).expect("fixture");
        Ok(Self { expected, t3, here: own(of, expected.ids), context })
    }

    /// A row that read a case, and the logits of its first token.
    fn read(&self, case: usize) -> Result<(T3Row, Tensor)> {
        let request = self.expected.greedy(case);
        let voice = self.here.voice(&self.expected.conditioning(case)).expect("voice");
        let prompt = self.here.prompt(&voice, &self.expected.cases[case].text, &request)?;
        let numbers = prompt.embeds.flatten_all()?.to_vec1::<f32>()?;
        let table = Embedding::new(numbers.into(), prompt.embeds.dim(1)?, &self.context)?;
        let (mut row, mut logits) = (self.t3.row(&prompt, &request)?, None);
        for at in 0..prompt.length {
            let tokens: Vec<u32> = (0..prompt.sequences).map(|of| (of * prompt.length + at) as u32).collect();
            let input = StepInput { tokens: &tokens, table: &table, positions: None };
            let mut sequences = row.sequences.iter_mut().collect::<Vec<_>>();
            logits = self.t3.backbone.step(input, &self.t3.head, &mut sequences)?;
        }
        Ok((row, logits.expect("a step")))
    }
}

/// As it is: a device that computes nothing else cannot convert it.
fn here(logits: &Tensor) -> Result<Tensor> {
    logits.to_device(&Device::Cpu)?.to_dtype(DType::F32)
}

/// Of several cases at once, after the tokens of the reference.
#[test]
fn logits_of_steps_are_those_of_the_reference_in_every_type() -> Result<()> {
    for of in ["llama", "gpt2"] {
        let expected = Expected::read(of);
        for (dtype, tolerance, cases) in
            [(DType::F32, TOLERANCE, expected.cases.len()), (DType::F16, F16, 2), (DType::BF16, ALL_BF16, 2)]
        {
            let on_gpu = OnGpu::new(of, &expected, dtype)?;
            let mut rows = Vec::new();
            let check = |logits: &Tensor, case: usize, step: usize| -> Result<()> {
                let reference = expected.tensor("logits", case).get(step / 4)?;
                assert_close(logits, &reference, tolerance, &format!("{of}, {dtype:?}, case {case}, step {step}"));
                Ok(())
            };
            for case in 0..cases {
                let (row, logits) = on_gpu.read(case)?;
                check(&here(&logits)?, case, 0)?;
                rows.push(row);
            }
            for step in 1..MOST {
                let tokens = expected.cases.iter().map(|case| case.tokens.get(step).and(case.tokens.get(step - 1)));
                let mut live = Vec::new();
                for ((case, row), token) in rows.iter_mut().enumerate().zip(tokens) {
                    row.tokens.extend(token);
                    live.extend(token.map(|_| (case, row)));
                }
                let cases: Vec<(usize, usize)> = live.iter().map(|(case, row)| (*case, row.sequences.len())).collect();
                let logits = on_gpu.t3.feed(&mut live.into_iter().map(|(_, row)| row).collect::<Vec<_>>())?;
                let (logits, mut first) = (here(&logits)?, 0);
                for (case, sequences) in cases {
                    if step % 4 == 0 {
                        check(&logits.narrow(0, first, sequences)?, case, step)?;
                    }
                    first += sequences;
                }
            }
        }
    }
    Ok(())
}

/// Rows join each other, so that numbers of them come again: asked for one by one, recorded and repeated.
#[test]
fn the_likeliest_tokens_of_steps_are_those_of_the_reference() -> Result<()> {
    const LATER: usize = 4;
    for of in ["llama", "gpt2"] {
        let expected = Expected::read(of);
        let on_gpu = OnGpu::new(of, &expected, DType::F32)?;
        let cases = expected.greedy_cases();
        let mut waiting = cases.iter();
        let mut rows: Vec<T3Row> = Vec::new();
        for step in 0.. {
            if step % LATER == 0
                && let Some(case) = waiting.next()
            {
                let (mut row, logits) = on_gpu.read(*case)?;
                choose(&Chooser::default(), &logits, &mut [&mut row])?;
                rows.push(row);
            }
            if rows.iter().all(T3Row::finished) && rows.len() == cases.len() {
                break;
            }
            on_gpu.t3.step(&mut rows.iter_mut().collect::<Vec<_>>())?;
        }
        for (row, case) in rows.iter().zip(cases) {
            assert_eq!(row.tokens(), expected.cases[case].tokens, "{of}, case {case}");
        }
    }
    Ok(())
}
