//! When somebody begins to speak and when they have stopped, for sound that comes in piece by piece.

use std::ops::Range;

use super::{
    Pcm,
    noise_score::NoiseScore,
    voice::{Excerpt, VoiceActivity},
    voice_score::VoiceScore,
};

/// Who speaks goes on speaking where it is a little less certain: by so much of the threshold.
const STAYS: f32 = 0.7;

/// Tells of sound that comes in piece by piece when somebody begins to speak and when they have stopped. How the sound is cut
/// into pieces makes no difference.
pub struct VoiceDetector {
    settings: VoiceActivity,
    rate: u32,
    score: Box<dyn VoiceScore>,
    /// Moments so far.
    moments: u64,
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
    /// What stands out of the noise is speech. `rate` in hertz.
    pub fn new(rate: u32, settings: VoiceActivity) -> Self {
        Self::by(Box::new(NoiseScore::new(rate)), rate, settings)
    }

    /// What somebody else says is speech.
    pub fn by(score: Box<dyn VoiceScore>, rate: u32, settings: VoiceActivity) -> Self {
        Self { settings, rate, score, moments: 0, run: 0, speaks: false, quiet_since: 0 }
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
        let mut certainties = Vec::new();
        self.score.push(samples, &mut |certainty| certainties.push(certainty));
        certainties.into_iter().filter_map(|certainty| self.moment(certainty)).for_each(&mut tell);
    }

    fn moment(&mut self, certainty: f32) -> Option<VoiceChange> {
        self.moments += 1;
        let level = self.settings.threshold * if self.speaks { STAYS } else { 1.0 };
        self.run = if certainty >= level { self.run + 1 } else { 0 };
        if self.run >= self.score.shortest() {
            self.quiet_since = self.moments;
            let begins = !std::mem::replace(&mut self.speaks, true);
            return begins.then(|| VoiceChange::Started(self.score.position(self.moments - self.run)));
        }
        let end = self.score.position(self.quiet_since) + self.settings.samples_of(self.settings.silence, self.rate);
        if self.speaks && self.score.position(self.moments) >= end {
            self.speaks = false;
            return Some(VoiceChange::Stopped(end));
        }
        None
    }

    /// What is left of a whole recording when all else is cut out. At the detector's rate, and it has heard nothing before.
    pub fn excerpt(self, pcm: &Pcm) -> Excerpt {
        Excerpt::of(pcm, self.stretches(pcm.samples()))
    }

    /// In samples, in order, apart from each other.
    fn stretches(mut self, samples: &[f32]) -> Vec<Range<usize>> {
        let before = self.settings.samples_of(self.settings.before, self.rate) as usize;
        let mut stretches: Vec<Range<usize>> = Vec::new();
        let mut changes = Vec::new();
        self.push(samples, |change| changes.push(change));
        // Where the sound ends first, so does the speech.
        changes.extend(self.speaks.then_some(VoiceChange::Stopped(u64::MAX)));
        let mut began = 0;
        for change in changes {
            match change {
                VoiceChange::Started(at) => began = (at as usize).saturating_sub(before),
                VoiceChange::Stopped(at) => {
                    let end = usize::try_from(at).unwrap_or(usize::MAX).min(samples.len());
                    match stretches.last_mut() {
                        Some(last) if last.end >= began => last.end = end,
                        _ => stretches.push(began.min(end)..end),
                    }
                }
            }
        }
        stretches
    }
}
