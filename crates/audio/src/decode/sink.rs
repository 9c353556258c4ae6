//! Where decoded packets go: mixed to one channel or kept apart, resampled, and counted.

use std::{ops::Range, time::Duration};

use symphonia::core::audio::GenericAudioBufferRef;

use super::{
    DecodeError,
    edit::{Edit, Piece, Span, TimeOrigin},
};
use crate::{Pcm, Resampler};

/// Full scale is 1; what claims to be this loud is no sound, and its square would not fit into an f32 spectrum.
const LOUDEST: f32 = 32_768.0;

/// Seconds between where a packet belongs and where the sound is, before it is moved: containers count in milliseconds,
/// codecs have run-ups, and the clocks of live recordings drift.
const GAP: f64 = 0.1;
/// Frames of silence that are made at once.
const SILENCE: usize = 4096;
/// The mean of channels that have nothing to do with each other has one over their number of their power; where it has
/// less than a quarter of that, they cancel out.
const CANCELS: f64 = 0.25;

/// Channels that are kept apart: a call has two, a room with a microphone for each speaker some more, and each is work of
/// its own for a model.
pub const MOST_APART: usize = 8;

/// Asked with the bytes that the sound is to take in all; whether it may.
pub type Room<'a> = dyn FnMut(usize) -> bool + 'a;

/// Collects packets of any shape as samples at one rate, in lanes of one channel.
pub(super) struct Sink<'a> {
    rate: u32,
    limit: Duration,
    /// One for all channels, or one for each.
    lanes: Vec<Lane>,
    /// What is heard, of which the silence before it is still to come.
    edit: Edit,
    /// Seconds of this file decoded, and of all of them inside their spans.
    decoded: f64,
    heard: f64,
    /// Seconds at which the next packet begins, where its container says it.
    expected: Option<f64>,
    mix: Mix,
    origin: TimeOrigin,
    power: Power,
    shape: Option<Shape>,
    planes: Vec<Vec<f32>>,
    mono: Vec<f32>,
    room: &'a mut Room<'a>,
}

/// Sound of one channel on its way.
#[derive(Default)]
struct Lane {
    samples: Vec<f32>,
    resampler: Option<Resampler>,
}

/// What becomes of channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mix {
    Mean,
    /// Each is a sound of its own.
    Apart,
    /// One of them alone.
    Only(usize),
}

/// Sums of squares, to see whether the channels cancel each other out.
#[derive(Default)]
struct Power {
    channels: Vec<f64>,
    mean: f64,
}

/// Rate and channels of the first packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub rate: u32,
    pub channels: usize,
}

// === impl Sink ===

impl<'a> Sink<'a> {
    pub fn new(rate: u32, limit: Duration, mix: Mix, origin: TimeOrigin, room: &'a mut Room<'a>) -> Self {
        Self {
            rate,
            limit,
            lanes: Vec::new(),
            edit: Edit::none(),
            decoded: 0.0,
            heard: 0.0,
            expected: None,
            mix,
            origin,
            power: Power::default(),
            shape: None,
            planes: Vec::new(),
            mono: Vec::new(),
            room,
        }
    }

    pub fn origin(&self) -> TimeOrigin {
        self.origin
    }

    /// Begins a file, or the next one of several.
    pub fn begin(&mut self, edit: Edit) {
        (self.edit, self.decoded, self.expected) = (edit.from(self.origin), 0.0, None);
    }

    /// Says where the next packet begins, in seconds from the beginning of its file.
    pub fn expect(&mut self, seconds: f64) {
        self.expected = Some(seconds).filter(|_| self.origin == TimeOrigin::Container);
    }

    /// Seconds that were taken so far.
    pub fn heard(&self) -> Duration {
        Duration::try_from_secs_f64(self.heard).unwrap_or_default()
    }

    /// The loudest channel, if the mean of all of them is next to nothing.
    pub fn cancelled(&self) -> Option<usize> {
        (self.mix == Mix::Mean).then(|| self.power.cancelled()).flatten()
    }

    /// Takes a packet, `[channels, frames]`.
    pub fn push(&mut self, packet: &GenericAudioBufferRef<'_>) -> Result<(), DecodeError> {
        let (rate, channels) = (packet.spec().rate(), packet.num_planes());
        if packet.is_empty() || channels == 0 {
            return Ok(());
        }
        self.tune(rate, channels)?;
        self.fill(f64::from(rate))?;
        self.shape.get_or_insert(Shape { rate, channels });
        packet.copy_to_vecs_planar(&mut self.planes);
        let packet = Span { start: self.decoded, end: self.decoded + packet.frames() as f64 / f64::from(rate) };
        self.decoded = packet.end;
        let first = self.edit.spans.partition_point(|span| span.end <= packet.start);
        for at in first..self.edit.spans.len() {
            let span = self.edit.spans[at];
            if span.start >= packet.end {
                break;
            }
            self.hear(within(packet, span, f64::from(rate)), f64::from(rate))?;
        }
        Ok(())
    }

    /// Takes these frames of the packet.
    fn hear(&mut self, wanted: Range<usize>, rate: f64) -> Result<(), DecodeError> {
        self.count(wanted.len() as f64 / rate)?;
        match self.mix {
            Mix::Apart => (0..self.lanes.len()).try_for_each(|lane| {
                self.pick(lane, wanted.clone());
                self.take(lane)
            }),
            Mix::Mean | Mix::Only(_) => {
                self.mix(wanted);
                self.take(0)
            }
        }
    }

    /// Resamples what there is of one channel.
    fn take(&mut self, lane: usize) -> Result<(), DecodeError> {
        let frames = self.mono.len();
        let more = self.lanes[lane].resampler.as_ref().map_or(frames, |resampler| resampler.at_most(frames));
        self.make_room(lane, more)?;
        let Lane { samples, resampler } = &mut self.lanes[lane];
        if let Some(resampler) = resampler {
            resampler.push(&self.mono, samples);
        }
        Ok(())
    }

    /// All channels that are kept apart are sound that is to be heard.
    fn count(&mut self, seconds: f64) -> Result<(), DecodeError> {
        self.heard += seconds;
        let (channels, limit) = (self.lanes.len().max(1), self.limit);
        if self.heard * channels as f64 <= limit.as_secs_f64() {
            return Ok(());
        }
        Err(if channels > 1 {
            DecodeError::ChannelsTooLong { channels, limit }
        } else {
            DecodeError::TooLong { limit }
        })
    }

    /// Silence up to where the next packet begins. It is counted before it is made.
    fn fill(&mut self, rate: f64) -> Result<(), DecodeError> {
        let mut silence = std::mem::take(&mut self.edit.delay);
        if let Some(expected) = self.expected.take().filter(|expected| *expected > self.decoded + GAP) {
            let gap = Span { start: self.decoded, end: expected };
            silence += self.edit.spans.iter().map(|span| span.overlap(gap)).sum::<f64>();
            self.decoded = expected;
        }
        self.count(silence)?;
        let mut frames = (silence * rate).round() as usize;
        while frames > 0 {
            let some = frames.min(SILENCE);
            self.mono.clear();
            self.mono.resize(some, 0.0);
            (0..self.lanes.len()).try_for_each(|lane| self.take(lane))?;
            frames -= some;
        }
        Ok(())
    }

    /// Asks before the samples grow, by halves: for the old and the new ones while they are copied, and then for these.
    fn make_room(&mut self, lane: usize, more: usize) -> Result<(), DecodeError> {
        let all: usize = self.lanes.iter().map(|lane| lane.samples.capacity()).sum();
        let samples = &mut self.lanes[lane].samples;
        let (needed, has) = (samples.len() + more, samples.capacity());
        if needed <= has {
            return Ok(());
        }
        let capacity = needed.max(has / 2 * 3);
        if !(self.room)((all + capacity) * size_of::<f32>()) {
            return Err(DecodeError::NoRoom);
        }
        samples.try_reserve_exact(capacity - samples.len()).map_err(|_| DecodeError::NoRoom)?;
        (self.room)((all - has + samples.capacity()) * size_of::<f32>());
        Ok(())
    }

    /// What came of the first lane since the last time.
    pub fn drain(&mut self) -> Vec<f32> {
        self.lanes.first_mut().map(|lane| std::mem::take(&mut lane.samples)).unwrap_or_default()
    }

    /// The sound of each lane, if there was any.
    pub fn finish(mut self) -> Result<Option<(Vec<Pcm>, Shape)>, DecodeError> {
        let (rate, edit) = (self.rate, std::mem::replace(&mut self.edit, Edit::none()));
        if !edit.pieces.is_empty() {
            self.heard = 0.0;
            self.count(edit.seconds())?;
        }
        let mut lanes: Vec<_> = self.lanes.into_iter().map(Lane::finish).collect();
        if !edit.pieces.is_empty() && lanes.iter().any(|lane| !lane.is_empty()) {
            let bytes = |lanes: &[Vec<f32>]| lanes.iter().map(|lane| lane.capacity() * size_of::<f32>()).sum::<usize>();
            let length = (edit.seconds() * f64::from(rate)).ceil() as usize * size_of::<f32>();
            if !(self.room)(length.saturating_mul(lanes.len()).saturating_add(bytes(&lanes))) {
                return Err(DecodeError::NoRoom);
            }
            lanes = lanes.into_iter().map(|lane| put_together(&lane, &edit, f64::from(rate))).collect();
            (self.room)(bytes(&lanes));
        }
        // Rounded anew in each, they may differ by a sample where a channel began later than others.
        let longest = lanes.iter().map(Vec::len).max().filter(|longest| *longest > 0);
        let Some((longest, shape)) = longest.zip(self.shape) else { return Ok(None) };
        let pcm = |mut samples: Vec<f32>| {
            samples.resize(longest, 0.0);
            Pcm::new(samples, rate)
        };
        Ok(Some((lanes.into_iter().map(pcm).collect(), shape)))
    }

    /// As many lanes as are needed, for sound of this rate. Both may change where one recording was appended to another: a
    /// channel that appears later was silent before.
    fn tune(&mut self, rate: u32, channels: usize) -> Result<(), DecodeError> {
        let lanes = if self.mix == Mix::Apart { channels } else { 1 };
        if lanes > MOST_APART {
            return Err(DecodeError::TooManyChannels { channels, most: MOST_APART });
        }
        while self.lanes.len() < lanes {
            let silence = (self.heard * f64::from(self.rate)).round() as usize;
            self.lanes.push(Lane::default());
            let new = self.lanes.len() - 1;
            self.make_room(new, silence)?;
            self.lanes[new].samples.resize(silence, 0.0);
        }
        self.lanes.iter_mut().try_for_each(|lane| lane.tune(rate, self.rate))
    }

    /// One channel as it is; silence, where the packet has fewer.
    fn pick(&mut self, channel: usize, wanted: Range<usize>) {
        self.mono.clear();
        match self.planes.get(channel) {
            Some(plane) => self.mono.extend(plane[wanted].iter().copied().map(sane)),
            None => self.mono.resize(wanted.len(), 0.0),
        }
    }

    /// The mean of the channels, or one of them.
    fn mix(&mut self, wanted: Range<usize>) {
        let planes = match self.mix {
            Mix::Mean | Mix::Apart => &self.planes[..],
            Mix::Only(channel) => std::slice::from_ref(&self.planes[channel.min(self.planes.len() - 1)]),
        };
        let share = 1.0 / planes.len() as f32;
        self.mono.clear();
        self.mono.resize(wanted.len(), 0.0);
        for (channel, plane) in planes.iter().enumerate() {
            let mut sum = 0.0;
            for (mono, sample) in self.mono.iter_mut().zip(&plane[wanted.clone()]) {
                let sample = sane(*sample);
                *mono += share * sample;
                sum += f64::from(sample * sample);
            }
            self.power.add(channel, sum);
        }
        self.power.mean += self.mono.iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
    }
}

// === impl Lane ===

impl Lane {
    fn tune(&mut self, from: u32, to: u32) -> Result<(), DecodeError> {
        if self.resampler.as_ref().is_some_and(|resampler| resampler.from() == from) {
            return Ok(());
        }
        if let Some(before) = self.resampler.replace(Resampler::new(from, to)?) {
            before.finish(&mut self.samples);
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<f32> {
        if let Some(resampler) = self.resampler {
            resampler.finish(&mut self.samples);
        }
        self.samples
    }
}

// === impl Power ===

impl Power {
    fn add(&mut self, channel: usize, sum: f64) {
        if self.channels.len() <= channel {
            self.channels.resize(channel + 1, 0.0);
        }
        self.channels[channel] += sum;
    }

    fn cancelled(&self) -> Option<usize> {
        let count = self.channels.len() as f64;
        let unrelated = self.channels.iter().sum::<f64>() / (count * count);
        let loudest = self.channels.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
        (self.channels.len() > 1 && self.mean < CANCELS * unrelated).then_some(loudest.0)
    }
}

/// The pieces of an edit in their order, out of sound that holds its spans one after the other. Where that ends too early,
/// there is silence up to what follows.
fn put_together(sound: &[f32], edit: &Edit, rate: f64) -> Vec<f32> {
    let at = |seconds: f64| (seconds * rate).round() as usize;
    let mut whole = Vec::with_capacity(at(edit.seconds()));
    let (mut seconds, mut end) = (0.0, 0);
    for piece in &edit.pieces {
        // By the time so far, so that nothing adds up.
        whole.resize(at(seconds), 0.0);
        seconds += piece.seconds();
        if let Piece::Sound(span) = piece {
            let start = at(edit.taken_before(*span));
            let there = sound.get(start..).unwrap_or_default();
            whole.extend(&there[..there.len().min(at(seconds) - whole.len())]);
            end = if there.is_empty() { end } else { whole.len() };
        }
    }
    whole.truncate(end);
    whole
}

/// Which frames of a packet lie inside a span.
fn within(packet: Span, span: Span, rate: f64) -> Range<usize> {
    let frames = (packet.seconds() * rate).round();
    let at = |seconds: f64| ((seconds - packet.start) * rate).round().clamp(0.0, frames) as usize;
    at(span.start)..at(span.end).max(at(span.start))
}

pub(super) fn sane(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
}
