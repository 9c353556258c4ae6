//! The sound that comes with a request, at the rate that its family wants.

use std::{sync::Arc, time::Duration};

use super::{AudioInput, Recording};
use crate::{
    audio::{self, DecodeError, Pcm, UnusableRate},
    speech::{Convert, Synthesize, Task, Transcribe, VoiceInput},
};

/// Hertz at which a recording is looked at whose model does not matter.
pub(super) const ANY_RATE: u32 = 16_000;

/// A task whose requests may carry sound.
pub trait Sounding: Task + Sized {
    /// Whether all of its sound has this rate.
    fn is_at(&self, rate: u32) -> bool;

    /// The same with its sound at this rate, in hertz.
    fn at(self, rate: u32) -> Result<Self, UnusableRate>;

    /// Of text that is to be spoken.
    fn characters(&self) -> usize {
        0
    }
}

/// The sound of what somebody sent, at most `longest`.
pub(super) fn decode(audio: AudioInput, rate: u32, longest: Duration) -> Result<Pcm, DecodeError> {
    match audio {
        AudioInput::Encoded(Recording { bytes, hint }) => {
            Ok(audio::decode(&bytes, hint.as_deref(), rate, longest)?.pcm)
        }
        AudioInput::Samples(pcm) => audio::conform(pcm, rate, longest),
    }
}

fn pcm_at(pcm: Pcm, rate: u32) -> Result<Pcm, UnusableRate> {
    if pcm.rate() == rate { Ok(pcm) } else { audio::resample(&pcm, rate) }
}

fn voice_is_at(voice: Option<&VoiceInput>, rate: u32) -> bool {
    voice.into_iter().flat_map(VoiceInput::references).all(|reference| reference.audio.rate() == rate)
}

fn voice_at(mut voice: Option<VoiceInput>, rate: u32) -> Result<Option<VoiceInput>, UnusableRate> {
    let references = voice.iter_mut().flat_map(VoiceInput::references_mut);
    for reference in references.filter(|reference| reference.audio.rate() != rate) {
        reference.audio = Arc::new(audio::resample(&reference.audio, rate)?);
    }
    Ok(voice)
}

// === impl Sounding ===

impl Sounding for Transcribe {
    fn is_at(&self, rate: u32) -> bool {
        self.audio.rate() == rate
    }

    fn at(self, rate: u32) -> Result<Self, UnusableRate> {
        Ok(Self { audio: pcm_at(self.audio, rate)?, ..self })
    }
}

impl Sounding for Synthesize {
    fn is_at(&self, rate: u32) -> bool {
        voice_is_at(self.options.voice.as_ref(), rate)
    }

    fn at(mut self, rate: u32) -> Result<Self, UnusableRate> {
        self.options.voice = voice_at(self.options.voice, rate)?;
        Ok(self)
    }

    fn characters(&self) -> usize {
        self.text.chars().count()
    }
}

impl Sounding for Convert {
    fn is_at(&self, rate: u32) -> bool {
        self.audio.rate() == rate && voice_is_at(self.options.voice.as_ref(), rate)
    }

    fn at(mut self, rate: u32) -> Result<Self, UnusableRate> {
        self.options.voice = voice_at(self.options.voice, rate)?;
        Ok(Self { audio: pcm_at(self.audio, rate)?, ..self })
    }
}
