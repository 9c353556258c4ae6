//! The step on a GPU, column by column, against the same reference. On the stand-in (`tests/cuda`) our own kernels and products
//! compute, and nothing else does: so the table of codes gets the rows of every prompt, and they are fed as columns are.

use super::*;
use crate::nn::{Embedding, weights::WeightData};

/// A network on the device, and what it begins with.
struct OnGpu {
    net: CodeModel,
    prompts: Vec<Begun>,
    /// A row of the table in which nothing is.
    nothing: u32,
}

/// What a row begins with, and where the table has it.
struct Begun {
    prompt: Prompt,
    first: u32,
}

impl OnGpu {
    fn new(of: &str, dtype: DType, expected: &Expected) -> Result<Self> {
        let plain = model(of, &exact());
        let mut table = plain.codes.forward(&(0..plain.codes.len() as u32).collect::<Vec<_>>())?;
        let mut prompts = Vec::new();
        for case in &expected.cases {
            let prompt = plain.prompt(&case.conditions(), &case.greedy()).expect("prompt");
            let first = table.dim(0)? as u32;
            table = Tensor::cat(&[&table, &prompt.embeds], 0)?;
            prompts.push(Begun { prompt, first });
        }
        let (nothing, width) = table.dims2()?;
        let mut numbers = table.flatten_all()?.to_vec1::<f32>()?;
        numbers.resize((nothing + 1) * width, 0.0);
        let context = ComputeContext::new(&Device::new_cuda_with_stream(0)?, dtype);
        let mut net = model(of, &context);
        net.codes = Embedding::joined(&[WeightData::from(numbers)], width, &context)?;
        Ok(Self { net, prompts, nothing: nothing as u32 })
    }

    /// A row that has read its prompt, and the logits of its first column.
    fn begin(&self, case: usize, expected: &Expected) -> Result<(CodeRow, Tensor)> {
        let Begun { prompt, first } = &self.prompts[case];
        let mut row = self.net.row(prompt, &expected.cases[case].greedy())?;
        let mut logits = None;
        for position in 0..prompt.length {
            let place = |sequence: usize| first + (sequence * prompt.length + position) as u32;
            let nothings = vec![self.nothing; self.net.books() - 1];
            let fed = (0..prompt.sequences).flat_map(|sequence| [&[place(sequence)][..], &nothings].concat());
            let mut sequences: Vec<_> = row.sequences.iter_mut().collect();
            logits = self.net.step_on_device(&fed.collect::<Vec<_>>(), &mut sequences)?;
        }
        let logits = logits.expect("a step").reshape(((), self.net.ids.logits()))?;
        Ok((row, logits))
    }
}

/// Logits of which a row has as many as it has sequences of books.
fn assert_near(net: &CodeModel, logits: &Tensor, expected: &Expected, (case, step): (usize, usize), tolerance: f32) {
    if step.is_multiple_of(8) {
        let reference = expected.tensor("logits", case).get(step / 8).expect("a step");
        let found = guided(net, logits, expected.cases[case].cfg_scale).expect("two sequences");
        assert_close(&found, &reference, tolerance, &format!("logits of case {case}, step {step}"));
    }
}

/// Each case begins some steps after the one before and goes when it is over: the same numbers of rows come again and again, first
/// asked for kernel by kernel, then recorded, then repeated.
#[test]
fn columns_on_a_gpu_are_those_of_the_reference() -> Result<()> {
    VARIANTS.into_iter().try_for_each(columns_are_those_of_the_reference)
}

fn columns_are_those_of_the_reference(of: &str) -> Result<()> {
    const LATER: usize = 5;
    let expected = Expected::read(of);
    let on_gpu = OnGpu::new(of, DType::F32, &expected)?;
    let net = &on_gpu.net;
    let mut open: Vec<(usize, usize, CodeRow)> = Vec::new();
    for turn in 0.. {
        let case = turn / LATER;
        if turn % LATER == 0 && case < expected.cases.len() {
            let (mut row, logits) = on_gpu.begin(case, &expected)?;
            assert_near(net, &logits, &expected, (case, 0), TOLERANCE);
            choose(&net.chooser, &logits, &mut [&mut row])?;
            open.push((case, 1, row));
        }
        let mut rows: Vec<_> = open.iter_mut().map(|(_, _, row)| row).collect();
        if rows.is_empty() {
            break;
        }
        let logits = net.feed(&mut rows)?;
        choose(&net.chooser, &logits, &mut rows)?;
        for (at, (case, step, _)) in open.iter_mut().enumerate() {
            let own = logits.narrow(0, 2 * net.books() * at, 2 * net.books())?;
            assert_near(net, &own, &expected, (*case, *step), TOLERANCE);
            *step += 1;
        }
        for (case, _, row) in open.extract_if(.., |(_, _, row)| row.finished()) {
            let columns: Vec<&[u32]> = (0..row.codes.len()).map(|column| row.codes.column(column)).collect();
            assert_eq!(columns, expected.cases[case].columns, "{of}, case {case}");
        }
    }
    Ok(())
}

#[test]
fn logits_of_halves_on_a_gpu_are_near_the_reference() -> Result<()> {
    for of in VARIANTS {
        let expected = Expected::read(of);
        for (dtype, tolerance) in [(DType::F16, F16), (DType::BF16, BF16)] {
            let on_gpu = OnGpu::new(of, dtype, &expected)?;
            for case in 0..expected.cases.len() {
                let (_, logits) = on_gpu.begin(case, &expected)?;
                assert_near(&on_gpu.net, &logits, &expected, (case, 0), tolerance);
            }
        }
    }
    Ok(())
}

/// What is drawn at the same numbers is what the CPU draws, but for rounding, which this seed leaves room for.
#[test]
fn a_seed_says_the_same_on_a_gpu_as_on_the_cpu() -> Result<()> {
    VARIANTS.into_iter().try_for_each(a_seed_says_the_same)
}

fn a_seed_says_the_same(of: &str) -> Result<()> {
    const CASE: usize = 1;
    let expected = Expected::read(of);
    let (on_gpu, plain) = (OnGpu::new(of, DType::F32, &expected)?, model(of, &exact()));
    let asked = &expected.cases[CASE];
    let sampling = SamplingOptions { temperature: 1.0, linear: 0.5, confidence: 0.4, ..asked.greedy().sampling };
    let request = CodeRequest { sampling, ..asked.greedy() };
    let mut here = plain.admit(&asked.conditions(), &request).expect("prompt");
    let (mut there, logits) = on_gpu.begin(CASE, &expected)?;
    there.options = sampling;
    choose(&on_gpu.net.chooser, &logits, &mut [&mut there])?;
    for _ in 0..10 {
        plain.step(&mut [&mut here])?;
        on_gpu.net.step(&mut [&mut there])?;
    }
    let columns = |row: &CodeRow| -> Vec<u32> {
        (0..row.codes.len()).flat_map(|column| row.codes.column(column)).copied().collect()
    };
    assert_eq!(columns(&there), columns(&here), "{of}");
    Ok(())
}
