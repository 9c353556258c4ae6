//! Steps that an accelerator repeats, on the stand-in of `tests/cuda`, beside the CPU.

use super::*;
use crate::{
    gpu::{NormWeights, StateRow, Step, StepTable, Steps},
    weights::WeightData,
};

const TYPES: [(DType, f32); 3] = [(DType::F32, 1e-4), (DType::F16, 2e-2), (DType::BF16, 1e-1)];
const TOKENS: usize = 7;

/// A layer between the rows of a table and a norm.
struct Decoder {
    table: Tensor,
    norm: Tensor,
    mixer: Mamba2,
}

impl Decoder {
    fn new(context: &ComputeContext) -> Result<Self> {
        let tensor =
            |shape: &[usize], seed| context.weights(&[WeightData::from(numbers(shape.iter().product(), seed))], shape);
        Ok(Self { table: tensor(&[TOKENS, WIDTH], 0.0)?, norm: tensor(&[WIDTH], 2.0)?, mixer: mixer(context) })
    }

    fn weights(&self) -> NormWeights<'_> {
        NormWeights { weight: &self.norm, shift: None, epsilon: 1e-5 }
    }

    fn ask(&self, step: &mut Step<'_>) -> Result<Tensor> {
        let x = step.embed(&self.table, 1.0, None, self.weights())?;
        self.mixer.step(step, 0, &x, self.weights())?;
        Ok(x.normed)
    }

    fn forward(&self, tokens: &[u32], states: &mut [&mut Mamba2State]) -> Result<Vec<f32>> {
        let norm = |x: &Tensor| candle_nn::ops::rms_norm(x, &self.norm, 1e-5);
        let x = self.table.index_select(&Tensor::new(tokens, &Device::Cpu)?, 0)?;
        norm(&self.mixer.forward(&norm(&x)?, &x, states)?)?.flatten_all()?.to_vec1()
    }
}

/// To the host as it is: a device that computes nothing cannot convert it.
fn here(x: &Tensor) -> Result<Vec<f32>> {
    x.flatten_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()
}

/// Sequences come and go, so that numbers of rows come again, and none is as long as another.
#[test]
fn steps_on_a_gpu_give_what_the_cpu_gives() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    let plain = Decoder::new(&ComputeContext { kernels: None, ..context })?;
    for (dtype, tolerance) in TYPES {
        let there = Decoder::new(&ComputeContext::new(&device, dtype))?;
        let states = |of: &Decoder| (0..3).map(|_| of.mixer.state()).collect::<Result<Vec<_>>>();
        let (mut of_plain, of_there) = (states(&plain)?, states(&there)?);
        let mut steps = Steps::new(1);
        for (turn, rows) in [1, 1, 3, 1, 3, 2, 3, 2, 1, 3].into_iter().enumerate() {
            let tokens: Vec<u32> = (0..rows).map(|row| ((turn * 5 + row * 3) % TOKENS) as u32).collect();
            let expected = plain.forward(&tokens, &mut of_plain[..rows].iter_mut().collect::<Vec<_>>())?;
            let mut table = StepTable::new(tokens.iter().map(|token| (*token, 0)));
            let rows_of_states: Option<Vec<_>> = of_there[..rows].iter().map(Mamba2State::row).collect();
            table.push_states(&rows_of_states.expect("they are on the device"))?;
            let found = here(&steps.run(there.table.id(), &device, &table, &|step| there.ask(step))?)?;
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let most = tolerance * expected.abs().max(1.0);
                assert!((found - expected).abs() <= most, "{dtype:?}, turn {turn}: {found}, not {expected}");
            }
            assert_eq!(steps.has_graph(rows), ![0, 2, 3, 5].contains(&turn), "turn {turn}");
        }
    }
    Ok(())
}

/// Of another layer, of another type, of too few rows.
#[test]
fn states_that_do_not_fit_are_refused() -> Result<()> {
    let device = Device::new_cuda_with_stream(0)?;
    let there = Decoder::new(&ComputeContext::new(&device, DType::F32))?;
    let state = there.mixer.state()?;
    let row = state.row().expect("it is on the device");
    let table = || StepTable::new([(1, 0)].into_iter());
    assert!(table().push_states(&[]).is_err());
    assert!(table().push_states(&[row, row]).is_err());
    let halves = row.numbers.zeros_like()?.to_dtype(DType::F16)?;
    assert!(table().push_states(&[StateRow { numbers: &halves, ..row }]).is_err());
    let narrow = Tensor::zeros((3, 5), DType::F32, &device)?;
    let mut other = table();
    other.push_states(&[StateRow { window: &narrow, ..row }])?;
    let asked = Steps::new(1).run(there.table.id(), &device, &other, &|step| there.ask(step));
    assert!(asked.is_err());
    let none = Steps::new(1).run(there.table.id(), &device, &table(), &|step| there.ask(step));
    assert!(none.unwrap_err().to_string().contains("no group of states 0"));
    Ok(())
}
