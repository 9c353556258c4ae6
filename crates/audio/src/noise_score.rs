//! How certain it is that somebody speaks, for sound that still comes in: as [`VoiceActivity`](super::VoiceActivity) measures
//! it, but it knows what was, and nothing of what follows.
//!
//! Noise is what one has heard so far. At the very beginning that may be speech, so for the first second noise is taken to
//! be no louder than a quiet room is; who begins in more noise than that counts as speaking until it is known for noise.

use std::collections::VecDeque;

use super::{
    voice::{AROUND, BIAS, Bands, COUNT, DYNAMICS, FRAMES, INAUDIBLE, MOMENT, Powers, SHORTEST, certainty, noise},
    voice_score::VoiceScore,
};

/// Noise is what one looks at for so many frames before.
const BEFORE: usize = 2 * AROUND * FRAMES;
/// For so many frames too little is known to tell noise from speech.
const EARLY: u64 = FRAMES as u64;
/// The most that noise is taken to be for so long, in each band: -50 dB of full scale.
const ROOM: f32 = 1e-5;
/// Frames after which the noise is measured anew.
const RENEW: u64 = 10;

/// Weighs each moment against the noise of the seconds before. It holds less than 42 ms of the sound, and the powers of the
/// last seconds.
pub(super) struct NoiseScore {
    rate: u32,
    hop: usize,
    bands: Bands,
    /// Sound of which a frame is still to come.
    pending: Vec<f32>,
    /// Frames so far.
    frames: u64,
    /// The last [`MOMENT`] frames.
    recent: VecDeque<[f32; COUNT]>,
    /// What was heard before, in moments.
    heard: VecDeque<[f32; COUNT]>,
    noise: [f32; COUNT],
    loudest: f32,
}

// === impl NoiseScore ===

impl NoiseScore {
    /// `rate` in hertz.
    pub fn new(rate: u32) -> Self {
        let hop = (rate as usize / FRAMES).max(1);
        let mut bands = Bands::new(rate, hop);
        // Frames lie within the sound.
        bands.stft = bands.stft.with_lead(0);
        Self {
            rate,
            hop,
            bands,
            pending: Vec::new(),
            frames: 0,
            recent: VecDeque::new(),
            heard: VecDeque::new(),
            noise: [INAUDIBLE; COUNT],
            loudest: 0.0,
        }
    }

    fn frame(&mut self, power: [f32; COUNT]) -> f32 {
        self.recent.push_back(power);
        if self.recent.len() > MOMENT {
            self.recent.pop_front();
        }
        let moment = std::array::from_fn(|band| {
            self.recent.iter().map(|frame| frame[band]).sum::<f32>() / self.recent.len() as f32
        });
        self.remember(moment);
        self.frames += 1;
        certainty(&moment, &self.noise)
    }

    fn remember(&mut self, moment: [f32; COUNT]) {
        self.loudest = moment.iter().copied().fold(self.loudest, f32::max);
        self.heard.push_back(moment);
        if self.heard.len() > BEFORE {
            self.heard.pop_front();
        }
        if self.frames.is_multiple_of(RENEW) || self.frames < RENEW {
            let silence = (self.loudest * DYNAMICS).max(INAUDIBLE);
            self.noise = noise(self.heard.make_contiguous(), silence);
        }
        if self.frames < EARLY {
            self.noise = self.noise.map(|band| band.min(ROOM * BIAS));
        }
    }
}

impl VoiceScore for NoiseScore {
    fn push(&mut self, samples: &[f32], tell: &mut dyn FnMut(f32)) {
        self.pending.extend(samples);
        let frames = self.bands.stft.frames(self.pending.len());
        let mut powers = Powers::with_capacity(frames);
        self.bands.powers(&self.pending, &mut powers);
        self.pending.drain(..frames * self.hop);
        powers.into_iter().for_each(|power| tell(self.frame(power)));
    }

    /// In the middle of its frames.
    fn position(&self, moment: u64) -> u64 {
        let middle = self.rate as u64 * 16 / 1000;
        (moment * self.hop as u64 + middle).saturating_sub((MOMENT / 2 * self.hop) as u64)
    }

    fn shortest(&self) -> u64 {
        SHORTEST as u64
    }
}
