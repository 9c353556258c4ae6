//! How texts are spoken, and how clients say so.

use std::sync::Arc;

use serde_json::Value;

use super::{
    format::SoundFormat,
    session::{Format, Output},
};
use crate::{
    http::{
        native::{speak::SpeakFields, voice::AskedVoice},
        problem::Problem,
    },
    speech::Kind,
};

/// The one modality that there is.
pub(super) const AUDIO: &str = "audio";

/// How texts are spoken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OutputSettings {
    pub format: SoundFormat,
    pub model: Option<String>,
    /// As the client names it.
    pub voice: Option<Value>,
    pub language: Option<String>,
    pub speed: Option<f32>,
    pub instructions: Option<String>,
}

// === impl OutputSettings ===

impl Default for OutputSettings {
    fn default() -> Self {
        Self { format: SoundFormat::Pcm, model: None, voice: None, language: None, speed: None, instructions: None }
    }
}

impl OutputSettings {
    /// What a session or a response wants otherwise. `of`: which of the two, as its fields are named to the client.
    pub fn update(
        &mut self,
        of: &str,
        instructions: Option<String>,
        modalities: Option<Vec<String>>,
        output: Option<Output>,
    ) -> Result<(), Problem> {
        if let Some(modalities) = modalities.filter(|given| *given != [AUDIO]) {
            let param = format!("{of}.output_modalities");
            let message = format!("{param} is {modalities:?}; [{AUDIO:?}] would be right, which comes with the text");
            return Err(Problem::new(Kind::Unsupported, message).about(&param));
        }
        self.instruct(instructions);
        let Some(Output { format, voice, speed, language }) = output else { return Ok(()) };
        let of = format!("{of}.audio.output");
        if let Some(format) = format {
            self.format = format.read(&format!("{of}.format"))?;
        }
        self.language = language.or_else(|| self.language.take());
        self.speak(&of, voice, speed)
    }

    /// The same in the words of the beta.
    pub fn update_beta(
        &mut self,
        of: &str,
        instructions: Option<String>,
        voice: Option<Value>,
        format: Option<String>,
        speed: Option<f32>,
    ) -> Result<(), Problem> {
        if let Some(format) = format {
            self.format = SoundFormat::named(&format!("{of}.output_audio_format"), &format, SoundFormat::beta_name)?;
        }
        self.instruct(instructions);
        self.speak(of, voice, speed)
    }

    fn instruct(&mut self, instructions: Option<String>) {
        if let Some(instructions) = instructions {
            self.instructions = Some(instructions).filter(|instructions| !instructions.trim().is_empty());
        }
    }

    fn speak(&mut self, of: &str, voice: Option<Value>, speed: Option<f32>) -> Result<(), Problem> {
        let within = |problem: Problem| {
            let param = problem.param.as_deref().map(|param| format!("{of}.{param}"));
            param.map_or(problem.clone(), |param| problem.about(&param))
        };
        if let Some(voice) = voice {
            AskedVoice::read(&Arc::new(voice.clone())).map_err(within)?;
            self.voice = Some(voice);
        }
        let fields = SpeakFields { speed, ..SpeakFields::default() }.checked().map_err(within)?;
        self.speed = fields.speed.or(self.speed);
        Ok(())
    }

    /// As a client is told.
    pub fn shown(&self) -> Output {
        let Self { format, voice, language, speed, .. } = self.clone();
        Output { format: Some(Format::shown(format)), voice, speed, language }
    }
}
