use bytes::Bytes;

use super::*;
use crate::fixtures;

const FRAMES: usize = 24;

fn file(name: &str) -> Bytes {
    std::fs::read(fixtures::folder("silero").join(name)).unwrap().into()
}

fn weights() -> Weights {
    Weights::open(&[("network.safetensors".to_owned(), file("network.safetensors"))], "").unwrap()
}

/// As `make.py` makes it.
fn sound() -> Vec<f32> {
    let length = FRAMES * SileroVad::FRAME;
    let sample = |n: usize| {
        let n = n as f64;
        let tone = if (n * 0.0007).sin() > 0.0 { (n * 0.11).sin() } else { 0.0 };
        (0.4 * tone + 0.1 * (n * n * 0.00013 % 6.25).sin() * n / (length - 1) as f64) as f32
    };
    (0..length).map(sample).collect()
}

fn probabilities(network: &SileroVad, sound: &[f32]) -> Vec<f32> {
    let mut state = network.begin();
    sound.as_chunks().0.iter().map(|frame| network.probability(frame, &mut state)).collect()
}

#[test]
fn probabilities_are_those_of_the_reference() {
    let expected: serde_json::Value = serde_json::from_slice(&file("expected.json")).unwrap();
    let numbers =
        |name: &str| expected[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect::<Vec<_>>();
    let sound = sound();
    for (ours, theirs) in sound.iter().step_by(sound.len() / 16).zip(numbers("sound")) {
        assert!((ours - theirs).abs() < 1e-5, "the sound is another one: {ours} {theirs}");
    }
    let mut weights = weights();
    let network = SileroVad::load(&mut weights).unwrap();
    weights.finish().unwrap();
    let (ours, theirs) = (probabilities(&network, &sound), numbers("probabilities"));
    assert_eq!(ours.len(), theirs.len());
    for (frame, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert!((ours - theirs).abs() < 1e-4, "frame {frame}: {ours} {theirs}");
    }
    // It is no constant that is compared.
    let (least, most) = theirs.iter().fold((1f32, 0f32), |(least, most), x| (least.min(*x), most.max(*x)));
    assert!(most - least > 0.2, "{least} to {most}");
}

#[test]
fn what_was_heard_before_counts_and_a_new_sound_begins_anew() {
    let (network, sound) = (SileroVad::load(&mut weights()).unwrap(), sound());
    let whole = probabilities(&network, &sound);
    assert_eq!(probabilities(&network, &sound), whole);
    let later = probabilities(&network, &sound[4 * SileroVad::FRAME..]);
    assert_ne!(later[0], whole[4]);
}

#[test]
fn a_network_with_other_sizes_is_refused_by_name() {
    for (name, shape, reason) in [
        ("stft_conv.weight", vec![130, 1, 128], "where [258, 1, 256] is expected"),
        ("conv2.weight", vec![8, 11, 3], "where [8, 12, 3] is expected"),
        ("conv3.bias", vec![7], "where [6] is expected"),
        ("lstm_cell.weight_hh", vec![40, 9], "has the shape"),
        ("final_conv.weight", vec![2, 10, 1], "where [1, 10, 1] is expected"),
    ] {
        let mut weights = weights();
        weights.ignore(name);
        let Err(missing) = SileroVad::load(&mut weights) else { panic!("{name}") };
        assert!(missing.to_string().contains(&format!("{name} is missing")), "{missing}");
        let mut files = vec![("network.safetensors".to_owned(), file("network.safetensors"))];
        files.push(("other.safetensors".to_owned(), tensor(name, &shape)));
        let Err(wrong) = SileroVad::load(&mut Weights::open(&files, "").unwrap()) else { panic!("{name}") };
        assert!(wrong.to_string().contains(reason), "{wrong}");
    }
}

/// A file of one tensor.
fn tensor(name: &str, shape: &[usize]) -> Bytes {
    let bytes = vec![0; shape.iter().product::<usize>() * size_of::<f32>()];
    let view = ::safetensors::tensor::TensorView::new(::safetensors::Dtype::F32, shape.to_vec(), &bytes).unwrap();
    ::safetensors::serialize([(name, view)], None).unwrap().into()
}
