//! The least that can be asked, and what cannot.

use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};

use super::*;

/// The fixture's model without a tensor (`None`), or with one of another shape.
fn spoiled(of: &str, tensor: &str, shape: Option<&[usize]>) -> Vec<u8> {
    let bytes = model(of);
    let tensors = SafeTensors::deserialize(&bytes).expect("fixture");
    let zeros = shape.map(|shape| vec![0u8; 2 * shape.iter().product::<usize>()]);
    let mut views = tensors.tensors();
    assert!(views.iter().any(|(name, _)| name == tensor), "there is no {tensor}");
    views.retain(|(name, _)| name != tensor);
    if let (Some(shape), Some(zeros)) = (shape, &zeros) {
        views.push((tensor.to_owned(), TensorView::new(Dtype::F16, shape.to_vec(), zeros).expect("shape")));
    }
    serialize(views, None).expect("serialize")
}

#[test]
fn one_token_of_text_and_one_of_a_reference_are_enough() {
    for of in ["llama", "gpt2"] {
        let expected = Expected::read(of);
        let t3 = own(of, expected.ids);
        for prompt in [vec![], vec![3]] {
            let voice = t3.voice(&T3Conditioning { prompt, ..expected.conditioning(0) }).expect("voice");
            let request = T3Request { max_new_tokens: 1, ..expected.greedy(0) };
            let row = t3.admit(&voice, &[7], &request).expect("prompt");
            assert_eq!((row.tokens().len(), row.finish()), (1, Some(FinishReason::Full)));
        }
    }
}

#[test]
fn what_cannot_be_met_says_what_could() {
    let expected = Expected::read("llama");
    let t3 = own("llama", expected.ids);
    let (text, speech) = t3.embeddings.positions().expect("llama");
    let voice = t3.voice(&expected.conditioning(0)).expect("voice");
    let error = |text: &[u32], change: fn(&mut T3Request)| {
        let mut request = expected.greedy(0);
        change(&mut request);
        t3.admit(&voice, text, &request).expect_err("error").to_string()
    };
    let long = vec![7; text + 1];
    assert_eq!(error(&long, |_| ()), format!("the text has {} tokens, and {text} fit", text + 1));
    assert_eq!(error(&[], |_| ()), "the text has no tokens");
    assert_eq!(
        error(&[9999], |_| ()),
        format!("the text has the token 9999, and there are {}", t3.embeddings.text.len())
    );
    assert_eq!(error(&[7], |r| r.max_new_tokens = 0), format!("max_new_tokens is 0, where 1 to {speech} is expected"));
    assert!(
        error(&[7], |r| r.max_new_tokens = usize::MAX).starts_with("max_new_tokens is 18446744073709551615, where")
    );
    assert_eq!(error(&[7], |r| r.sampling.min_p = 1.5), "min_p is 1.5, where from 0 to 1 is expected");
    assert_eq!(error(&[7], |r| r.sampling.temperature = f32::NAN), "temperature is NaN, where 0 or more is expected");
    let mut request = expected.greedy(0);
    request.max_new_tokens = speech;
    assert!(t3.admit(&voice, &vec![7; text], &request).is_ok());
}

#[test]
fn where_positions_are_shared_a_longer_text_leaves_fewer_for_speech() {
    let expected = Expected::read("gpt2");
    let t3 = own("gpt2", expected.ids);
    let voice = t3.voice(&expected.conditioning(1)).expect("voice");
    let positions = t3.backbone.positions().expect("gpt2");
    let most = positions - voice.0.dim(0).expect("voice") - 20;
    let request = T3Request { max_new_tokens: 20, ..expected.greedy(1) };
    let error = t3.admit(&voice, &vec![7; most + 1], &request).expect_err("error").to_string();
    assert_eq!(error, format!("the text has {} tokens, and {most} fit", most + 1));
    let mut row = t3.admit(&voice, &vec![7; most], &request).expect("prompt");
    while !row.finished() {
        t3.step(&mut [&mut row]).expect("step");
    }
    assert_eq!(row.tokens().len(), 20);
}

#[test]
fn a_voice_that_is_not_for_this_model_is_refused() {
    let expected = Expected::read("llama");
    let t3 = own("llama", expected.ids);
    let good = expected.conditioning(0);
    let error = |voice| t3.voice(&voice).expect_err("error").to_string();
    let codes = expected.ids.codes;
    let (_, positions) = t3.embeddings.positions().expect("llama");
    let short = T3Conditioning { speaker: good.speaker[1..].to_vec(), ..good.clone() };
    let numbers = good.speaker.len();
    let expected = format!("the voice has {} numbers of a speaker, where {numbers} are expected", numbers - 1);
    assert_eq!(error(short), expected);
    let stranger = T3Conditioning { prompt: vec![codes], ..good.clone() };
    assert_eq!(error(stranger), format!("the voice has the speech token {codes}, and there are {codes}"));
    let long = T3Conditioning { prompt: vec![0; positions + 1], ..good };
    assert_eq!(error(long), format!("the voice has {} tokens of speech, and {positions} fit", positions + 1));
}

#[test]
fn tensors_that_are_missing_or_of_other_sizes_are_named() {
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    let any = &[3, 5][..];
    let cases = [
        ("llama", "text_emb.weight", None),
        ("llama", "text_emb.weight", Some(any)),
        ("llama", "speech_emb.weight", Some(any)),
        ("llama", "speech_pos_emb.emb.weight", Some(&[0, 128][..])),
        ("llama", "text_pos_emb.emb.weight", Some(&[64][..])),
        ("llama", "tfmr.layers.0.input_layernorm.weight", None),
        ("llama", "tfmr.layers.0.mlp.gate_proj.weight", None),
        ("llama", "tfmr.layers.0.mlp.up_proj.weight", Some(any)),
        ("llama", "tfmr.layers.0.self_attn.k_proj.weight", Some(any)),
        ("llama", "tfmr.norm.weight", Some(any)),
        ("llama", "speech_head.weight", Some(any)),
        ("llama", "cond_enc.spkr_enc.weight", Some(any)),
        ("llama", "cond_enc.emotion_adv_fc.weight", Some(any)),
        ("llama", "cond_enc.perceiver.pre_attention_query", Some(any)),
        ("llama", "cond_enc.perceiver.attn.to_k.weight", None),
        ("gpt2", "tfmr.wpe.weight", None),
        ("gpt2", "tfmr.h.0.attn.c_attn.weight", Some(any)),
        ("gpt2", "tfmr.h.0.mlp.c_fc.weight", Some(&[4][..])),
        ("gpt2", "tfmr.h.0.mlp.c_proj.bias", None),
    ];
    for (of, tensor, shape) in cases {
        let ids = Expected::read(of).ids;
        let error = load(spoiled(of, tensor, shape), ids, &context).map(|_| ()).expect_err(tensor);
        let named = error.contains(tensor) || shape == Some(any) && tensor == "text_emb.weight";
        assert!(named, "{tensor} as {shape:?}: {error}");
    }
}

#[test]
fn ids_beyond_the_table_are_refused() {
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    let ids = Expected::read("llama").ids;
    let error = load(model("llama"), T3Ids { stop: 6562, ..ids }, &context).map(|_| ()).expect_err("error");
    assert!(error.starts_with("the tensor speech_emb.weight has"), "{error}");
}
