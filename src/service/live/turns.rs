//! Where in the sound of a session one item ends and the next begins. Pure: it is given sound, and says what follows from
//! it.

use std::time::Duration;

use crate::{
    audio::{VoiceActivity, VoiceChange, VoiceDetector},
    listening::VoiceDetection,
};

/// Sound is looked at in pieces of this length, so that an item ends where it should within a long message as well.
const PIECE: Duration = Duration::from_millis(20);
/// Speech is known for speech so long after its beginning, at most.
const NOTICED: Duration = Duration::from_millis(300);
/// What is shorter is no item that anybody wants to have transcribed, and OpenAI's server refuses as well.
const SHORTEST: Duration = Duration::from_millis(100);

/// A stretch of the sound that is transcribed by itself. Numbers begin with 0 and grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub u64);

/// What follows from sound, or from what a caller said.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// Somebody speaks. The item begins here, with what is kept before speech.
    Started { item: ItemId, at: Duration },
    /// The item ends here, with what is kept after speech.
    Stopped { item: ItemId, at: Duration },
    /// An item is whole. At the rate of the session.
    Whole { item: ItemId, samples: Vec<f32> },
}

/// Why an item is not taken as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnError {
    #[error("the item would be longer than {} s (`{setting}`); commit or clear it", limit.as_secs_f64())]
    Full { limit: Duration, setting: &'static str },
    #[error("the buffer holds {} ms of sound; an item has at least {} ms", has.as_millis(), SHORTEST.as_millis())]
    TooShort { has: Duration },
    #[error("the buffer holds {} ms of sound as it was to be heard before; commit or clear it first", has.as_millis())]
    Held { has: Duration },
}

/// How long an item may be, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemLimit {
    pub longest: Duration,
    pub setting: &'static str,
}

/// The sound that belongs to no whole item yet.
pub struct Turns {
    rate: u32,
    limit: ItemLimit,
    voices: VoiceDetection,
    /// `None`: the caller says where items end.
    detector: Option<VoiceDetector>,
    /// What is kept before speech.
    before: Duration,
    samples: Vec<f32>,
    /// Of the first of `samples`, from the beginning of the session.
    origin: u64,
    next: u64,
    /// Where the detector's own count began.
    detecting_since: u64,
    /// Seconds of the session at former rates.
    earlier: Duration,
}

// === impl Turns ===

impl Turns {
    /// `rate` in hertz; without `detection` the caller says where items end.
    pub fn new(rate: u32, limit: ItemLimit, detection: Option<VoiceActivity>, voices: VoiceDetection) -> Self {
        Self {
            rate,
            limit,
            detector: detection.map(|detection| voices.detector(rate, detection)),
            voices,
            before: detection.map_or(Duration::ZERO, |detection| detection.before),
            samples: Vec::new(),
            origin: 0,
            next: 0,
            detecting_since: 0,
            earlier: Duration::ZERO,
        }
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Bytes of sound that are held.
    pub fn bytes(&self) -> usize {
        size_of_val(self.samples.as_slice())
    }

    /// What is heard of an item that is not whole yet.
    pub fn current(&self) -> Option<(ItemId, &[f32])> {
        let heard = match &self.detector {
            Some(detector) => detector.speaks(),
            None => !self.samples.is_empty(),
        };
        heard.then_some((ItemId(self.next), self.samples.as_slice()))
    }

    /// From now on sound has this rate, and items end otherwise; or all stays as it is.
    pub fn set(&mut self, rate: u32, detection: Option<VoiceActivity>) -> Result<(), TurnError> {
        let begins = self.detector.is_none() && detection.is_some();
        if (rate != self.rate || begins) && self.current().is_some() {
            return Err(TurnError::Held { has: self.held() });
        }
        if rate != self.rate {
            self.earlier = self.time(self.end());
            (self.rate, self.origin, self.samples, self.detector) = (rate, 0, Vec::new(), None);
        }
        self.before = detection.map_or(Duration::ZERO, |detection| detection.before);
        match (&mut self.detector, detection) {
            (Some(detector), Some(detection)) => detector.set(detection),
            (detector, detection) => {
                *detector = detection.map(|detection| self.voices.detector(rate, detection));
                self.detecting_since = self.end();
            }
        }
        Ok(())
    }

    /// Takes what follows, or nothing of it.
    pub fn push(&mut self, samples: &[f32], mut tell: impl FnMut(Turn)) -> Result<(), TurnError> {
        if self.detector.is_some() {
            for piece in samples.chunks(self.count(PIECE).max(1)) {
                self.piece(piece, &mut tell);
            }
            return Ok(());
        }
        if self.samples.len() + samples.len() > self.count(self.limit.longest) {
            return Err(TurnError::Full { limit: self.limit.longest, setting: self.limit.setting });
        }
        self.samples.extend_from_slice(samples);
        Ok(())
    }

    /// The item is whole, whatever is heard.
    pub fn commit(&mut self) -> Result<Turn, TurnError> {
        if self.held() < SHORTEST {
            return Err(TurnError::TooShort { has: self.held() });
        }
        self.rest();
        Ok(self.whole(self.end()))
    }

    /// Forgets what belongs to no whole item.
    pub fn clear(&mut self) {
        self.rest();
        self.origin = self.end();
        self.samples = Vec::new();
    }

    fn rest(&mut self) {
        self.detector.iter_mut().for_each(VoiceDetector::rest);
    }

    /// A piece in which at most one thing changes.
    fn piece(&mut self, piece: &[f32], tell: &mut impl FnMut(Turn)) {
        let Some(detector) = &mut self.detector else { return };
        let mut changes = Vec::new();
        detector.push(piece, |change| changes.push(change));
        self.samples.extend_from_slice(piece);
        for change in changes {
            match change {
                VoiceChange::Started(at) => self.start(self.detecting_since + at, tell),
                VoiceChange::Stopped(at) => {
                    // Where an item was cut while they spoke, the pause may have begun before.
                    self.stop((self.detecting_since + at).clamp(self.origin, self.end()), tell);
                }
            }
        }
        if !self.detector.as_ref().is_some_and(VoiceDetector::speaks) {
            let kept = self.count(self.before + NOTICED);
            self.forget(self.end().saturating_sub(kept as u64));
        } else if self.samples.len() + self.count(PIECE) > self.count(self.limit.longest) {
            // They go on speaking: the next item begins where this one ends.
            self.stop(self.end(), tell);
            tell(Turn::Started { item: ItemId(self.next), at: self.time(self.end()) });
        }
    }

    fn start(&mut self, at: u64, tell: &mut impl FnMut(Turn)) {
        self.forget(at.saturating_sub(self.count(self.before) as u64));
        tell(Turn::Started { item: ItemId(self.next), at: self.time(self.origin) });
    }

    fn stop(&mut self, at: u64, tell: &mut impl FnMut(Turn)) {
        let item = ItemId(self.next);
        tell(Turn::Stopped { item, at: self.time(at) });
        tell(self.whole(at));
    }

    /// What is held until there, as an item.
    fn whole(&mut self, at: u64) -> Turn {
        let rest = self.samples.split_off(((at - self.origin) as usize).min(self.samples.len()));
        let samples = std::mem::replace(&mut self.samples, rest);
        self.origin = at;
        let item = ItemId(self.next);
        self.next += 1;
        Turn::Whole { item, samples }
    }

    /// Lets go of what is before.
    fn forget(&mut self, before: u64) {
        let gone = before.saturating_sub(self.origin) as usize;
        if gone > 0 {
            self.samples.drain(..gone.min(self.samples.len()));
            self.origin = before;
        }
    }

    /// After the last sample.
    fn end(&self) -> u64 {
        self.origin + self.samples.len() as u64
    }

    fn held(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate))
    }

    fn count(&self, time: Duration) -> usize {
        (time.as_secs_f64() * f64::from(self.rate)).round() as usize
    }

    fn time(&self, samples: u64) -> Duration {
        self.earlier + Duration::from_secs_f64(samples as f64 / f64::from(self.rate))
    }
}

#[cfg(test)]
mod tests;
