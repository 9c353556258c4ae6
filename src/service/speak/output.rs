//! Where the sound of all chunks becomes one.

use std::{borrow::Cow, time::Duration};

use crate::{
    audio::{JoinSettings, Joiner, Leveler, Pcm},
    service::ServiceError,
    speech::Mark,
};

/// What loudness is brought to, in LUFS: the programme level of EBU R128.
const LOUDNESS: f64 = -23.0;

/// Where the sound of all chunks becomes one. Each method gives what is ready by then.
pub(super) struct Output {
    /// `None`: the sound is as the model made it.
    joiner: Option<Joiner>,
    leveler: Option<Leveler>,
    rate: u32,
    channels: usize,
    /// Samples of silence before everything, over all channels.
    lead: usize,
}

// === impl Output ===

impl Output {
    /// For sound like this.
    pub fn new(first: &Pcm, level: bool, joined: bool) -> Result<Self, ServiceError> {
        let (rate, channels) = (first.rate(), first.channels());
        let leveler = level.then(|| Leveler::new(rate, channels, LOUDNESS)).transpose();
        let leveler = leveler.map_err(|_| ServiceError::Internal("the loudness of this sound cannot be measured"))?;
        let joiner = joined.then(|| Joiner::new(rate, channels, &JoinSettings::default()));
        Ok(Self { joiner, leveler, rate, channels, lead: 0 })
    }

    /// Silence, before any sound.
    pub fn silence(&mut self, length: Duration) -> Vec<f32> {
        let samples = (length.as_secs_f64() * f64::from(self.rate)) as usize * self.channels;
        self.lead += samples;
        self.level(vec![0.0; samples])
    }

    /// A block of the chunk at hand, so many times as loud.
    pub fn push(&mut self, pcm: &Pcm, gain: f32) -> Result<Vec<f32>, ServiceError> {
        if (pcm.rate(), pcm.channels()) != (self.rate, self.channels) {
            return Err(ServiceError::Internal("the model changed its sample rate"));
        }
        let louder = match gain {
            1.0 => Cow::Borrowed(pcm.samples()),
            gain => pcm.samples().iter().map(|sample| sample * gain).collect(),
        };
        let Some(joiner) = &mut self.joiner else { return Ok(self.level(louder.into_owned())) };
        let mut joined = Vec::new();
        joiner.push(&louder, &mut joined);
        Ok(self.level(joined))
    }

    /// The chunk is over, and the next one, if any is heard, begins after so long.
    pub fn end_block(&mut self, gap: Duration) -> Vec<f32> {
        let mut joined = Vec::new();
        if let Some(joiner) = &mut self.joiner {
            joiner.end_block(gap, &mut joined);
        }
        self.level(joined)
    }

    /// A mark of the chunk at hand, at its place in the whole; `None` where nothing of the chunk is heard.
    pub fn placed(&self, mark: Mark) -> Option<Mark> {
        let lead = (self.lead / self.channels) as f64 / f64::from(self.rate);
        let place = |seconds| match &self.joiner {
            Some(joiner) => joiner.place(seconds).map(|place| lead + place),
            None => Some(lead + seconds),
        };
        Some(Mark { start: place(mark.start)?, end: place(mark.end)?, ..mark })
    }

    pub fn pcm(&self, samples: Vec<f32>) -> Option<Pcm> {
        (!samples.is_empty()).then(|| Pcm::interleaved(samples, self.rate, self.channels))
    }

    /// What was held back.
    pub fn finish(self) -> Option<Pcm> {
        let Self { joiner, leveler, rate, channels, .. } = self;
        let (mut joined, mut levelled) = (Vec::new(), Vec::new());
        if let Some(joiner) = joiner {
            joiner.finish(&mut joined);
        }
        let samples = match leveler {
            Some(mut leveler) => {
                leveler.push(&joined, &mut levelled);
                leveler.finish(&mut levelled);
                levelled
            }
            None => joined,
        };
        (!samples.is_empty()).then(|| Pcm::interleaved(samples, rate, channels))
    }

    fn level(&mut self, samples: Vec<f32>) -> Vec<f32> {
        let Some(leveler) = &mut self.leveler else { return samples };
        let mut levelled = Vec::new();
        leveler.push(&samples, &mut levelled);
        levelled
    }
}
