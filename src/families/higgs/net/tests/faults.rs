//! Files and requests that are not what they should be.

use super::*;

#[test]
fn tensors_that_make_no_model_are_named() {
    type Change = fn(&mut Value, &mut Weights);
    let cases: [(usize, Change, &str); 7] = [
        (0, |_, w| w.ignore("model.norm.weight"), "model.norm.weight is missing"),
        (
            0,
            |_, w| w.ignore("model.layers.1.audio_mlp.down_proj.weight"),
            "layers.1.audio_mlp.down_proj.weight is missing",
        ),
        (0, |c, _| c["num_hidden_layers"] = 9.into(), "there are 3 layers, and it says 9"),
        (0, |c, _| c["num_attention_heads"] = 2.into(), "self_attn.q_proj.weight has the shape"),
        (0, |c, _| c["num_codebooks"] = 2.into(), "embed_audio_tokens.weight has the shape"),
        (1, |_, w| w.ignore("audio_codebook_embeddings.weight"), "embed_audio_tokens.weight is missing"),
        (
            1,
            |_, w| w.rename(|name| name.strip_prefix("norm.").map(|rest| format!("model.norm.{rest}"))).unwrap(),
            "converted by half",
        ),
    ];
    for (layout, change, said) in cases {
        let error = load_changed(LAYOUTS[layout], &exact(), change).expect_err(said);
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn tokens_and_codes_that_nobody_knows_are_refused() {
    let net = load(LAYOUTS[0], &exact());
    let refused = |segment: Segment| net.positions(&[segment]).unwrap_err().to_string();
    assert!(refused(Segment::Text(vec![1, 99_999])).contains("the token 99999, and there are"));
    assert!(refused(Segment::Audio(vec![1, 2])).contains("2 codes, where whole columns of 4 below 34 are expected"));
    assert!(refused(Segment::Audio(vec![1, 2, 3, 34])).contains("4 codes"));
    assert!(refused(Segment::Text(Vec::new())).contains("nothing to read"));
}
