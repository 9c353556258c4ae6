//! Who speaks where the model that is asked cannot be loaded, and what of the request reaches it. Decides, and does nothing.

use super::{ServiceError, SpeakRequest};
use crate::{
    catalog::{Catalog, Entry},
    lifecycle::Unavailable,
    model::Availability,
    speech::VoiceInput,
};

/// A request for another model than the one that it was made for.
#[derive(Clone, Debug)]
pub(super) struct Substitute {
    pub asked: SpeakRequest,
    /// Fields of the request that the other model knows nothing of.
    pub ignored: Vec<&'static str>,
}

/// Whether a model is out of reach, and not on its way, in line or busy.
pub(super) fn out_of_reach(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Model(Unavailable::Failed { .. } | Unavailable::WontFit { .. }))
}

/// Those who may speak in the place of a model, in order, as far as they can be served here. The configuration is held to
/// name no circle.
pub(super) fn speakers<'a>(catalog: &'a Catalog, entry: &'a Entry) -> impl Iterator<Item = &'a Entry> {
    let next = |entry: &&'a Entry| {
        let name = entry.fallback.as_ref()?;
        catalog.entries().find(|other| other.name == *name)
    };
    let all = std::iter::successors(next(&entry), next);
    all.filter(|speaker| speaker.availability == Availability::Available)
}

/// What was asked of one model, as another can be asked it.
pub(super) fn substitute(mut asked: SpeakRequest, of: &Entry, speaker: &Entry) -> Substitute {
    let family = |entry: &Entry| entry.family.map(|family| family.name());
    let (akin, mut ignored) = (family(of).is_some() && family(of) == family(speaker), Vec::new());
    let options = &mut asked.options;
    let keeps = |voice: &VoiceInput| match voice {
        VoiceInput::Named(name) => speaker.has_voice(name) == Some(true),
        VoiceInput::Reference(_) | VoiceInput::Blend(_) | VoiceInput::Cast(_) => akin,
    };
    if options.voice.take_if(|voice| !keeps(voice)).is_some() {
        ignored.push("voice");
    }
    if !akin && !options.options.is_empty() {
        options.options.clear();
        ignored.push("options");
    }
    let makes = |stem: &String| speaker.family.is_some_and(|family| family.stems().contains(&stem.as_str()));
    if !options.stems.iter().all(makes) {
        options.stems.clear();
        ignored.push("stems");
    }
    let follows = speaker.family.is_some_and(|family| family.follows_instructions());
    if options.instructions.is_some() && !follows {
        ignored.push("instructions");
    }
    Substitute { asked, ignored }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use serde_json::json;

    use super::*;
    use crate::{
        audio::Pcm,
        catalog::{Config, ModelConfig},
        speech::{ModelName, ReferenceVoice, SynthesizeOptions},
        text::Markup,
    };

    /// Of models by name, and who speaks in their place.
    fn catalog(models: &[(&str, &str)]) -> Catalog {
        let model = |(name, fallback): &(&str, &str)| ModelConfig {
            name: (*name).to_owned(),
            fallback: Some((*fallback).to_owned()),
            ..ModelConfig::default()
        };
        Catalog::new(&Config { models: models.iter().map(model).collect(), ..Config::default() }).unwrap()
    }

    fn asked(voice: Option<VoiceInput>) -> SpeakRequest {
        let knobs = json!({"exaggeration": 1.0}).as_object().unwrap().clone();
        let instructions = Some("softly".to_owned());
        let options = SynthesizeOptions { voice, instructions, options: knobs, ..SynthesizeOptions::default() };
        SpeakRequest {
            text: "Hello.".into(),
            markup: Markup::Plain,
            normalize: true,
            normalize_loudness: None,
            options,
        }
    }

    #[test]
    fn only_what_cannot_be_loaded_is_out_of_reach() {
        let model = || ModelName::known("a");
        let failed =
            |permanent| Unavailable::Failed { model: model(), reason: String::new(), retry_after: None, permanent };
        let device = "cpu".to_owned();
        let too_large = Unavailable::WontFit { model: model(), need: 2.into(), budget: 1, device };
        for error in [failed(true), failed(false), too_large] {
            assert!(out_of_reach(&error.into()));
        }
        let retry_after = Duration::ZERO;
        let loading = Unavailable::NotYet { model: model(), doing: "loading".to_owned(), retry_after, eta: None };
        let crowded = Unavailable::Crowded { model: model(), waiting: 9, retry_after };
        let no_room = Unavailable::NoRoom { model: model(), reason: String::new(), retry_after, eta: None };
        for error in [loading, crowded, no_room, Unavailable::Stopping, Unavailable::NotServed { model: model() }] {
            assert!(!out_of_reach(&error.into()));
        }
        assert!(!out_of_reach(&ServiceError::Internal("")));
    }

    #[test]
    fn the_next_that_can_be_served_speaks() {
        // No program is found where no path is known.
        let catalog = catalog(&[("chatterbox", "espeak-ng"), ("espeak-ng", "lark.en")]);
        let of = |name| {
            let entry = catalog.resolve(Some(name)).unwrap();
            speakers(&catalog, entry).map(|speaker| speaker.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("chatterbox"), ["sconce/lark.en"]);
        assert_eq!(of("lark.en"), [""; 0]);
    }

    #[test]
    fn what_the_other_model_knows_nothing_of_is_left_out_and_told() {
        let catalog = catalog(&[("chatterbox", "lark.en"), ("chatterbox-turbo", "chatterbox")]);
        let entry = |name| catalog.resolve(Some(name)).unwrap();
        let (chatterbox, turbo, lark) = (entry("chatterbox"), entry("chatterbox-turbo"), entry("lark.en"));
        let named = |name: &str| Some(VoiceInput::Named(name.to_owned()));
        let of_lark = |voice| substitute(asked(voice), chatterbox, lark);
        let own = of_lark(named("lark"));
        assert_eq!((own.ignored, own.asked.options.voice), (vec!["options", "instructions"], named("lark")));
        let other = of_lark(named("anna"));
        assert_eq!((other.ignored, other.asked.options.voice), (vec!["voice", "options", "instructions"], None));
        assert!(other.asked.options.options.is_empty());
        let audio = Arc::new(Pcm::new(vec![0.1; 10], 16_000));
        let reference = VoiceInput::Reference(ReferenceVoice { audio, sha256: String::new(), transcript: None });
        assert_eq!(of_lark(Some(reference.clone())).ignored, ["voice", "options", "instructions"]);
        let akin = substitute(asked(Some(reference.clone())), turbo, chatterbox);
        assert_eq!((akin.ignored, akin.asked.options.voice), (vec!["instructions"], Some(reference)));
        assert_eq!(akin.asked.options.options.len(), 1);
    }
}
