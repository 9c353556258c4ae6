//! Steps on a GPU against the same reference. On the stand-in (`tests/cuda`) our own kernels and products compute, and nothing else
//! does, so that a prompt is read by steps as well: each of its rows is one of a table.

use super::*;
use crate::nn::{
    Embedding,
    llama::{Sequence, StepInput},
    to_rows,
};

/// Columns whose logits are looked at.
const MOST: usize = 17;

/// A network on the device, and the one that embeds for it.
struct OnGpu {
    net: HiggsNet,
    here: HiggsNet,
    context: ComputeContext,
}

// === impl OnGpu ===

impl OnGpu {
    fn new(dtype: DType) -> Result<Self> {
        let context = ComputeContext::new(&Device::new_cuda_with_stream(0)?, dtype);
        Ok(Self { net: load(LAYOUTS[0], &context), here: load(LAYOUTS[0], &exact()), context })
    }

    /// A sequence that read a case, with room for all that follows, and the logits of the first column: `[books, codes]`
    fn read(&self, case: &Case) -> Result<(Sequence, Tensor)> {
        let segments = case.segments();
        let positions = self.net.positions(&segments).unwrap();
        let mut sequence = self.net.sequence(positions + case.columns.len() + 1)?;
        let mut logits = None;
        for segment in segments {
            let (rows, is_audio) = self.here.embed(std::slice::from_ref(&segment))?;
            let numbers = rows.flatten_all()?.to_vec1::<f32>()?;
            let table = Embedding::new(numbers.into(), rows.dim(1)?, &self.context)?;
            for (row, is_audio) in is_audio.into_iter().enumerate() {
                let input = StepInput { tokens: &[row as u32], table: &table, positions: None };
                logits = self.net.repeat_as(
                    |layer| if is_audio { &layer.audio } else { &layer.text },
                    input,
                    &mut [&mut sequence],
                )?;
            }
        }
        Ok((sequence, self.net.by_book(&logits.expect("a step"))?))
    }
}

/// Of several cases at once, after the columns of the reference.
#[test]
fn logits_of_steps_are_those_of_the_reference_in_every_type() -> Result<()> {
    let expected = Expected::read();
    for (dtype, tolerance, cases) in
        [(DType::F32, TOLERANCE, expected.cases.len()), (DType::F16, 1e-2, 2), (DType::BF16, HALF, 2)]
    {
        let on_gpu = OnGpu::new(dtype)?;
        let mut sequences = Vec::new();
        let check = |logits: &Tensor, at: usize, step: usize| -> Result<()> {
            let reference = expected.tensors[&format!("logits.{at}")].get(step / 4)?;
            let found = Tensor::new(to_rows(logits)?.concat(), &Device::Cpu)?;
            assert_close(&found, &reference, tolerance, &format!("{dtype:?}, case {at}, step {step}"));
            Ok(())
        };
        for (at, case) in expected.cases.iter().enumerate().take(cases) {
            let (sequence, logits) = on_gpu.read(case)?;
            check(&logits, at, 0)?;
            sequences.push(sequence);
        }
        for step in 1..MOST {
            let live = |at: &usize| step < expected.cases[*at].columns.len();
            let live = (0..sequences.len()).filter(live).collect::<Vec<_>>();
            let columns: Vec<u32> = live.iter().flat_map(|at| expected.cases[*at].columns[step - 1].clone()).collect();
            let fed = sequences.iter_mut().enumerate().filter(|(at, _)| live.contains(at));
            let mut fed = fed.map(|(_, sequence)| sequence).collect::<Vec<_>>();
            let logits = on_gpu.net.repeat(&columns, &mut fed)?.expect("a step");
            for (row, at) in live.into_iter().enumerate().filter(|_| step % 4 == 0) {
                check(&logits.narrow(0, row, 1)?, at, step)?;
            }
        }
    }
    Ok(())
}

/// Rows join each other, so that numbers of them come again: asked for one by one, recorded and repeated.
#[test]
fn the_likeliest_codes_of_steps_are_those_of_the_reference() -> Result<()> {
    const LATER: usize = 4;
    let expected = Expected::read();
    let on_gpu = OnGpu::new(DType::F32)?;
    let ids = *on_gpu.net.ids();
    let mut waiting = expected.cases.iter();
    let mut rows: Vec<HiggsRow> = Vec::new();
    for step in 0.. {
        if step % LATER == 0
            && let Some(case) = waiting.next()
        {
            let (sequence, logits) = on_gpu.read(case)?;
            let HiggsRequest { sampling, new_frames, seed } = case.greedy(ids.books);
            let rng = StdRng::seed_from_u64(seed);
            let mut row = HiggsRow::new(sequence, sampling, rng, ids, Vec::new(), new_frames);
            choose(&Chooser::default(), &logits, &mut [&mut row])?;
            rows.push(row);
        }
        if rows.iter().all(HiggsRow::finished) && rows.len() == expected.cases.len() {
            break;
        }
        on_gpu.net.step(&mut rows.iter_mut().collect::<Vec<_>>())?;
    }
    for (row, case) in rows.iter().zip(&expected.cases) {
        assert_eq!(columns(row, ids.books), case.columns);
    }
    Ok(())
}
