//! Where somebody speaks: by Silero's network where there is one, else by what stands out of the noise.

use std::{path::Path, sync::Arc};

use super::network_file::{NetworkFault, NetworkFile};
use crate::{
    audio::{Excerpt, Pcm, Resampler, VoiceActivity, VoiceDetector, VoiceScore},
    nn::{SileroState, SileroVad},
};

/// Frames in a row that are speech: one alone, 32 ms, is a click.
const SHORTEST: u64 = 2;

/// Finds speech. A clone finds it by the same network.
#[derive(Clone, Default)]
pub struct VoiceDetection(Option<Arc<SileroVad>>);

/// What the network says of one sound.
struct SileroScore {
    network: Arc<SileroVad>,
    state: SileroState,
    rate: u32,
    /// `None`: the sound has a rate that nothing can be brought from, and nobody speaks in it.
    resampler: Option<Resampler>,
    /// At the network's rate, less than a frame.
    pending: Vec<f32>,
}

// === impl VoiceDetection ===

impl VoiceDetection {
    pub(super) fn open(path: &Path) -> Result<Self, NetworkFault> {
        let expected = "silero_vad_16k.safetensors of the package silero-vad";
        let file = NetworkFile { setting: "audio.voice_network", path, expected };
        Ok(Self(Some(Arc::new(file.read(SileroVad::load)?))))
    }

    /// For sound of a rate, in hertz, that comes in piece by piece.
    pub fn detector(&self, rate: u32, settings: VoiceActivity) -> VoiceDetector {
        match &self.0 {
            Some(network) => VoiceDetector::by(Box::new(SileroScore::new(network.clone(), rate)), rate, settings),
            None => VoiceDetector::new(rate, settings),
        }
    }

    /// What is left of a recording when noise and silence are cut out.
    pub fn excerpt(&self, settings: VoiceActivity, pcm: &Pcm) -> Excerpt {
        match &self.0 {
            Some(_) => self.detector(pcm.rate(), settings).excerpt(pcm),
            // Of a whole recording the noise is known from both sides.
            None => settings.excerpt(pcm),
        }
    }
}

// === impl SileroScore ===

impl SileroScore {
    fn new(network: Arc<SileroVad>, rate: u32) -> Self {
        let state = network.begin();
        Self { network, state, rate, resampler: Resampler::new(rate, SileroVad::RATE).ok(), pending: Vec::new() }
    }
}

impl VoiceScore for SileroScore {
    fn push(&mut self, samples: &[f32], tell: &mut dyn FnMut(f32)) {
        let Some(resampler) = &mut self.resampler else { return };
        resampler.push(samples, &mut self.pending);
        let (frames, _) = self.pending.as_chunks();
        frames.iter().for_each(|frame| tell(self.network.probability(frame, &mut self.state)));
        let heard = frames.len() * SileroVad::FRAME;
        self.pending.drain(..heard);
    }

    fn position(&self, moment: u64) -> u64 {
        moment * SileroVad::FRAME as u64 * u64::from(self.rate) / u64::from(SileroVad::RATE)
    }

    fn shortest(&self) -> u64 {
        SHORTEST
    }
}

#[cfg(test)]
mod tests;
