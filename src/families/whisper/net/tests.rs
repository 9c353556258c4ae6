//! Against `transformers`, on the fixtures that `tests/fixtures/whisper/net/make.py` makes.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{DType, Device, Result, Tensor};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};

use super::*;
#[cfg(feature = "cuda")]
mod gpu;
use crate::{
    families::whisper::config::Config,
    model::{Backing, LoadError, Location, ModelFiles, Placement, Precision},
    nn::{ComputeContext, SimdLevel},
};

/// Largest difference allowed, relative to the largest number in the reference.
const TOLERANCE: f32 = 1e-5;

/// The same where a matrix unit works on split numbers or what was heard is kept in half precision.
const ROUNDED: f32 = 5e-4;

/// Which window each row of the fixture listens to.
const WINDOWS: [usize; 3] = [0, 1, 0];

type Tensors = HashMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

// === what the tests work with ===

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/whisper/net").join(name)
}

fn config() -> Config {
    let json = std::fs::read(path("config.json")).expect("fixture");
    Config::from_json(&serde_json::from_slice(&json).expect("fixture")).expect("fixture")
}

fn files(model: &str) -> ModelFiles {
    let mut files = ModelFiles::default();
    files.insert("model", "model.safetensors", Location::Disk(path(model)));
    files
}

fn placement(threads: usize) -> Placement {
    Placement {
        device: Device::Cpu,
        dtype: Precision::F32,
        weights: Backing::Mapped,
        threads,
        max_batch: 4,
        residency: Default::default(),
        references: Default::default(),
        programs: Default::default(),
    }
}

fn net(model: &str, kernels: Option<SimdLevel>) -> Net {
    let context = ComputeContext { kernels, ..ComputeContext::new(&Device::Cpu, DType::F32) };
    Net::load_with(context, config(), &files(model), "model", &placement(2)).expect("fixture")
}

fn own(model: &str) -> Net {
    net(model, Some(SimdLevel::detect()))
}

/// What the reference makes of the fixture.
struct Expected(HashMap<String, Tensor>);

impl Expected {
    fn read(name: &str) -> Self {
        Self(candle_core::safetensors::load(path(name), &Device::Cpu).expect("fixture"))
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        self.0[name].flatten_all().and_then(|tensor| tensor.to_vec1()).expect(name)
    }

    fn mels(&self) -> Vec<Vec<f32>> {
        (0..2).map(|at| self.0["mel"].get(at).and_then(|mel| mel.flatten_all()?.to_vec1()).expect("mel")).collect()
    }

    fn tokens(&self, row: usize) -> Vec<u32> {
        let tokens = self.0[&format!("tokens.{row}")].to_vec1::<i64>().expect("tokens");
        tokens.into_iter().map(|token| token as u32).collect()
    }

    /// After the token at `at`.
    fn logits(&self, row: usize, at: usize) -> Vec<f32> {
        self.0[&format!("logits.{row}")].get(at).and_then(|row| row.to_vec1()).expect("logits")
    }
}

fn assert_near(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    let difference =
        found.iter().zip(expected).fold(0f32, |most, (a, b)| if (a - b).abs() <= most { most } else { (a - b).abs() });
    assert!(difference <= tolerance * scale, "{what}: off by {difference} of {scale}");
}

fn heard(net: &Net, expected: &Expected) -> Vec<Features> {
    let mels = expected.mels();
    net.encode(&mels.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("encoder")
}

/// The logits after `tokens`, fed to a fresh row in such portions.
fn alone(net: &Net, slots: &mut Slots, features: &Features, tokens: &[u32], portion: usize) -> Vec<Vec<f32>> {
    let slot = net.open(slots, features).expect("open");
    let step = |tokens: &[u32]| net.step(slots, &[(&slot, tokens)]).expect("step").remove(0);
    let logits = tokens.chunks(portion).map(step).collect();
    slots.close(slot);
    logits
}

// === numerics ===

/// Every kind of kernel, and candle's operations.
fn every_net(model: &str) -> Vec<(String, Net, f32)> {
    let own = SimdLevel::available().iter().map(|&level| (Some(level), ROUNDED));
    let all = own.chain([(None, TOLERANCE)]);
    all.map(|(kernels, tolerance)| (format!("{model} with {kernels:?}"), net(model, kernels), tolerance)).collect()
}

fn of_encoder(net: &Net) -> f32 {
    if net.context.kernels.is_some_and(SimdLevel::has_tiles) { ROUNDED } else { TOLERANCE }
}

#[test]
fn the_encoder_agrees_with_the_reference() {
    for (model, expected) in
        [("model.safetensors", "expected.safetensors"), ("model-f16.safetensors", "expected-f16.safetensors")]
    {
        let expected = Expected::read(expected);
        for (name, net, _) in every_net(model) {
            let found = heard(&net, &expected)
                .iter()
                .map(|features| features.0.flatten_all()?.to_vec1())
                .collect::<Result<Vec<Vec<f32>>>>();
            assert_near(&found.expect("features").concat(), &expected.numbers("encoder"), of_encoder(&net), &name);
        }
    }
}

#[test]
fn logits_agree_with_the_reference_token_by_token_and_at_once() {
    for (model, expected) in
        [("model.safetensors", "expected.safetensors"), ("model-f16.safetensors", "expected-f16.safetensors")]
    {
        let expected = Expected::read(expected);
        for (name, net, tolerance) in every_net(model) {
            let features = heard(&net, &expected);
            let mut slots = net.slots(1);
            for (row, window) in WINDOWS.into_iter().enumerate() {
                let tokens = expected.tokens(row);
                for portion in [1, 4, tokens.len()] {
                    let logits = alone(&net, &mut slots, &features[window], &tokens, portion);
                    for (at, logits) in logits.iter().enumerate() {
                        let last = tokens.len().min((at + 1) * portion) - 1;
                        assert_near(
                            logits,
                            &expected.logits(row, last),
                            tolerance,
                            &format!("{name}, row {row}, {last}"),
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn unequal_prompts_in_one_batch_agree_with_the_reference() {
    let expected = Expected::read("expected.safetensors");
    for (name, net, tolerance) in every_net("model.safetensors") {
        let features = heard(&net, &expected);
        let mut slots = net.slots(3);
        let rows: Vec<Slot> =
            WINDOWS.iter().map(|&window| net.open(&mut slots, &features[window]).expect("open")).collect();
        let tokens: Vec<Vec<u32>> = (0..3).map(|row| expected.tokens(row)).collect();
        // All but the last two tokens at once, then the rows together, token by token.
        let mut fed: Vec<usize> = tokens.iter().map(|tokens| tokens.len() - 2).collect();
        let prompts: Vec<_> =
            rows.iter().zip(&tokens).map(|(slot, tokens)| (slot, &tokens[..tokens.len() - 2])).collect();
        let mut logits = net.step(&mut slots, &prompts).expect("step");
        for _ in 0..2 {
            for (row, logits) in logits.iter().enumerate() {
                assert_near(logits, &expected.logits(row, fed[row] - 1), tolerance, &format!("{name}, row {row}"));
            }
            let next: Vec<_> =
                rows.iter().zip(&tokens).zip(&fed).map(|((slot, tokens), &at)| (slot, &tokens[at..=at])).collect();
            logits = net.step(&mut slots, &next).expect("step");
            fed.iter_mut().for_each(|at| *at += 1);
        }
    }
}

#[test]
fn cross_attention_agrees_with_the_reference_and_leaves_no_trace() {
    let expected = Expected::read("expected.safetensors");
    let config = config();
    let heads: Vec<(usize, usize)> = (0..config.decoder_layers)
        .flat_map(|layer| (0..config.decoder_attention_heads).map(move |head| (layer, head)))
        .collect();
    for (name, net, tolerance) in every_net("model.safetensors") {
        let features = heard(&net, &expected);
        let mut slots = net.slots(1);
        for (row, window) in WINDOWS.into_iter().enumerate() {
            let tokens = expected.tokens(row);
            let slot = net.open(&mut slots, &features[window]).expect("open");
            let found = net.attend(&mut slots, &slot, &tokens, &heads, usize::MAX).expect("attend");
            assert_eq!((found.heads, found.tokens, found.positions), (9, tokens.len(), config.max_source_positions));
            // A softmax of large scores doubles their error, roughly.
            assert_near(&found.weights, &expected.numbers(&format!("cross.{row}")), 2.0 * tolerance, &name);
            for (at, probability) in found.next.iter().enumerate() {
                let logits = expected.logits(row, at);
                let total: f32 = logits.iter().map(|x| x.exp()).sum();
                assert!((probability - logits[tokens[at + 1] as usize].exp() / total).abs() < 1e-5, "{name}");
            }
            assert_eq!(slots.len(&slot), 0);
            let again = net.step(&mut slots, &[(&slot, &tokens)]).expect("step").remove(0);
            assert_near(&again, &expected.logits(row, tokens.len() - 1), tolerance, &name);
            slots.close(slot);
        }
    }
}

#[test]
fn a_forked_row_goes_on_by_itself_and_so_does_the_other() {
    let expected = Expected::read("expected.safetensors");
    let tokens = expected.tokens(0);
    let (before, after) = tokens.split_at(tokens.len() / 2);
    let other: Vec<u32> = after.iter().rev().copied().collect();
    for (name, net, _) in every_net("model.safetensors") {
        let features = heard(&net, &expected);
        let mut slots = net.slots(3);
        let mut whole = |tokens: &[u32]| alone(&net, &mut slots, &features[0], tokens, tokens.len()).remove(0);
        let (one, two) = (whole(&tokens), whole(&[before, &other].concat()));
        let mut slots = net.slots(2);
        // Twice: the caches of those that were closed are used again.
        for _ in 0..2 {
            let first = net.open(&mut slots, &features[0]).expect("open");
            net.step(&mut slots, &[(&first, before)]).expect("step");
            let second = slots.fork(&first).expect("a second");
            assert!(slots.fork(&first).is_err(), "there are two");
            let found = net.step(&mut slots, &[(&first, after), (&second, &other)]).expect("step");
            assert_near(&found[0], &one, TOLERANCE, &name);
            assert_near(&found[1], &two, TOLERANCE, &name);
            // What both listened to stays with the one that is left.
            slots.close(first);
            slots.rewind(&second, before.len());
            let again = net.step(&mut slots, &[(&second, after)]).expect("step").remove(0);
            assert_near(&again, &one, TOLERANCE, &name);
            slots.close(second);
        }
    }
}

#[test]
fn a_part_of_a_window_is_heard_as_by_a_model_of_so_many_positions() {
    let (whole, positions) = (config(), config().max_source_positions / 2);
    let shorter = Config { max_source_positions: positions, ..config() };
    let mut files = ModelFiles::default();
    let mut cut = tensors("model.safetensors");
    let (_, shape, bytes) = cut.get_mut("model.encoder.embed_positions.weight").expect("positions");
    bytes.truncate(bytes.len() / shape[0] * positions);
    shape[0] = positions;
    files.insert("model", "model.safetensors", write(&cut));
    let reference = Net::load_with(
        ComputeContext { kernels: None, ..ComputeContext::new(&Device::Cpu, DType::F32) },
        shorter,
        &files,
        "model",
        &placement(1),
    );
    let reference = reference.expect("a shorter model");
    let frames = 2 * whole.max_source_positions;
    let mel: Vec<f32> = Expected::read("expected.safetensors").mels().remove(0);
    let part: Vec<f32> = mel.chunks(frames).flat_map(|band| &band[..2 * positions]).copied().collect();
    let tokens = Expected::read("expected.safetensors").tokens(0);
    let logits = |net: &Net| {
        let features = net.encode(&[&part]).expect("encoder").remove(0);
        alone(net, &mut net.slots(1), &features, &tokens, tokens.len()).remove(0)
    };
    let expected = logits(&reference);
    for (name, net, tolerance) in every_net("model.safetensors") {
        assert_near(&logits(&net), &expected, tolerance, &name);
    }
    assert!(reference.encode(&[&mel]).is_err(), "more frames than it has positions for");
    assert!(reference.encode(&[&mel[..mel.len() - 1]]).is_err(), "no whole frames");
    assert!(reference.encode(&[&part, &part[..part.len() / 2]]).is_err(), "not equally long");
}

#[test]
fn half_precision_placement_is_near_the_reference() {
    let expected = Expected::read("expected.safetensors");
    let place = Placement { dtype: Precision::F16, ..placement(1) };
    let net = Net::load(config(), &files("model.safetensors"), "model", &place).expect("fixture");
    let features = heard(&net, &expected);
    let mut slots = net.slots(1);
    let tokens = expected.tokens(1);
    let logits = alone(&net, &mut slots, &features[1], &tokens, tokens.len()).remove(0);
    assert_near(&logits, &expected.logits(1, tokens.len() - 1), 5e-3, "f16");
}

/// Of blocks of 24 numbers; real layers are wider and even more out.
#[test]
fn weights_of_eight_bits_are_near_the_reference_on_every_processor() {
    for (model, expected) in
        [("model.safetensors", "expected.safetensors"), ("model-f16.safetensors", "expected-f16.safetensors")]
    {
        let expected = Expected::read(expected);
        for &level in SimdLevel::available() {
            let context = ComputeContext { kernels: Some(level), ..ComputeContext::new(&Device::Cpu, DType::F32) };
            let net =
                Net::load_with(context.with_q8(), config(), &files(model), "model", &placement(2)).expect("fixture");
            let features = heard(&net, &expected);
            let mut slots = net.slots(1);
            for (row, window) in WINDOWS.into_iter().enumerate() {
                let tokens = expected.tokens(row);
                let logits = alone(&net, &mut slots, &features[window], &tokens, tokens.len()).remove(0);
                let what = format!("{model} with {level:?}, row {row}");
                assert_near(&logits, &expected.logits(row, tokens.len() - 1), 3e-2, &what);
            }
        }
    }
}

// === rows ===

#[test]
fn a_row_that_is_rewound_gives_the_same_again() {
    let expected = Expected::read("expected.safetensors");
    let net = own("model.safetensors");
    let features = heard(&net, &expected);
    let mut slots = net.slots(2);
    let tokens = expected.tokens(1);
    let slot = net.open(&mut slots, &features[1]).expect("open");
    net.step(&mut slots, &[(&slot, &tokens[..6])]).expect("step");
    let first = net.step(&mut slots, &[(&slot, &tokens[6..])]).expect("step");
    slots.rewind(&slot, 6);
    net.step(&mut slots, &[(&slot, &[3, 1, 4, 1, 5])]).expect("step");
    slots.rewind(&slot, 6);
    assert_eq!(slots.len(&slot), 6);
    assert_eq!(net.step(&mut slots, &[(&slot, &tokens[6..])]).expect("step"), first);
}

#[test]
fn rows_that_join_and_leave_give_the_same_as_alone() {
    let expected = Expected::read("expected.safetensors");
    let net = own("model.safetensors");
    let features = heard(&net, &expected);
    let mut slots = net.slots(2);
    let [long, short] = [expected.tokens(1), expected.tokens(2)];
    let lone = [alone(&net, &mut slots, &features[1], &long, 1), alone(&net, &mut slots, &features[0], &short, 1)];
    let first = net.open(&mut slots, &features[1]).expect("open");
    let mut second = None;
    for (at, token) in long.iter().enumerate() {
        // The second row joins at the third step, leaves when it is through, and another takes its place.
        let (turn, of_turn) = (at.saturating_sub(3) / short.len(), at.saturating_sub(3) % short.len());
        if at >= 3 && of_turn == 0 {
            second = Some(net.open(&mut slots, &features[0]).expect("a free row"));
            assert_eq!((slots.room(), turn < 3), (0, true));
        }
        let mut rows: Vec<(&Slot, &[u32])> = vec![(&first, std::slice::from_ref(token))];
        rows.extend(second.as_ref().map(|slot| (slot, &short[of_turn..=of_turn])));
        let logits = net.step(&mut slots, &rows).expect("step");
        assert_near(&logits[0], &lone[0][at], 1e-6, "the row that stays");
        if let Some(logits) = logits.get(1) {
            assert_near(logits, &lone[1][of_turn], 1e-6, "the row that joined");
        }
        if of_turn + 1 == short.len() {
            second.take().into_iter().for_each(|slot| slots.close(slot));
        }
    }
    slots.trim();
    assert_eq!(slots.len(&first), long.len(), "what is in use stays");
    [Some(first), second].into_iter().flatten().for_each(|slot| slots.close(slot));
    slots.trim();
    assert_eq!(slots.room(), 2);
    assert_eq!(alone(&net, &mut slots, &features[1], &long, 1), lone[0]);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let expected = Expected::read("expected.safetensors");
    let answer = |threads| {
        let net = Net::load(config(), &files("model.safetensors"), "model", &placement(threads)).expect("fixture");
        let features = heard(&net, &expected);
        let tokens = expected.tokens(0);
        alone(&net, &mut net.slots(1), &features[0], &tokens, 3)
    };
    assert_eq!(answer(1), answer(2));
}

#[test]
fn what_does_not_fit_is_an_error_and_changes_nothing() {
    let expected = Expected::read("expected.safetensors");
    let net = own("model.safetensors");
    let features = heard(&net, &expected);
    let mut slots = net.slots(1);
    let slot = net.open(&mut slots, &features[0]).expect("open");
    assert!(net.open(&mut slots, &features[0]).is_err(), "every row is in use");
    let too_many = vec![1; config().max_target_positions + 1];
    for tokens in [&[][..], &[9999], &too_many] {
        assert!(net.step(&mut slots, &[(&slot, tokens)]).is_err());
        assert_eq!(slots.len(&slot), 0);
    }
    assert!(net.step(&mut slots, &[(&slot, &[1]), (&slot, &[2])]).is_err(), "a row twice");
    assert!(net.attend(&mut slots, &slot, &[1, 2], &[(0, 77)], 10).is_err(), "no such head");
    assert!(net.encode(&[&[0.0; 7]]).is_err(), "not a window");
    assert!(net.step(&mut slots, &[(&slot, &too_many[1..])]).is_ok(), "exactly full");
}

// === files ===

fn tensors(model: &str) -> Tensors {
    let bytes = std::fs::read(path(model)).expect("fixture");
    let content = SafeTensors::deserialize(&bytes).expect("fixture");
    let own = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    content.tensors().into_iter().map(|(name, view)| (name, own(view))).collect()
}

fn write(tensors: &Tensors) -> Location {
    let view = |(dtype, shape, data)| TensorView::new(dtype, shape, data).expect("tensor");
    let views =
        tensors.iter().map(|(name, (dtype, shape, data))| (name, view((*dtype, shape.clone(), data.as_slice()))));
    Location::Embedded(serialize(views, None).expect("safetensors").leak())
}

/// Loads the fixture as `change` leaves it.
fn changed(change: impl FnOnce(&mut Tensors)) -> std::result::Result<Net, LoadError> {
    let mut tensors = tensors("model.safetensors");
    change(&mut tensors);
    let mut files = ModelFiles::default();
    files.insert("model", "model.safetensors", write(&tensors));
    Net::load(config(), &files, "model", &placement(1))
}

fn rename(tensors: &mut Tensors, from: &str, to: &str) {
    let tensor = tensors.remove(from).expect(from);
    tensors.insert(to.to_owned(), tensor);
}

#[test]
fn a_tensor_that_is_missing_extra_or_of_another_shape_is_named() {
    const NAME: &str = "model.decoder.layers.1.fc2.weight";
    let fault = |change: fn(&mut Tensors)| changed(change).expect_err("a fault").to_string();
    let missing = fault(|tensors| drop(tensors.remove(NAME)));
    assert_eq!(missing, format!("the tensor {NAME} is missing"));
    let extra = fault(|tensors| rename(tensors, "model.encoder.embed_positions.weight", "model.encoder.surprise"));
    assert_eq!(extra, "the tensor model.encoder.surprise is not part of such a model");
    let misshaped = fault(|tensors| tensors.get_mut(NAME).expect(NAME).1.reverse());
    assert_eq!(misshaped, format!("the tensor {NAME} has the shape [72, 24], where [24, 72] is expected"));
    let mistyped = fault(|tensors| tensors.get_mut(NAME).expect(NAME).0 = Dtype::I32);
    assert_eq!(mistyped, format!("the tensor {NAME} is of type I32, where F32, F16 or BF16 is expected"));
}

#[test]
fn names_without_the_prefix_and_a_tied_output_are_taken() {
    let net = changed(|tensors| {
        for name in tensors.keys().cloned().collect::<Vec<_>>() {
            rename(tensors, &name, name.trim_start_matches("model."));
        }
        let tied = tensors["decoder.embed_tokens.weight"].clone();
        tensors.insert("proj_out.weight".to_owned(), tied);
    });
    assert!(net.is_ok(), "{net:?}");
}

#[test]
fn absent_encoder_positions_are_the_sinusoids() {
    let expected = Expected::read("expected.safetensors");
    let net = changed(|tensors| drop(tensors.remove("model.encoder.embed_positions.weight"))).expect("loads");
    let found = heard(&net, &expected)[1].0.flatten_all().and_then(|x| x.to_vec1::<f32>()).expect("features");
    assert_near(&found, &expected.numbers("encoder")[found.len()..], of_encoder(&net), "encoder");
}

#[test]
fn shards_are_put_together_by_the_index() {
    let all = tensors("model.safetensors");
    let (first, second): (Tensors, Tensors) = all.into_iter().partition(|(name, _)| name.contains("encoder."));
    let shard = |tensors: &Tensors, file: &str| {
        tensors.keys().map(|name| (name.clone(), file.to_owned())).collect::<HashMap<_, _>>()
    };
    let mut map = shard(&first, "a.safetensors");
    map.extend(shard(&second, "b.safetensors"));
    let index = serde_json::to_vec(&serde_json::json!({ "metadata": {}, "weight_map": map })).expect("json");
    let mut files = ModelFiles::default();
    files.insert("model", "model.safetensors.index.json", Location::Embedded(index.leak()));
    files.insert("model", "a.safetensors", write(&first));
    let error = Net::load(config(), &files, "model", &placement(1)).expect_err("a shard is missing");
    assert_eq!(error.to_string(), "the file b.safetensors is missing");
    files.insert("model", "b.safetensors", write(&second));
    assert!(Net::load(config(), &files, "model", &placement(1)).is_ok());
}

#[test]
fn a_file_that_is_not_safetensors_is_named() {
    let mut files = ModelFiles::default();
    files.insert("model", "model.safetensors", Location::Embedded(b"<html>not found</html>"));
    let error = Net::load(config(), &files, "model", &placement(1)).expect_err("html").to_string();
    assert!(error.starts_with("model.safetensors is not what it should be"), "{error}");
}

#[test]
fn the_footprint_covers_weights_and_slots() {
    let footprint = |model, rows| {
        let place = Placement { max_batch: rows, ..placement(1) };
        Net::footprint(&config(), &files(model), "model", &place).expect("fixture")
    };
    let weights = |model| tensors(model).values().map(|(_, _, data)| data.len() as u64).sum::<u64>();
    assert!(footprint("model.safetensors", 1) > weights("model.safetensors"));
    let halves = weights("model.safetensors") - weights("model-f16.safetensors");
    assert_eq!(footprint("model.safetensors", 1) - footprint("model-f16.safetensors", 1), halves);
    let row = {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        decoder::slot_config(&config(), &context).bytes(&context).expect("few") as u64
    };
    assert!(footprint("model.safetensors", 5) >= weights("model.safetensors") + 5 * row);
}

#[test]
fn the_footprint_of_eight_bits_is_that_of_panels_and_blocks() {
    let footprint = |dtype| {
        let place = Placement { dtype, max_batch: 3, ..placement(1) };
        Net::footprint(&config(), &files("model.safetensors"), "model", &place).expect("fixture")
    };
    let slots =
        |context: ComputeContext| 3 * decoder::slot_config(&config(), &context).bytes(&context).expect("few") as u64;
    let exact = ComputeContext::new(&Device::Cpu, DType::F32);
    let tensors = tensors("model.safetensors");
    let bytes = |(name, (_, shape, data)): (&String, &(Dtype, Vec<usize>, Vec<u8>))| match shape[..] {
        [columns, depth] if !name.ends_with("embed_positions.weight") => {
            // In each block 32 columns of 32 bytes and a scale of two.
            (columns.div_ceil(32) * depth.div_ceil(32) * 32 * 34) as u64
        }
        _ => data.len() as u64,
    };
    let weights = tensors.values().map(|(_, _, data)| data.len() as u64).sum::<u64>() + slots(exact.clone());
    let eight_bits = tensors.iter().map(bytes).sum::<u64>() + slots(exact.with_q8());
    assert_eq!(footprint(Precision::F32) - weights, footprint(Precision::Q8) - eight_bits);
}
