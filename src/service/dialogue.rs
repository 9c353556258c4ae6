//! What can be told of a text and its voices before a model is loaded for it.

use super::{ServiceError, SpeakRequest};
use crate::{
    model::{Family, RequestError},
    speech::VoiceInput,
};

/// Refuses a list of voices that no family takes which the model may be of, and what its family finds wrong with the text.
pub(super) fn check(families: &[&'static dyn Family], asked: &SpeakRequest) -> Result<(), ServiceError> {
    let several = matches!(asked.options.voice, Some(VoiceInput::Cast(_)));
    if several && !families.iter().any(|family| family.speaks_dialogue()) {
        let message = "this model speaks with one voice; give it one".to_owned();
        return Err(RequestError::Unsupported { param: "voice", message }.into());
    }
    match families {
        [family] => Ok(family.check(&asked.text, &asked.options)?),
        _ => Ok(()),
    }
}
