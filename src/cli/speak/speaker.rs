//! Who speaks: a model of this machine, in one manner, passage by passage.

use std::io::Write;

use anyhow::Context;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    app::App,
    audio::Pcm,
    cli::{
        call::{PATIENCE, call},
        progress,
        sound::{SoundError, Stream},
        voices,
    },
    service::{Call, LexiconFile, Service, ServiceError, SpeakRequest, rest_after},
    speech::{SpeechEvent, SynthesizeOptions, TaskKind, VoiceInput},
    text::{Boundary, Markup, TextError, passages},
};

/// Bytes of a passage: some two minutes of speech, which is what is spoken again after an interruption.
const PASSAGE: usize = 2000;

/// How a text is to be spoken.
pub(super) struct Manner<'a> {
    pub voice: Option<&'a str>,
    pub language: Option<String>,
    pub speed: Option<f32>,
    pub seed: Option<u64>,
    pub markup: Markup,
    /// Nobody listens before the end.
    pub patient: bool,
}

/// Who speaks.
pub(super) struct Speaker<'a> {
    service: &'a Service,
    model: Option<String>,
    markup: Markup,
    patient: bool,
    options: SynthesizeOptions,
    /// Of all that decides how a text sounds, beside the text.
    digest: Sha256,
}

/// A part of a text, and what ends with it.
pub(super) type Passage<'t> = (&'t str, Boundary);

/// What came of a passage.
pub(super) enum PassageOutcome {
    Sound,
    /// There is nothing in it to be said, and why.
    Nothing(TextError),
}

/// Why a passage was not said.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpeakError {
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Sound(#[from] SoundError),
    #[error("the speech broke off")]
    BrokeOff,
}

// === impl Speaker ===

impl<'a> Speaker<'a> {
    pub async fn new(app: &'a App, model: Option<String>, manner: Manner<'_>) -> anyhow::Result<Self> {
        let Manner { voice, language, speed, seed, markup, patient } = manner;
        let voice = match voice {
            Some(name) => Some(voices::find(app, model.as_deref(), TaskKind::Synthesize, name).await?),
            None => None,
        };
        let options = SynthesizeOptions { voice, language, speed, seed, ..SynthesizeOptions::default() };
        let digest = digest(app, model.as_deref(), markup, &options)?;
        Ok(Self { service: app.service(), model, markup, patient, options, digest })
    }

    /// The parts of a text that are spoken one by one. SSML is one whole.
    pub fn passages<'t>(&self, text: &'t str) -> Vec<Passage<'t>> {
        let all: Vec<_> = match self.markup {
            Markup::Plain => passages(text, PASSAGE.min(self.service.config().max_text)).collect(),
            Markup::Ssml => Vec::new(),
        };
        if all.is_empty() { vec![(text, Boundary::Paragraph)] } else { all }
    }

    /// What tells the sound of a passage from that of any other, in hexadecimal.
    pub fn key(&self, passage: &str) -> String {
        hex::encode(self.digest.clone().chain_update(passage).finalize())
    }

    /// Says a passage; `hear` gets its sound as it is made.
    pub async fn say(
        &self,
        passage: &str,
        mut hear: impl FnMut(&Pcm) -> Result<(), SoundError>,
    ) -> Result<PassageOutcome, SpeakError> {
        let (markup, options) = (self.markup, self.options.clone());
        let asked =
            SpeakRequest { text: passage.to_owned(), markup, normalize: true, normalize_loudness: None, options };
        let watching = progress::of_models(self.service.lifecycle().watch(), Box::new(|_| None));
        let begun = self.service.speak(self.call(), asked).await;
        drop(watching);
        let mut speaking = match begun {
            Err(ServiceError::Text(error)) if error.is_nothing() => return Ok(PassageOutcome::Nothing(error)),
            begun => begun?,
        };
        if self.patient {
            speaking = speaking.patiently();
        }
        while let Some(piece) = speaking.next().await {
            match piece? {
                SpeechEvent::Audio(pcm) => hear(&pcm)?,
                SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => {}
                SpeechEvent::Done(_) => return Ok(PassageOutcome::Sound),
            }
        }
        Err(SpeakError::BrokeOff)
    }

    /// Says all passages to somebody who may stop listening, which is no fault.
    pub async fn stream<W: Write>(&self, passages: &[Passage<'_>], to: &mut Stream<W>) -> anyhow::Result<()> {
        match self.say_all(passages, to).await {
            Err(SpeakError::Sound(error)) if error.is_broken_pipe() => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// Says all passages; gives what [`Stream::finish`] does.
    pub async fn say_all<W: Write>(
        &self,
        passages: &[Passage<'_>],
        to: &mut Stream<W>,
    ) -> Result<Option<Vec<u8>>, SpeakError> {
        let mut silent = None;
        let mut heard = false;
        for (passage, end) in passages {
            match self.say(passage, |pcm| to.push(pcm)).await? {
                PassageOutcome::Sound => heard = true,
                PassageOutcome::Nothing(error) => silent = Some(error),
            }
            to.rest(rest_after(*end));
        }
        match silent {
            Some(error) if !heard => Err(ServiceError::Text(error).into()),
            _ => Ok(to.finish()?),
        }
    }

    fn call(&self) -> Call {
        let time_limit = Some(PATIENCE); // a player takes as long as the sound is
        Call { time_limit, ..call("speak".to_owned(), self.model.clone()) }
    }
}

fn digest(app: &App, model: Option<&str>, markup: Markup, options: &SynthesizeOptions) -> anyhow::Result<Sha256> {
    let (catalog, config) = (app.catalog(), app.service().config());
    let entry = catalog.resolve_for(model, TaskKind::Synthesize)?;
    let sources: Vec<String> = entry.parts.iter().map(|(part, source)| format!("{part}={source}")).collect();
    let voice = match &options.voice {
        None => None,
        Some(VoiceInput::Named(name)) => Some(name.clone()),
        Some(VoiceInput::Reference(reference)) => Some(reference.sha256.clone()),
        Some(VoiceInput::Blend(_) | VoiceInput::Cast(_)) => None, // nobody can ask for one here
    };
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "sources": sources,
        "voice": voice,
        "language": options.language,
        "speed": options.speed,
        "seed": options.seed,
        "ssml": markup == Markup::Ssml,
        "lexicon": config.lexicon.as_ref().map(LexiconFile::sha256),
        "normalize_loudness": config.normalize_loudness,
    });
    Ok(Sha256::new().chain_update(serde_json::to_vec(&about).context("the options")?))
}
