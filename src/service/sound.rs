//! The sound that comes with a request, at the rate that its family wants.

use std::time::Duration;

use tracing::debug;

use super::{
    Voices,
    error::ServiceError,
    memory::MemoryShare,
    original::Original,
    request::{AudioInput, Recording},
};
use crate::{
    audio::{self, DecodeError, Pcm, UnusableRate, VoiceActivity},
    speech::{Convert, Synthesize, Task, Transcribe, VoiceInput, Warning},
};

/// So much of a file shows whether it is one.
pub(super) const PROBED: Duration = Duration::from_secs(1);

/// A task whose requests may carry sound.
pub trait Sounding: Task + Sized {
    /// Whether all of its sound has this rate.
    fn is_at(&self, rate: u32) -> bool;

    /// The same with its sound at this rate, in hertz. What voices are resampled to is kept.
    fn at(self, rate: u32, voices: &Voices) -> Result<Self, UnusableRate>;

    /// Of text that is to be spoken.
    fn characters(&self) -> usize {
        0
    }
}

/// The sound of what somebody sent, at most `longest`, and what was amiss with it; it takes its memory from the share.
pub(super) fn decode(
    audio: AudioInput,
    rate: u32,
    longest: Duration,
    share: &mut MemoryShare,
) -> Result<(Pcm, Vec<Warning>), ServiceError> {
    match audio {
        AudioInput::Encoded(Recording { bytes, hint }) => decode_file(&bytes, hint.as_deref(), rate, longest, share),
        AudioInput::Samples(pcm) if pcm.seconds() <= longest.as_secs_f64() => {
            // The samples themselves are the request's; a copy without what is no number, and one at the right rate.
            let copy = size_of_val(pcm.samples());
            share.resize(copy.saturating_add((pcm.seconds() * f64::from(rate)) as usize * size_of::<f32>()))?;
            Ok((audio::conform(pcm, rate, longest)?, Vec::new()))
        }
        AudioInput::Samples(_) => Err(DecodeError::TooLong { limit: longest }.into()),
    }
}

fn decode_file(
    bytes: &[u8],
    hint: Option<&str>,
    rate: u32,
    longest: Duration,
    share: &mut MemoryShare,
) -> Result<(Pcm, Vec<Warning>), ServiceError> {
    let mut refusal = None;
    let mut room = |bytes| match share.resize(bytes) {
        Ok(()) => true,
        Err(reason) => {
            refusal = Some(reason);
            false
        }
    };
    let decoded = audio::decode_within(bytes, hint, rate, longest, &mut room);
    match (decoded, refusal) {
        (Err(DecodeError::NoRoom), Some(reason)) => Err(reason.into()),
        (decoded, _) => {
            let decoded = decoded?;
            debug!(container = decoded.source.container, codec = decoded.source.codec, "decoded");
            let warnings = decoded.truncated.then_some(Warning::TRUNCATED).into_iter().collect();
            Ok((decoded.pcm, warnings))
        }
    }
}

/// What is to be heard of a recording, and the recording: an excerpt is a copy.
pub(super) fn cut(
    (pcm, warnings): (Pcm, Vec<Warning>),
    voice_activity: Option<VoiceActivity>,
    mut share: MemoryShare,
) -> Result<(Pcm, Original), ServiceError> {
    let bytes = size_of_val(pcm.samples());
    if voice_activity.is_some() {
        share.resize(2 * bytes)?;
    }
    let (pcm, original) = Original::cut(pcm, voice_activity);
    share.resize(size_of_val(pcm.samples()))?;
    Ok((pcm, original.holding(share).warned(warnings)))
}

fn pcm_at(pcm: Pcm, rate: u32) -> Result<Pcm, UnusableRate> {
    if pcm.rate() == rate { Ok(pcm) } else { audio::resample(&pcm, rate) }
}

fn voice_is_at(voice: Option<&VoiceInput>, rate: u32) -> bool {
    voice.into_iter().flat_map(VoiceInput::references).all(|reference| reference.audio.rate() == rate)
}

fn voice_at(mut voice: Option<VoiceInput>, rate: u32, voices: &Voices) -> Result<Option<VoiceInput>, UnusableRate> {
    for reference in voice.iter_mut().flat_map(VoiceInput::references_mut) {
        reference.audio = voices.at_rate(reference, rate)?;
    }
    Ok(voice)
}

// === impl Sounding ===

impl Sounding for Transcribe {
    fn is_at(&self, rate: u32) -> bool {
        self.audio.rate() == rate
    }

    fn at(self, rate: u32, _voices: &Voices) -> Result<Self, UnusableRate> {
        Ok(Self { audio: pcm_at(self.audio, rate)?, ..self })
    }
}

impl Sounding for Synthesize {
    fn is_at(&self, rate: u32) -> bool {
        voice_is_at(self.options.voice.as_ref(), rate)
    }

    fn at(mut self, rate: u32, voices: &Voices) -> Result<Self, UnusableRate> {
        self.options.voice = voice_at(self.options.voice, rate, voices)?;
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

    fn at(mut self, rate: u32, voices: &Voices) -> Result<Self, UnusableRate> {
        self.options.voice = voice_at(self.options.voice, rate, voices)?;
        Ok(Self { audio: pcm_at(self.audio, rate)?, ..self })
    }
}
