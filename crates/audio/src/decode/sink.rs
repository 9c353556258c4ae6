//! Where decoded packets go: mixed to one channel, resampled, and counted.

use std::{ops::Range, time::Duration};

use symphonia::core::audio::GenericAudioBufferRef;

use super::DecodeError;
use crate::{Pcm, Resampler};

/// Full scale is 1; what claims to be this loud is no sound, and its square would not fit into an f32 spectrum.
const LOUDEST: f32 = 32_768.0;

/// Asked with the bytes that the sound is to take in all; whether it may.
pub type Room<'a> = dyn FnMut(usize) -> bool + 'a;

/// Collects packets of any shape as mono samples at one rate.
pub(super) struct Sink<'a> {
    rate: u32,
    limit: Duration,
    samples: Vec<f32>,
    resampler: Option<Resampler>,
    span: Span,
    /// Seconds decoded, and seconds of them inside the span.
    decoded: f64,
    heard: f64,
    shape: Option<Shape>,
    planes: Vec<Vec<f32>>,
    mono: Vec<f32>,
    room: &'a mut Room<'a>,
}

/// The part of a track that is the recording, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub start: f64,
    pub end: f64,
}

/// Rate and channels of the first packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub rate: u32,
    pub channels: usize,
}

// === impl Sink ===

impl<'a> Sink<'a> {
    pub fn new(rate: u32, limit: Duration, span: Span, room: &'a mut Room<'a>) -> Self {
        Self {
            rate,
            limit,
            samples: Vec::new(),
            resampler: None,
            span,
            decoded: 0.0,
            heard: 0.0,
            shape: None,
            planes: Vec::new(),
            mono: Vec::new(),
            room,
        }
    }

    /// Takes a packet, `[channels, frames]`.
    pub fn push(&mut self, packet: &GenericAudioBufferRef<'_>) -> Result<(), DecodeError> {
        let (rate, channels) = (packet.spec().rate(), packet.num_planes());
        if packet.is_empty() || channels == 0 {
            return Ok(());
        }
        self.tune(rate)?;
        let wanted = self.wanted(packet.frames(), f64::from(rate));
        self.heard += wanted.len() as f64 / f64::from(rate);
        if self.heard > self.limit.as_secs_f64() {
            return Err(DecodeError::TooLong { limit: self.limit });
        }
        self.shape.get_or_insert(Shape { rate, channels });
        packet.copy_to_vecs_planar(&mut self.planes);
        self.mix(wanted);
        self.make_room()?;
        if let Some(resampler) = &mut self.resampler {
            resampler.push(&self.mono, &mut self.samples);
        }
        Ok(())
    }

    /// Asks before the samples grow, by halves: for the old and the new ones while they are copied, and then for these.
    fn make_room(&mut self) -> Result<(), DecodeError> {
        let frames = self.mono.len();
        let more = self.resampler.as_ref().map_or(frames, |resampler| resampler.at_most(frames));
        let (needed, has) = (self.samples.len() + more, self.samples.capacity());
        if needed <= has {
            return Ok(());
        }
        let capacity = needed.max(has / 2 * 3);
        if !(self.room)((has + capacity) * size_of::<f32>()) {
            return Err(DecodeError::NoRoom);
        }
        self.samples.try_reserve_exact(capacity - self.samples.len()).map_err(|_| DecodeError::NoRoom)?;
        (self.room)(self.samples.capacity() * size_of::<f32>());
        Ok(())
    }

    /// The sound, if there was any.
    pub fn finish(mut self) -> Option<(Pcm, Shape)> {
        if let Some(resampler) = self.resampler.take() {
            resampler.finish(&mut self.samples);
        }
        let shape = self.shape.filter(|_| !self.samples.is_empty())?;
        Some((Pcm::new(self.samples, self.rate), shape))
    }

    /// The rate of a stream may change where one recording was appended to another.
    fn tune(&mut self, rate: u32) -> Result<(), DecodeError> {
        if self.resampler.as_ref().is_some_and(|resampler| resampler.from() == rate) {
            return Ok(());
        }
        if let Some(before) = self.resampler.replace(Resampler::new(rate, self.rate)?) {
            before.finish(&mut self.samples);
        }
        Ok(())
    }

    /// Which of the next frames lie inside the span.
    fn wanted(&mut self, frames: usize, rate: f64) -> Range<usize> {
        let within = |seconds: f64| (seconds * rate).round().clamp(0.0, frames as f64) as usize;
        let (start, end) = (within(self.span.start - self.decoded), within(self.span.end - self.decoded));
        self.decoded += frames as f64 / rate;
        start..end.max(start)
    }

    /// The mean of the channels.
    fn mix(&mut self, wanted: Range<usize>) {
        let share = 1.0 / self.planes.len() as f32;
        self.mono.clear();
        self.mono.resize(wanted.len(), 0.0);
        for plane in &self.planes {
            for (mono, sample) in self.mono.iter_mut().zip(&plane[wanted.clone()]) {
                *mono += share * sane(*sample);
            }
        }
    }
}

// === impl Span ===

impl Span {
    pub const ALL: Self = Self { start: 0.0, end: f64::INFINITY };
}

pub(super) fn sane(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
}
