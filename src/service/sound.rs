//! The sound that comes with a request, at the rate that its family wants.

use std::time::Duration;

use tracing::debug;

use super::{
    Voices,
    diarization::DiarizationAsk,
    error::ServiceError,
    memory::{MemoryBudget, MemoryShare},
    original::{DecodedSound, Original},
    request::{AudioInput, Recording},
};
use crate::{
    audio::{self, DecodeError, Pcm, UnusableRate, VoiceActivity},
    listening::VoiceDetection,
    speech::{Channels, Convert, Synthesize, Task, Transcribe, VoiceInput, Warning},
};

/// The channels of what somebody sent, or all of them as one, and what was amiss with it.
#[derive(Debug)]
pub(super) struct Decoded {
    pub channels: Vec<Pcm>,
    pub warnings: Vec<Warning>,
}

/// What is to be heard of a recording.
#[derive(Clone, Debug)]
pub(super) struct Hearing {
    pub audio: AudioInput,
    pub channels: Channels,
    /// Nothing but what this finds to be speech.
    pub voice_activity: Option<VoiceActivity>,
    /// Whether it is told who says what.
    pub diarization: Option<DiarizationAsk>,
}

/// A recording on its way to a model.
pub(super) enum Sound {
    /// As it came in.
    Undecoded(Hearing),
    Decoded(Vec<DecodedSound>),
}

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

/// The sound of what somebody sent, at most `longest` over all channels that are told apart; it takes its memory from the
/// share.
pub(super) fn decode(
    audio: AudioInput,
    channels: Channels,
    rate: u32,
    longest: Duration,
    share: &mut MemoryShare,
) -> Result<Decoded, ServiceError> {
    match audio {
        AudioInput::Encoded(Recording { bytes, hint }) => {
            decode_file(&bytes, hint.as_deref(), channels, rate, longest, share)
        }
        // Nobody sends samples of several channels that are to be told apart.
        AudioInput::Samples(pcm) if pcm.seconds() <= longest.as_secs_f64() => {
            // The samples themselves are the request's; a copy without what is no number, and one at the right rate.
            let copy = size_of_val(pcm.samples());
            share.resize(copy.saturating_add((pcm.seconds() * f64::from(rate)) as usize * size_of::<f32>()))?;
            Ok(Decoded { channels: vec![audio::conform(pcm, rate, longest)?], warnings: Vec::new() })
        }
        AudioInput::Samples(_) => Err(DecodeError::TooLong { limit: longest }.into()),
    }
}

fn decode_file(
    bytes: &[u8],
    hint: Option<&str>,
    channels: Channels,
    rate: u32,
    longest: Duration,
    share: &mut MemoryShare,
) -> Result<Decoded, ServiceError> {
    let mut refusal = None;
    let mut room = |bytes| match share.resize(bytes) {
        Ok(()) => true,
        Err(reason) => {
            refusal = Some(reason);
            false
        }
    };
    let decoded = match channels {
        Channels::Mix => audio::decode_within(bytes, hint, rate, longest, &mut room)
            .map(|audio::Decoded { pcm, source, truncated }| audio::Apart { channels: vec![pcm], source, truncated }),
        Channels::Separate => audio::decode_apart(bytes, hint, rate, longest, &mut room),
    };
    match (decoded, refusal) {
        (Err(DecodeError::NoRoom), Some(reason)) => Err(reason.into()),
        (decoded, _) => {
            let audio::Apart { channels, source, truncated } = decoded?;
            debug!(container = source.container, codec = source.codec, channels = channels.len(), "decoded");
            Ok(Decoded { channels, warnings: truncated.then_some(Warning::TRUNCATED).into_iter().collect() })
        }
    }
}

/// What is to be made of a recording that was decoded.
pub(super) struct Cut {
    pub channels: Channels,
    pub voice_activity: Option<VoiceActivity>,
    pub diarization: Option<DiarizationAsk>,
    pub voices: VoiceDetection,
    /// For what finds the speakers.
    pub memory: MemoryBudget,
}

/// What is to be heard of a recording, and the recording: an excerpt is a copy.
pub(super) fn cut(
    Decoded { channels, warnings }: Decoded,
    asked: Cut,
    mut share: MemoryShare,
) -> Result<Vec<DecodedSound>, ServiceError> {
    let Cut { channels: told_apart, voice_activity, diarization, voices, memory } = asked;
    let bytes = |pcm: &Pcm| size_of_val(pcm.samples());
    let diarization = match (diarization, channels.first()) {
        (Some(ask), Some(pcm)) => Some(ask.start(pcm, &memory)?),
        _ => None,
    };
    if voice_activity.is_some() {
        let longest = channels.iter().map(bytes).max().unwrap_or_default();
        share.resize(channels.iter().map(bytes).sum::<usize>() + longest)?;
    }
    let cut = |(at, pcm)| {
        let (pcm, original) = Original::cut(pcm, voice_activity.map(|activity| (activity, &voices)));
        (pcm, if told_apart == Channels::Separate { original.on(at) } else { original })
    };
    let mut heard: Vec<DecodedSound> = channels.into_iter().enumerate().map(cut).collect();
    share.resize(heard.iter().map(|(pcm, _)| bytes(pcm)).sum())?;
    // They end together, so that one of them holds what is of all.
    if let Some((_, original)) = heard.first_mut() {
        original.hold(share, warnings, diarization);
    }
    Ok(heard)
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

// === impl Hearing ===

impl Hearing {
    /// All of it, as one channel.
    pub fn of(audio: AudioInput) -> Self {
        Self { audio, channels: Channels::Mix, voice_activity: None, diarization: None }
    }
}

// === impl Sound ===

impl Sound {
    /// Seconds of all channels, as far as they are known.
    pub fn seconds(&self) -> f64 {
        match self {
            Self::Undecoded(_) => 0.0,
            Self::Decoded(heard) => heard.iter().map(|(_, original)| original.seconds).sum(),
        }
    }
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
