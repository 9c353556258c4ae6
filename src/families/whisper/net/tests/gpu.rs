//! The decoder's step on a GPU, token by token, against the same reference. On the stand-in (`tests/cuda`) our own kernels and
//! products compute, and nothing else does, so that what the encoder heard comes from the CPU.

use candle_core::{DType, Device, Result};

use super::*;

/// A decoder on the device, and what it listens to there.
struct OnGpu {
    net: Net,
    heard: Vec<Features>,
}

fn on_gpu(dtype: DType, expected: &Expected) -> Result<OnGpu> {
    let device = Device::new_cuda_with_stream(0)?;
    let context = ComputeContext::new(&device, dtype);
    let net = Net::load_with(context, config(), &files("model.safetensors"), "model", &placement(1)).expect("fixture");
    let there = |features: &Features| {
        let numbers = features.0.flatten_all()?.to_vec1::<f32>()?;
        net.context.tensor(numbers, features.0.dims()).map(Features)
    };
    let heard = heard(&own("model.safetensors"), expected).iter().map(there).collect::<Result<_>>()?;
    Ok(OnGpu { net, heard })
}

/// In as many rows as are wanted, of which each begins a few steps after the one before: the same number of rows comes again and
/// again, first asked for one by one, then recorded, then repeated.
fn assert_agrees(on_gpu: &OnGpu, expected: &Expected, rows: usize, tolerance: f32) {
    const LATER: usize = 3;
    let OnGpu { net, heard } = on_gpu;
    let mut slots = net.slots(rows);
    let tokens: Vec<Vec<u32>> = (0..rows).map(|row| expected.tokens(row % 3)).collect();
    let mut open: Vec<(usize, Slot)> = Vec::new();
    let steps = tokens.iter().enumerate().map(|(row, tokens)| row * LATER + tokens.len()).max().unwrap_or(0);
    for step in 0..steps {
        if step % LATER == 0 && step / LATER < rows {
            let row = step / LATER;
            open.push((row, net.open(&mut slots, &heard[WINDOWS[row % 3]]).expect("open")));
        }
        let over = open.extract_if(.., |(row, _)| step - *row * LATER == tokens[*row].len()).collect::<Vec<_>>();
        over.into_iter().for_each(|(_, slot)| slots.close(slot));
        let at = |row: usize| step - row * LATER;
        let fed: Vec<_> = open.iter().map(|(row, slot)| (slot, &tokens[*row][at(*row)..=at(*row)])).collect();
        let logits = net.step(&mut slots, &fed).expect("step");
        assert_eq!(logits.len(), open.len());
        for ((row, _), logits) in open.iter().zip(&logits) {
            let what = format!("{rows} rows, row {row}, token {}", at(*row));
            assert_near(logits, &expected.logits(row % 3, at(*row)), tolerance, &what);
        }
    }
}

#[test]
fn steps_agree_with_the_reference_in_every_type() {
    let expected = Expected::read("expected.safetensors");
    for (dtype, rows, tolerance) in [(DType::F32, 4, TOLERANCE), (DType::F16, 2, 1e-2), (DType::BF16, 2, 8e-2)] {
        let on_gpu = on_gpu(dtype, &expected).expect("a device");
        assert_agrees(&on_gpu, &expected, rows, tolerance);
    }
}

/// What was recorded for one decoder is not repeated for another, and a row that is rewound gives the same again.
#[test]
fn slots_know_whose_steps_they_repeat() {
    let expected = Expected::read("expected.safetensors");
    let (first, second) = (on_gpu(DType::F32, &expected).expect("one"), on_gpu(DType::F32, &expected).expect("two"));
    let mut slots = first.net.slots(1);
    let tokens = expected.tokens(0);
    let slot = first.net.open(&mut slots, &first.heard[0]).expect("open");
    for net in [&first.net, &second.net, &first.net] {
        slots.rewind(&slot, 0);
        for (at, token) in tokens.iter().enumerate() {
            let logits = net.step(&mut slots, &[(&slot, std::slice::from_ref(token))]).expect("step").remove(0);
            assert_near(&logits, &expected.logits(0, at), TOLERANCE, &format!("token {at}"));
        }
    }
    assert!(first.net.step(&mut slots, &[(&slot, &[9999])]).is_err(), "no such token");
    assert_eq!(slots.len(&slot), tokens.len());
}
