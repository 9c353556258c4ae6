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
    audio::{self, DecodeError, Pcm, Selection, UnusableRate, VoiceActivity},
    listening::VoiceDetection,
    speech::{Channels, Convert, Part, Synthesize, Task, Tracks, Transcribe, VoiceInput, Warning},
};

/// The channels of what somebody sent, or all of them as one, and what was amiss with it.
#[derive(Debug)]
pub(super) struct Decoded {
    pub channels: Vec<Pcm>,
    pub warnings: Vec<Warning>,
}

/// What is decoded of a recording in one go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Excerpt {
    pub selection: Selection,
    /// Hertz.
    pub rate: u32,
    /// At most, over all channels that are told apart.
    pub longest: Duration,
}

/// All that is to be heard of a recording, part by part. There is one at least.
pub(super) struct Parted {
    pub sounds: Vec<(Part, Pcm)>,
    pub warnings: Vec<Warning>,
    pub share: MemoryShare,
}

/// What is to be heard of a recording.
#[derive(Clone, Debug)]
pub(super) struct Hearing {
    pub audio: AudioInput,
    pub channels: Channels,
    pub tracks: Tracks,
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

/// The sound of what somebody sent; it takes its memory from the share.
pub(super) fn decode(audio: AudioInput, excerpt: Excerpt, share: &mut MemoryShare) -> Result<Decoded, ServiceError> {
    let Excerpt { selection, rate, longest } = excerpt;
    match audio {
        AudioInput::Encoded(Recording { bytes, hint }) => decode_file(&bytes, hint.as_deref(), excerpt, share),
        AudioInput::Samples(pcm) if pcm.seconds() > longest.as_secs_f64() => {
            Err(DecodeError::TooLong { limit: longest }.into())
        }
        // Nobody sends samples of several channels that are to be told apart, nor of several tracks.
        AudioInput::Samples(pcm) => match selection.track {
            Some(track) if track > 0 => Err(DecodeError::NoSuchTrack { track, tracks: Some(1) }.into()),
            _ => {
                // The samples themselves are the request's; a copy without what is no number, and one at the right rate.
                let copy = size_of_val(pcm.samples());
                share.resize(copy.saturating_add((pcm.seconds() * f64::from(rate)) as usize * size_of::<f32>()))?;
                Ok(Decoded { channels: vec![audio::conform(&pcm, rate, longest)?], warnings: Vec::new() })
            }
        },
    }
}

fn decode_file(
    bytes: &[u8],
    hint: Option<&str>,
    Excerpt { selection, rate, longest }: Excerpt,
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
    let decoded = audio::decode_selected(bytes, hint, rate, longest, selection, &mut room);
    match (decoded, refusal) {
        (Err(DecodeError::NoRoom), Some(reason)) => Err(reason.into()),
        (decoded, _) => {
            let audio::Selected { channels, source, truncated } = decoded?;
            debug!(container = source.container, codec = source.codec, channels = channels.len(), "decoded");
            Ok(Decoded { channels, warnings: truncated.then_some(Warning::TRUNCATED).into_iter().collect() })
        }
    }
}

/// What is to be made of a recording that was decoded.
pub(super) struct Cut {
    pub voice_activity: Option<VoiceActivity>,
    pub diarization: Option<DiarizationAsk>,
    pub voices: VoiceDetection,
    /// For what finds the speakers.
    pub memory: MemoryBudget,
}

/// What is to be heard of a recording, and the recording: an excerpt is a copy.
pub(super) fn cut(
    Parted { sounds, warnings, mut share }: Parted,
    Cut { voice_activity, diarization, voices, memory }: Cut,
) -> Result<Vec<DecodedSound>, ServiceError> {
    let bytes = |pcm: &Pcm| size_of_val(pcm.samples());
    let diarization = match (diarization, sounds.first()) {
        (Some(ask), Some((_, pcm))) => Some(ask.start(pcm, &memory)?),
        _ => None,
    };
    if voice_activity.is_some() {
        let each = sounds.iter().map(|(_, pcm)| bytes(pcm));
        let longest = each.clone().max().unwrap_or_default();
        share.resize(each.sum::<usize>() + longest)?;
    }
    let cut = |(part, pcm)| {
        let (pcm, original) = Original::cut(pcm, voice_activity.map(|activity| (activity, &voices)));
        (pcm, original.on(part))
    };
    let mut heard: Vec<DecodedSound> = sounds.into_iter().map(cut).collect();
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
    /// All of it that a player would play, as one channel.
    pub fn of(audio: AudioInput) -> Self {
        Self { audio, channels: Channels::Mix, tracks: Tracks::Auto, voice_activity: None, diarization: None }
    }
}

// === impl Sound ===

impl Sound {
    /// Seconds of all parts, as far as they are known.
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
