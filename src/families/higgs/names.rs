//! Names of tensors in Boson's own layout, and what they are in that of `transformers`.

use crate::nn::weights::{Loaded, WeightError, Weights};

/// What only names of Boson's layout begin with.
const BOSON: [&str; 5] = ["embed_tokens.", "layers.", "norm.", "audio_codebook_embeddings.", "audio_decoder_proj."];
/// What only names of the other begin with.
const TRANSFORMERS: [&str; 3] = ["model.", "audio_lm_head.", "text_lm_head."];
/// Each of these is the other, in Boson's layout and in that of `transformers`.
const RENAMED: [(&str, &str); 5] = [
    ("audio_codebook_embeddings.", "model.embed_audio_tokens.embed_audio_tokens."),
    ("audio_decoder_proj.", ""),
    ("embed_tokens.", "model.embed_tokens."),
    ("layers.", "model.layers."),
    ("norm.", "model.norm."),
];

/// Whether speech needs no tensor of such a name, in either layout: the head that writes text, what hears, and what can be
/// computed.
pub fn is_unneeded(name: &str) -> bool {
    let beginnings = ["audio_tower.", "audio_encoder_proj.", "audio_codebook_weights"];
    name.contains("text_lm_head.")
        || name.ends_with("rotary_emb.inv_freq")
        || beginnings.iter().any(|b| name.starts_with(b))
}

/// Names as in `transformers`, whichever layout they are of, without those that nobody needs.
///
/// # Errors
/// Where there are some of both.
pub fn unify(weights: &mut Weights) -> Loaded<()> {
    let unneeded: Vec<String> = weights.names().filter(|name| is_unneeded(name)).map(str::to_owned).collect();
    let first = |beginnings: &[&str]| {
        let of = |name: &&str| beginnings.iter().any(|beginning| name.starts_with(beginning));
        weights.names().find(of).map(str::to_owned)
    };
    match (first(&BOSON), first(&TRANSFORMERS)) {
        (Some(boson), Some(other)) => {
            let reason = format!(
                "is of Boson's layout, and {other} of that of transformers: these files were converted by half; those of \
                 either layout alone would be right"
            );
            return Err(WeightError::tensor(boson, reason).into());
        }
        (Some(_), None) => weights.rename(renamed)?,
        (None, _) => {}
    }
    for name in unneeded {
        weights.ignore(&renamed(&name).unwrap_or_else(|| name.clone()));
        weights.ignore(&name);
    }
    Ok(())
}

fn renamed(name: &str) -> Option<String> {
    RENAMED.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(names: &[&str]) -> Weights {
        Weights::of(names.iter().map(|name| ((*name).to_owned(), vec![1], vec![0.0])))
    }

    #[test]
    fn either_layout_has_the_same_names_in_the_end() {
        let mut boson = weights(&[
            "embed_tokens.weight",
            "layers.0.audio_mlp.up_proj.weight",
            "norm.weight",
            "audio_codebook_embeddings.weight",
            "audio_decoder_proj.audio_lm_head.weight",
            "audio_decoder_proj.text_lm_head.weight",
            "audio_codebook_weights",
        ]);
        let mut other = weights(&[
            "model.embed_tokens.weight",
            "model.layers.0.audio_mlp.up_proj.weight",
            "model.norm.weight",
            "model.embed_audio_tokens.embed_audio_tokens.weight",
            "audio_lm_head.weight",
            "text_lm_head.weight",
        ]);
        unify(&mut boson).unwrap();
        unify(&mut other).unwrap();
        assert_eq!(boson.names().collect::<Vec<_>>(), other.names().collect::<Vec<_>>());
        assert_eq!(other.names().count(), 5, "nobody reads what writes text");
    }

    #[test]
    fn what_was_converted_by_half_is_refused() {
        let error = unify(&mut weights(&["model.norm.weight", "layers.0.mlp.up_proj.weight"])).unwrap_err().to_string();
        assert!(error.contains("converted by half") && error.contains("layers.0.mlp.up_proj.weight"), "{error}");
    }
}
