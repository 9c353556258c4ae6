//! What a caller asked, checked against what the model can do.

use super::{
    language::{self, Language},
    voices::{Voice, Voices},
};
use crate::{
    model::RequestError,
    speech::{SynthesizeOptions, VoiceInput},
};

/// As in PyPI's `kokoro-onnx`: beyond it nobody is understood.
const SPEEDS: std::ops::RangeInclusive<f32> = 0.5..=2.0;
/// Of the published voices the one that is best, by the model's own page.
const USUAL: &str = "af_heart";
/// Voices that are blended into one, at most.
const MOST: usize = 8;
/// Voices that an error has room for.
const FEW: usize = 12;

/// How a text is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Manner {
    pub voice: Voice,
    pub language: Language,
    pub speed: f32,
    pub seed: u64,
}

// === impl Manner ===

impl Manner {
    pub fn of(asked: &SynthesizeOptions, voices: &Voices) -> Result<Self, RequestError> {
        if let Some(unknown) = asked.options.keys().next() {
            let message = format!("there is no option {unknown:?}; this model has none");
            return Err(RequestError::Invalid { param: "options", message });
        }
        let speed = asked.speed.unwrap_or(1.0);
        if !SPEEDS.contains(&speed) {
            let (low, high) = (SPEEDS.start(), SPEEDS.end());
            let message = format!("the speed {speed} is out of range; {low} to {high} are possible");
            return Err(RequestError::Invalid { param: "speed", message });
        }
        let shares = shares(asked.voice.as_ref(), voices)?;
        let own = language::of_voice(shares.first().map_or(USUAL, |(name, _)| name));
        let language = language::asked(asked.language.as_deref(), own)?;
        let found = shares.iter().map(|(name, share)| Ok((known(name, voices)?, *share)));
        let found: Vec<(&Voice, f32)> = found.collect::<Result<_, RequestError>>()?;
        Ok(Self { voice: Voice::blend(&found), language, speed, seed: asked.seed.unwrap_or_default() })
    }
}

/// The usual one of some.
pub fn usual<'a>(mut names: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    names.clone().find(|name| *name == USUAL).or_else(|| names.next())
}

/// Names and shares, which make 1: `af_bella`, `af_bella+af_sky`, `af_bella(2)+af_sky(1)`.
pub fn blend(text: &str) -> Result<Vec<(String, f32)>, String> {
    let wrong = |part: &str| format!("{part:?} is no part of a blend; af_bella(2)+af_sky(1) would be one");
    let part = |part: &str| match part.trim().strip_suffix(')').map(|weighted| weighted.split_once('(')) {
        None => Ok((part.trim().to_owned(), 1.0)),
        Some(Some((name, weight))) => match weight.trim().parse::<f32>() {
            Ok(weight) if weight.is_finite() && weight > 0.0 => Ok((name.trim().to_owned(), weight)),
            _ => Err(wrong(part)),
        },
        Some(None) => Err(wrong(part)),
    };
    let mut parts = text.split('+').map(part).collect::<Result<Vec<_>, _>>()?;
    if parts.len() > MOST {
        return Err(format!("{} voices are to be blended; {MOST} at most would be right", parts.len()));
    }
    let all: f32 = parts.iter().map(|(_, weight)| weight).sum();
    parts.iter_mut().for_each(|(_, weight)| *weight /= all);
    Ok(parts)
}

fn shares(asked: Option<&VoiceInput>, voices: &Voices) -> Result<Vec<(String, f32)>, RequestError> {
    let foreign = || RequestError::Unsupported {
        param: "voice",
        message: "this model speaks with its own voices and blends of them only".to_owned(),
    };
    match asked {
        None => {
            let usual = usual(voices.names().collect::<Vec<_>>().into_iter());
            Ok(usual.map(|name| (name.to_owned(), 1.0)).into_iter().collect())
        }
        Some(VoiceInput::Named(name)) => {
            blend(name).map_err(|message| RequestError::Invalid { param: "voice", message })
        }
        Some(VoiceInput::Blend(parts)) => {
            let part = |(voice, share): &(VoiceInput, f32)| match voice {
                VoiceInput::Named(name) => Ok((name.clone(), *share)),
                VoiceInput::Reference(_) | VoiceInput::Blend(_) | VoiceInput::Cast(_) => Err(foreign()),
            };
            parts.voices().iter().map(part).collect()
        }
        Some(VoiceInput::Reference(_) | VoiceInput::Cast(_)) => Err(foreign()),
    }
}

fn known<'a>(name: &str, voices: &'a Voices) -> Result<&'a Voice, RequestError> {
    voices.get(name).ok_or_else(|| {
        let mut known: Vec<&str> = voices.names().collect();
        let more = format!("and {} more", known.len().saturating_sub(FEW));
        if known.len() > FEW {
            known.truncate(FEW);
            known.push(&more);
        }
        let message = format!("there is no voice {name:?}; there is {}", known.join(", "));
        RequestError::Invalid { param: "voice", message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blend_is_names_with_weights() {
        let blend =
            |text| blend(text).map(|parts| parts.iter().map(|(n, w)| format!("{n} {w:.2}")).collect::<Vec<_>>());
        assert_eq!(blend("af_bella").unwrap(), ["af_bella 1.00"]);
        assert_eq!(blend("af_bella+af_sky").unwrap(), ["af_bella 0.50", "af_sky 0.50"]);
        assert_eq!(blend(" af_bella (3) + af_sky(1) ").unwrap(), ["af_bella 0.75", "af_sky 0.25"]);
        assert_eq!(blend("a(0.5)+b(0.5)").unwrap(), ["a 0.50", "b 0.50"]);
        for wrong in ["a(x)", "a(0)", "a(-1)+b", "a)", "a(inf)"] {
            assert!(blend(wrong).unwrap_err().contains("af_bella(2)+af_sky(1) would be one"), "{wrong}");
        }
        assert!(blend(&["a"; 9].join("+")).unwrap_err().contains("9 voices are to be blended"));
    }

    #[test]
    fn one_voice_is_the_usual_one() {
        assert_eq!(usual(["af_bella", "af_heart"].into_iter()), Some("af_heart"));
        assert_eq!(usual(["am_adam", "bf_emma"].into_iter()), Some("am_adam"));
        assert_eq!(usual(std::iter::empty()), None);
    }
}
