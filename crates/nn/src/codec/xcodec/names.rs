//! Names of tensors in the codec's own layout, which is also Boson's, and what they are in that of `transformers`.

use crate::weights::{Loaded, WeightError, Weights};

/// What only names of the codec's own layout begin with.
const OWN: [&str; 6] = ["encoder.block.", "decoder_2.", "quantizer.vq.", "fc_prior.", "fc_post1.", "fc_post2."];
/// What only names of the other begin with.
const TRANSFORMERS: [&str; 5] = ["acoustic_encoder.", "acoustic_decoder.", "quantizer.quantizers.", "fc.", "fc2."];
/// Of a residual unit, in the order of its layers.
const UNIT: [&str; 4] = ["snake1", "conv1", "snake2", "conv2"];

/// Whether neither encoding nor decoding needs the tensor of such a name, in either layout: training alone does.
pub fn is_unneeded(name: &str) -> bool {
    let beginnings = ["decoder_semantic.", "fc1.", "fc_post1.", "semantic_model.masked_spec_embed"];
    let endings = [".embed_avg", ".cluster_size", ".inited"];
    beginnings.iter().any(|beginning| name.starts_with(beginning)) || endings.iter().any(|end| name.ends_with(end))
}

/// Names as in `transformers`, whichever layout they are of.
///
/// # Errors
/// Where there are some of both.
pub fn unify(weights: &mut Weights) -> Loaded<()> {
    let first = |beginnings: &[&str]| {
        let of = |name: &&str| beginnings.iter().any(|beginning| name.starts_with(beginning));
        weights.names().find(of).map(str::to_owned)
    };
    match (first(&OWN), first(&TRANSFORMERS)) {
        (Some(boson), Some(other)) => {
            let reason = format!(
                "is of the codec's own layout, and {other} of that of transformers: these files were converted by half; those of \
                 either layout alone would be right"
            );
            Err(WeightError::tensor(boson, reason).into())
        }
        (Some(_), None) => {
            let stages = |name: fn(usize) -> String| weights.count(|at| name(at + 1));
            let down = stages(|at| format!("encoder.block.{at}.block.4.bias"));
            let up = stages(|at| format!("decoder_2.model.{at}.block.1.bias"));
            Ok(weights.rename(|name| renamed(name, down, up))?)
        }
        (None, _) => Ok(()),
    }
}

/// `down` and `up`: stages of encoder and decoder.
fn renamed(name: &str, down: usize, up: usize) -> Option<String> {
    if let Some(rest) = name.strip_prefix("encoder.block.") {
        return layer(rest, down, &Side { name: "acoustic_encoder", units: 0, snake: 3, conv: (4, "conv1") });
    }
    if let Some(rest) = name.strip_prefix("decoder_2.model.") {
        return layer(rest, up, &Side { name: "acoustic_decoder", units: 2, snake: 0, conv: (1, "conv_t1") });
    }
    if let Some(rest) = name.strip_prefix("quantizer.vq.layers.") {
        return Some(format!("quantizer.quantizers.{}", rest.replace("._codebook.", ".codebook.")));
    }
    for (from, to) in [("fc_prior.", "fc."), ("fc_post1.", "fc1."), ("fc_post2.", "fc2.")] {
        if let Some(rest) = name.strip_prefix(from) {
            return Some(format!("{to}{rest}"));
        }
    }
    let semantic = name.starts_with("encoder_semantic.") || name.starts_with("decoder_semantic.");
    let unwrapped = [".conv", ".conv1", ".conv2"];
    semantic.then(|| {
        unwrapped.iter().fold(name.to_owned(), |name, conv| name.replace(&format!("{conv}.conv."), &format!("{conv}.")))
    })
}

/// Where the layers of a stage stand in it.
struct Side {
    name: &'static str,
    /// The first of three residual units.
    units: usize,
    snake: usize,
    conv: (usize, &'static str),
}

/// `rest`: what follows `block.` or `model.`
fn layer(rest: &str, stages: usize, side: &Side) -> Option<String> {
    let (at, rest) = number(rest)?;
    let name = side.name;
    if at == 0 {
        return Some(format!("{name}.conv1.{rest}"));
    }
    if at == stages + 1 {
        return Some(format!("{name}.snake1.{rest}"));
    }
    if at == stages + 2 {
        return Some(format!("{name}.conv2.{rest}"));
    }
    let (part, rest) = number(rest.strip_prefix("block.")?)?;
    let stage = format!("{name}.block.{}", at - 1);
    if part == side.snake {
        return Some(format!("{stage}.snake1.{rest}"));
    }
    if part == side.conv.0 {
        return Some(format!("{stage}.{}.{rest}", side.conv.1));
    }
    let unit = part.checked_sub(side.units)?;
    let (inner, rest) = number(rest.strip_prefix("block.")?)?;
    Some(format!("{stage}.res_unit{}.{}.{rest}", unit + 1, UNIT.get(inner)?))
}

/// A number, and what follows the dot after it.
fn number(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_of_bosons_has_its_name_in_the_other_layout() {
        for (boson, expected) in [
            ("encoder.block.0.weight_g", "acoustic_encoder.conv1.weight_g"),
            ("encoder.block.2.block.1.block.3.bias", "acoustic_encoder.block.1.res_unit2.conv2.bias"),
            ("encoder.block.5.block.3.alpha", "acoustic_encoder.block.4.snake1.alpha"),
            ("encoder.block.5.block.4.weight_v", "acoustic_encoder.block.4.conv1.weight_v"),
            ("encoder.block.6.alpha", "acoustic_encoder.snake1.alpha"),
            ("encoder.block.7.bias", "acoustic_encoder.conv2.bias"),
            ("decoder_2.model.0.bias", "acoustic_decoder.conv1.bias"),
            ("decoder_2.model.1.block.0.alpha", "acoustic_decoder.block.0.snake1.alpha"),
            ("decoder_2.model.1.block.1.weight_g", "acoustic_decoder.block.0.conv_t1.weight_g"),
            ("decoder_2.model.5.block.4.block.0.alpha", "acoustic_decoder.block.4.res_unit3.snake1.alpha"),
            ("decoder_2.model.7.weight_g", "acoustic_decoder.conv2.weight_g"),
            ("quantizer.vq.layers.3._codebook.embed", "quantizer.quantizers.3.codebook.embed"),
            ("quantizer.vq.layers.3.project_in.bias", "quantizer.quantizers.3.project_in.bias"),
            ("fc_post2.weight", "fc2.weight"),
            ("encoder_semantic.conv.conv.weight", "encoder_semantic.conv.weight"),
            (
                "encoder_semantic.conv_blocks.0.res_units.1.conv1.conv.weight",
                "encoder_semantic.conv_blocks.0.res_units.1.conv1.weight",
            ),
            ("encoder_semantic.conv_blocks.1.conv.conv.bias", "encoder_semantic.conv_blocks.1.conv.bias"),
        ] {
            assert_eq!(renamed(boson, 5, 5).as_deref(), Some(expected), "{boson}");
        }
        assert_eq!(renamed("semantic_model.encoder.layer_norm.bias", 5, 5), None);
    }

    #[test]
    fn what_was_converted_by_half_is_refused() {
        let tensor = |name: &str| (name.to_owned(), vec![1], vec![0.0]);
        let error = |names: &[&str]| unify(&mut Weights::of(names.iter().map(|name| tensor(name)))).unwrap_err();
        let said = error(&["fc_prior.weight", "acoustic_encoder.conv1.bias"]).to_string();
        assert!(said.contains("converted by half") && said.contains("fc_prior.weight"), "{said}");
        let twice = ["quantizer.vq.layers.0._codebook.embed", "quantizer.vq.layers.0.codebook.embed"];
        assert!(error(&twice).to_string().contains("is there twice"));
    }
}
