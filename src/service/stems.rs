//! Which sounds are wanted of a model that makes several.

use super::{ServiceError, SpeakRequest};
use crate::{
    model::{Family, RequestError},
    text::Markup,
};

/// Refuses sounds that no family makes which the model may be of, and what cannot be done with several.
pub(super) fn check(families: &[&'static dyn Family], asked: &SpeakRequest) -> Result<(), ServiceError> {
    let stems = &asked.options.stems;
    let known: Vec<&str> = families.iter().flat_map(|family| family.stems()).copied().collect();
    if let Some(first) = stems.first().filter(|_| known.is_empty()) {
        let message = format!("this model makes one sound, which has no stem {first:?}; leave stems out");
        return Err(RequestError::Unsupported { param: "stems", message }.into());
    }
    if let Some(stem) = stems.iter().find(|stem| !known.contains(&stem.as_str())) {
        let message = format!("there is no stem {stem:?}; there are {}", known.join(", "));
        return Err(RequestError::Invalid { param: "stems", message }.into());
    }
    if let Some(stem) = stems.iter().enumerate().find(|(at, stem)| stems[..*at].contains(stem)) {
        let message = format!("the stem {:?} is asked for twice; once would be right", stem.1);
        return Err(RequestError::Invalid { param: "stems", message }.into());
    }
    if stems.len() > 1 && asked.normalize_loudness == Some(true) {
        let message = "stems keep the loudness that they have in the mix; ask for one of them, or leave \
                       normalize_loudness out";
        return Err(RequestError::Unsupported { param: "normalize_loudness", message: message.to_owned() }.into());
    }
    let whole = !families.is_empty() && families.iter().all(|family| family.takes_text_whole());
    if whole && asked.markup == Markup::Ssml {
        let message = "this model takes a text as it is written, and no SSML".to_owned();
        return Err(RequestError::Unsupported { param: "input_type", message }.into());
    }
    Ok(())
}
