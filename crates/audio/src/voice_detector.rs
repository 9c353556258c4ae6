//! Where somebody speaks, for sound that still comes in: the detector of [`VoiceActivity`], but it knows what was, and nothing of what follows.
//!
//! Noise is what one has heard so far. At the very beginning that may be speech, so for the first second noise is taken to
//! be no louder than a quiet room is; who begins in more noise than that counts as speaking until it is known for noise.

use std::collections::VecDeque;

use super::voice::{
    AROUND, BIAS, Bands, COUNT, DYNAMICS, FRAMES, INAUDIBLE, MOMENT, Powers, SHORTEST, VoiceActivity, certainty, noise,
};

/// Noise is what one looks at for so many frames before.
const BEFORE: usize = 2 * AROUND * FRAMES;
/// For so many frames too little is known to tell noise from speech.
const EARLY: u64 = FRAMES as u64;
/// The most that noise is taken to be for so long, in each band: -50 dB of full scale.
const ROOM: f32 = 1e-5;
/// Frames after which the noise is measured anew.
const RENEW: u64 = 10;
/// Who speaks goes on speaking where it is a little less certain: by so much of the threshold.
const STAYS: f32 = 0.7;

/// Tells of sound that comes in piece by piece when somebody begins to speak and when they have stopped. It holds less
/// than 42 ms of the sound, and the powers of the last seconds. How the sound is cut into pieces makes no difference.
pub struct VoiceDetector {
    settings: VoiceActivity,
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
    /// Moments of speech in a row.
    run: u64,
    speaks: bool,
    /// The moment after the last one of speech.
    quiet_since: u64,
}

/// Somebody begins to speak, or has stopped. Positions are in samples from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceChange {
    /// Here speech begins; what is kept before it is not counted in.
    Started(u64),
    /// Here the pause that ends speech is over.
    Stopped(u64),
}

// === impl VoiceDetector ===

impl VoiceDetector {
    /// `rate` in hertz.
    pub fn new(rate: u32, settings: VoiceActivity) -> Self {
        let hop = (rate as usize / FRAMES).max(1);
        let mut bands = Bands::new(rate, hop);
        // Frames lie within the sound.
        bands.stft = bands.stft.with_lead(0);
        Self {
            settings,
            rate,
            hop,
            bands,
            pending: Vec::new(),
            frames: 0,
            recent: VecDeque::new(),
            heard: VecDeque::new(),
            noise: [INAUDIBLE; COUNT],
            loudest: 0.0,
            run: 0,
            speaks: false,
            quiet_since: 0,
        }
    }

    /// From here on other settings hold; what is known of the noise stays.
    pub fn set(&mut self, settings: VoiceActivity) {
        self.settings = settings;
    }

    /// Whether somebody speaks.
    pub fn speaks(&self) -> bool {
        self.speaks
    }

    /// Nobody speaks now, whatever was said: the next word begins anew.
    pub fn rest(&mut self) {
        (self.speaks, self.run) = (false, 0);
    }

    /// Listens to what follows.
    pub fn push(&mut self, samples: &[f32], mut tell: impl FnMut(VoiceChange)) {
        self.pending.extend(samples);
        let frames = self.bands.stft.frames(self.pending.len());
        let mut powers = Powers::with_capacity(frames);
        self.bands.powers(&self.pending, &mut powers);
        self.pending.drain(..frames * self.hop);
        for power in powers {
            if let Some(change) = self.frame(power) {
                tell(change);
            }
        }
    }

    fn frame(&mut self, power: [f32; COUNT]) -> Option<VoiceChange> {
        self.recent.push_back(power);
        if self.recent.len() > MOMENT {
            self.recent.pop_front();
        }
        let moment = std::array::from_fn(|band| {
            self.recent.iter().map(|frame| frame[band]).sum::<f32>() / self.recent.len() as f32
        });
        self.remember(moment);
        self.frames += 1;
        let level = self.settings.threshold * if self.speaks { STAYS } else { 1.0 };
        self.run = if certainty(&moment, &self.noise) >= level { self.run + 1 } else { 0 };
        if self.run >= SHORTEST as u64 {
            self.quiet_since = self.frames;
            let begins = !std::mem::replace(&mut self.speaks, true);
            return begins.then(|| VoiceChange::Started(self.position(self.frames - self.run)));
        }
        let end = self.position(self.quiet_since) + self.samples(self.settings.silence);
        if self.speaks && self.position(self.frames) >= end {
            self.speaks = false;
            return Some(VoiceChange::Stopped(end));
        }
        None
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

    /// Where a moment is: in the middle of its frames.
    fn position(&self, frame: u64) -> u64 {
        let middle = self.rate as u64 * 16 / 1000;
        (frame * self.hop as u64 + middle).saturating_sub((MOMENT / 2 * self.hop) as u64)
    }

    fn samples(&self, time: std::time::Duration) -> u64 {
        (time.as_secs_f64() * f64::from(self.rate)).round() as u64
    }
}
