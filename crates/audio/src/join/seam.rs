//! Stretches of sound behind each other, without a step between them.

use std::{collections::VecDeque, f32::consts::FRAC_PI_2};

/// Puts stretches of interleaved samples behind each other.
pub(super) struct Seam {
    pub channels: usize,
    /// Frames of a fade.
    fade: usize,
    /// Samples that may have to fade out.
    held: VecDeque<f32>,
    /// The end of what came before, fading, that sounds together with what comes next.
    overlap: VecDeque<f32>,
    /// Silence before what comes next, in samples.
    gap: usize,
    /// Frames of the present stretch so far.
    begun: usize,
    /// Whether anything was heard at all: no gap comes before the first sound.
    heard: bool,
    /// Samples that were put out.
    sent: usize,
}

// === impl Seam ===

impl Seam {
    pub fn new(channels: usize, fade: usize) -> Self {
        Self {
            channels,
            fade,
            held: VecDeque::new(),
            overlap: VecDeque::new(),
            gap: 0,
            begun: 0,
            heard: false,
            sent: 0,
        }
    }

    /// The present stretch goes on: fades in, over what came before.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        if samples.is_empty() {
            return;
        }
        if self.begun == 0 {
            self.begin(out);
        }
        for frame in samples.chunks(self.channels) {
            let gain = self.gain();
            let mix = |sample: &f32| sample * gain + self.overlap.pop_front().unwrap_or(0.0);
            self.held.extend(frame.iter().map(mix));
            self.begun += 1;
        }
        let ready = self.held.len().saturating_sub(self.fade * self.channels);
        out.extend(self.held.drain(..ready));
        self.sent += ready;
    }

    /// Where the next frame will lie in all that is put out.
    pub fn next_frame(&self) -> usize {
        let rests = self.begun == 0 && self.heard && self.gap > 0;
        let rest = if rests { self.overlap.len() + self.gap } else { 0 };
        (self.sent + self.held.len() + rest) / self.channels
    }

    /// Samples that are held back.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.held.len() + self.overlap.len()
    }

    /// The silence before a stretch, which none needs that is the first.
    fn begin(&mut self, out: &mut Vec<f32>) {
        let gap = std::mem::take(&mut self.gap);
        if std::mem::replace(&mut self.heard, true) && gap > 0 {
            self.sent += self.overlap.len() + gap;
            out.extend(self.overlap.drain(..));
            out.resize(out.len() + gap, 0.0);
        }
    }

    /// Of the next frame; rises as a sine, so that a rising and a falling fade together keep their power.
    fn gain(&self) -> f32 {
        if self.begun < self.fade { rise(self.begun, self.fade) } else { 1.0 }
    }

    /// A stretch ends, and what comes next begins after so many samples of silence, or across this one's end.
    pub fn end(&mut self, gap: usize, out: &mut Vec<f32>) {
        self.gap = self.gap.max(gap);
        if self.begun == 0 {
            return; // nothing of this block was heard
        }
        if self.gap > 0 {
            self.fade_out(out);
        } else {
            self.cut(out);
        }
    }

    /// What is held fades under what comes next.
    pub fn cut(&mut self, out: &mut Vec<f32>) {
        self.lower();
        // Of a stretch that was shorter than the end of the one before it, that end outlasts it.
        self.held.append(&mut self.overlap);
        let excess = self.held.len().saturating_sub(self.fade * self.channels);
        out.extend(self.held.drain(..excess));
        self.sent += excess;
        self.overlap = std::mem::take(&mut self.held);
        self.begun = 0;
    }

    /// What is held fades to silence.
    pub fn fade_out(&mut self, out: &mut Vec<f32>) {
        self.lower();
        self.sent += self.held.len() + self.overlap.len();
        out.extend(self.held.drain(..));
        out.extend(self.overlap.drain(..));
        self.begun = 0;
    }

    fn lower(&mut self) {
        let frames = self.held.len() / self.channels;
        let samples = self.held.iter_mut().enumerate();
        samples.for_each(|(at, sample)| *sample *= rise(frames - 1 - at / self.channels, frames));
    }
}

/// The gain of a frame of a fade over so many.
fn rise(at: usize, frames: usize) -> f32 {
    ((at as f32 + 0.5) / frames as f32 * FRAC_PI_2).sin()
}
