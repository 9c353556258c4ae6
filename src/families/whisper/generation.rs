//! How a checkpoint wants to be decoded: what its `generation_config.json` says, or what openai-whisper does where it says
//! nothing.

use std::collections::BTreeSet;

use super::{config::Config, generation_config::GenerationConfig, tokens::Tokens};
use crate::model::LoadError;

/// 1.0 s in steps of 0.02 s, openai-whisper's `max_initial_timestamp`.
const MAX_INITIAL_TIMESTAMP: usize = 50;

/// How to decode, every gap filled.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// Ids that are never made. Sorted.
    pub suppress: Vec<u32>,
    /// Ids that are never made first. Sorted.
    pub begin_suppress: Vec<u32>,
    /// Decoder layer and head of the attention that follows the words in time.
    pub alignment_heads: Vec<(usize, usize)>,
    /// The latest first timestamp, in steps of 0.02 s.
    pub max_initial_timestamp: usize,
    /// Whether earlier text in a prompt keeps its timestamps.
    pub prompt_timestamps: bool,
}

// === impl Generation ===

impl Generation {
    pub fn new(given: &GenerationConfig, tokens: &Tokens, config: &Config) -> Result<Self, LoadError> {
        let (suppress, begin_suppress) = (suppress(given, tokens)?, begin_suppress(given, tokens)?);
        something_left(tokens, &suppress, &begin_suppress)?;
        Ok(Self {
            suppress,
            begin_suppress,
            alignment_heads: alignment_heads(given, config)?,
            max_initial_timestamp: given.max_initial_timestamp_index.unwrap_or(MAX_INITIAL_TIMESTAMP),
            prompt_timestamps: given.prompt_timestamps.unwrap_or(true),
        })
    }
}

/// The listed ids, or the symbols that nobody speaks; and every token that controls the decoder.
fn suppress(given: &GenerationConfig, tokens: &Tokens) -> Result<Vec<u32>, LoadError> {
    let listed = given.suppress_tokens.as_ref().filter(|listed| !listed.contains(&-1));
    let mut ids = match listed {
        Some(listed) => positive(listed),
        None => tokens.not_speech()?,
    };
    ids.extend(tokens.controls());
    Ok(sorted(ids))
}

/// The listed ids, or the blank and the end.
fn begin_suppress(given: &GenerationConfig, tokens: &Tokens) -> Result<Vec<u32>, LoadError> {
    let ids = match &given.begin_suppress_tokens {
        Some(listed) => positive(listed),
        None => [tokens.encode(" ")?, vec![tokens.eot]].concat(),
    };
    Ok(sorted(ids))
}

/// The listed heads, or every head in the upper half of the decoder.
fn alignment_heads(given: &GenerationConfig, config: &Config) -> Result<Vec<(usize, usize)>, LoadError> {
    let (layers, heads) = (config.decoder_layers, config.decoder_attention_heads);
    let listed = given.alignment_heads.as_ref().filter(|listed| !listed.is_empty());
    let Some(listed) = listed else {
        return Ok((layers / 2..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))).collect());
    };
    if let Some((layer, head)) = listed.iter().find(|(layer, head)| *layer >= layers || *head >= heads) {
        return Err(malformed(format!(
            "alignment_heads names head {head} of layer {layer}, and the decoder has {layers} layers of {heads} heads"
        )));
    }
    // The attention of each is kept for every token.
    let mut seen = BTreeSet::new();
    match listed.iter().find(|pair| !seen.insert(**pair)) {
        None => Ok(listed.clone()),
        Some((layer, head)) => Err(malformed(format!("alignment_heads names head {head} of layer {layer} twice"))),
    }
}

/// A model that may say nothing would load, and fail at every request.
fn something_left(tokens: &Tokens, suppress: &[u32], begin_suppress: &[u32]) -> Result<(), LoadError> {
    if suppress.contains(&tokens.eot) {
        return Err(malformed("suppress_tokens holds the token that ends a text".to_owned()));
    }
    let forbids = |list: &[u32], id: u32| list.binary_search(&id).is_ok();
    if (0..tokens.eot).all(|id| forbids(suppress, id)) {
        return Err(malformed("suppress_tokens leaves no token of text".to_owned()));
    }
    match (0..tokens.eot).all(|id| forbids(suppress, id) || forbids(begin_suppress, id)) {
        true => Err(malformed("begin_suppress_tokens leaves no token that a text could begin with".to_owned())),
        false => Ok(()),
    }
}

fn malformed(reason: String) -> LoadError {
    LoadError::Malformed { file: "generation_config.json".to_owned(), reason }
}

fn positive(listed: &[i64]) -> Vec<u32> {
    listed.iter().filter_map(|id| u32::try_from(*id).ok()).collect()
}

fn sorted(mut ids: Vec<u32>) -> Vec<u32> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    fn generation(json: &str) -> Result<Generation, LoadError> {
        Generation::new(&serde_json::from_str(json).unwrap(), &fixtures::tokens(), &fixtures::config())
    }

    #[test]
    fn what_the_file_lists_is_taken_and_control_tokens_are_added() {
        let listed = r#"{"suppress_tokens": [9, 3, -7], "begin_suppress_tokens": [220], "alignment_heads": [[1, 0]],
                         "max_initial_timestamp_index": 70, "lang_to_id": null, "prompt_timestamps": false}"#;
        let (generation, tokens) = (generation(listed).unwrap(), fixtures::tokens());
        let mut suppress: Vec<u32> = tokens.controls().chain([3, 9]).collect();
        suppress.sort_unstable();
        assert_eq!(generation.suppress, suppress);
        assert_eq!(generation.begin_suppress, [220]);
        assert_eq!(generation.alignment_heads, [(1, 0)]);
        assert_eq!((generation.max_initial_timestamp, generation.prompt_timestamps), (70, false));
    }

    #[test]
    fn what_the_file_does_not_say_is_as_in_openai_whisper() {
        for json in ["{}", r#"{"suppress_tokens": null, "alignment_heads": []}"#, r#"{"suppress_tokens": [-1]}"#] {
            let (generation, tokens) = (generation(json).unwrap(), fixtures::tokens());
            assert!(tokens.not_speech().unwrap().iter().all(|id| generation.suppress.contains(id)), "{json}");
            assert_eq!(generation.begin_suppress, [tokens.encode(" ").unwrap(), vec![tokens.eot]].concat());
            assert_eq!(generation.alignment_heads, [(1, 0), (1, 1)], "the upper half of two layers of two heads");
            assert_eq!((generation.max_initial_timestamp, generation.prompt_timestamps), (50, true));
        }
    }

    #[test]
    fn lists_that_leave_nothing_or_repeat_are_refused() {
        let eot = fixtures::tokens().eot;
        let all: Vec<u32> = (0..eot).collect();
        for (json, part) in [
            (format!("{{\"suppress_tokens\": {all:?}}}"), "leaves no token of text"),
            (format!("{{\"suppress_tokens\": [{eot}]}}"), "the token that ends a text"),
            (format!("{{\"begin_suppress_tokens\": {all:?}}}"), "could begin with"),
            ("{\"alignment_heads\": [[1, 0], [0, 1], [1, 0]]}".to_owned(), "head 0 of layer 1 twice"),
        ] {
            let error = generation(&json).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_head_that_does_not_exist_is_named() {
        let error = generation(r#"{"alignment_heads": [[1, 0], [2, 1]]}"#).unwrap_err().to_string();
        assert!(error.contains("head 1 of layer 2") && error.contains("2 layers of 2 heads"), "{error}");
    }
}
