//! Files that are not what they should be, and recordings that are nothing.

use safetensors::{Dtype, tensor::TensorView};

use super::*;

/// A file without a tensor, or with another shape of it.
fn changed(file: &str, name: &str, shape: Option<&[usize]>) -> Weights {
    let original = fixture(file);
    let tensors = SafeTensors::deserialize(&original).unwrap();
    let zeros = vec![0; shape.map_or(0, |shape| shape.iter().product()) * size_of::<f32>()];
    let kept = tensors.tensors().into_iter().filter(|(other, _)| other != name);
    let new = shape.map(|shape| (name.to_owned(), TensorView::new(Dtype::F32, shape.to_vec(), &zeros).unwrap()));
    let bytes = safetensors::serialize(kept.chain(new), None).unwrap();
    Weights::open(&[(file.to_owned(), bytes.into())], "").unwrap()
}

fn s3gen_error(name: &str, shape: Option<&[usize]>) -> String {
    let (mut weights, context) = (changed("s3gen.safetensors", name, shape), &contexts()[1]);
    Listener::load(&mut Loader { weights: &mut weights, context }).err().expect("it does not load").to_string()
}

fn ve_error(name: &str, shape: Option<&[usize]>) -> String {
    let (mut weights, context) = (changed("ve.safetensors", name, shape), &contexts()[1]);
    VoiceEncoder::load(&mut Loader { weights: &mut weights, context }).err().expect("it does not load").to_string()
}

#[test]
fn a_tensor_that_is_missing_is_named() {
    for name in [
        "tokenizer.encoder.conv1.weight",
        "tokenizer.encoder.conv2.bias",
        "tokenizer.encoder.blocks.0.attn.fsmn_block.weight",
        "tokenizer.encoder.blocks.1.mlp.2.weight",
        "tokenizer.quantizer._codebook.project_down.bias",
        "speaker_encoder.head.bn1.running_var",
        "speaker_encoder.head.layer1.0.shortcut.0.weight",
        "speaker_encoder.xvector.tdnn.linear.weight",
        "speaker_encoder.xvector.block2.tdnnd3.cam_layer.linear2.bias",
        "speaker_encoder.xvector.transit3.linear.weight",
        "speaker_encoder.xvector.dense.nonlinear.batchnorm.running_mean",
    ] {
        assert_eq!(s3gen_error(name, None), format!("the tensor {name} is missing"));
    }
    for name in ["lstm.weight_ih_l0", "lstm.bias_hh_l1", "lstm.weight_hh_l2", "proj.weight", "proj.bias"] {
        assert_eq!(ve_error(name, None), format!("the tensor {name} is missing"));
    }
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    let s3gen: [(&str, &[usize]); 11] = [
        ("tokenizer.encoder.conv1.weight", &[100, 32, 3]),
        ("tokenizer.encoder.conv1.weight", &[0, 32, 3]),
        ("tokenizer.encoder.conv2.weight", &[65, 65, 3]),
        ("tokenizer.encoder.blocks.0.mlp.0.weight", &[33, 65]),
        ("tokenizer.encoder.blocks.0.attn.fsmn_block.weight", &[1, 1, 31]),
        ("tokenizer.quantizer._codebook.project_down.weight", &[21, 128]),
        ("speaker_encoder.head.conv1.weight", &[16, 1, 3]),
        ("speaker_encoder.head.layer2.1.conv1.weight", &[16, 16, 5, 5]),
        ("speaker_encoder.xvector.tdnn.linear.weight", &[16, 80, 5]),
        ("speaker_encoder.xvector.block1.tdnnd1.linear1.weight", &[8, 3, 1]),
        ("speaker_encoder.xvector.block1.tdnnd1.cam_layer.linear_local.weight", &[2, 3, 3]),
    ];
    for (name, shape) in s3gen {
        let error = s3gen_error(name, Some(shape));
        assert!(error.starts_with(&format!("the tensor {name} ")), "{error}");
    }
    let ve: [(&str, &[usize]); 3] = [("lstm.weight_ih_l1", &[4, 4]), ("lstm.weight_ih_l0", &[40]), ("proj.bias", &[1])];
    for (name, shape) in ve {
        let error = ve_error(name, Some(shape));
        assert!(error.starts_with(&format!("the tensor {name} ")), "{error}");
    }
}

#[test]
fn nothing_and_next_to_nothing_are_no_panics() {
    for context in contexts() {
        let (listener, voice) = load(&context);
        for length in [0, 1, 159] {
            assert!(listener.tokenizer.tokenize(&sound(length, RATE_16K)).unwrap().is_empty());
        }
        assert_eq!(listener.tokenizer.tokenize(&[0.5; 160]).unwrap().len(), 1);
        assert!(listener.tokenizer.tokenize_up_to(&[0.5; 160], 0).unwrap().is_empty());
        for length in [0, 1, 399, 400, 719] {
            let error = listener.speaker.embed(&vec![0.5; length]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{length} samples are too few to know their speaker by")), "{error}");
        }
        assert!(listener.speaker.embed(&sound(720, RATE_16K)).unwrap().iter().all(|x| x.is_finite()));
        assert!(voice.embed(&[]).is_err());
        for length in [1, 160, 4000] {
            assert!(voice.embed(&vec![0.0; length]).unwrap().iter().all(|x| x.is_finite()));
        }
        let recording = Recording { at_24k: &[0.5; 900], at_16k: &[0.5; 600] };
        let error = listener.spoken_prompt(recording).unwrap_err().to_string();
        assert!(error.starts_with("900 samples at 24000 Hz are too few to be continued"), "{error}");
    }
}
