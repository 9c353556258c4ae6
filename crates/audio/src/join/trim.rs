//! Which part of a block is to be heard.

use std::{collections::VecDeque, time::Duration};

use super::{
    seam::Seam,
    settings::{JoinSettings, frames},
};
use crate::pcm::finite;

/// What is loud or not as a whole.
const FRAME: Duration = Duration::from_millis(10);

/// Finds the stretches of a block that are to be heard.
pub(super) struct Trim {
    /// Powers; `range` is the ratio of two.
    opens_at: f32,
    closes_at: f32,
    range: f32,
    /// Of this block so far.
    loudest: f32,
    /// Samples, over all channels; so are the others.
    frame: usize,
    lead: usize,
    tail: usize,
    pause: usize,
    /// Samples that do not fill a frame yet.
    pending: Vec<f32>,
    open: bool,
    /// Whether anything of this block was loud.
    heard: bool,
    /// The margin after the last stretch.
    after: Vec<f32>,
    /// What came later and was not loud, from the most recent back; at most `pause + lead`.
    quiet: VecDeque<f32>,
    /// Whether something between `after` and `quiet` was dropped.
    cut: bool,
    /// Frames of this block that were judged.
    judged: usize,
    /// Where the stretches of this block begin, and where in all that was put out, in frames.
    starts: Vec<(usize, usize)>,
}

// === impl Trim ===

impl Trim {
    pub fn new(rate: u32, channels: usize, settings: &JoinSettings) -> Self {
        let samples = |duration: Duration| frames(rate, duration) * channels;
        Self {
            opens_at: power(settings.opens_at),
            closes_at: power(settings.closes_at.min(settings.opens_at)),
            range: power(settings.range),
            loudest: 0.0,
            frame: samples(FRAME).max(channels),
            lead: samples(settings.lead),
            tail: samples(settings.tail),
            pause: samples(settings.longest_pause),
            pending: Vec::new(),
            open: false,
            heard: false,
            after: Vec::new(),
            quiet: VecDeque::new(),
            cut: false,
            judged: 0,
            starts: Vec::new(),
        }
    }

    /// Takes whole frames of a block, hands on what is heard.
    pub fn push(&mut self, samples: &[f32], seam: &mut Seam, out: &mut Vec<f32>) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(self.frame - self.pending.len()));
            self.pending.extend(piece.iter().copied().map(finite));
            if self.pending.len() == self.frame {
                self.judge(seam, out);
            }
            rest = after;
        }
    }

    /// One frame, which is `pending`.
    fn judge(&mut self, seam: &mut Seam, out: &mut Vec<f32>) {
        let power = self.pending.iter().map(|sample| sample * sample).sum::<f32>() / self.pending.len() as f32;
        self.loudest = self.loudest.max(power.min(1.0));
        let was_open = self.open;
        let least = self.closes_at.max(self.loudest / self.range);
        self.open = power >= if was_open { least } else { self.opens_at.max(least) };
        if self.open {
            if !was_open {
                self.resume(seam, out);
            }
            self.heard = true;
            seam.push(&self.pending, out);
        } else {
            self.wait();
        }
        self.judged += self.pending.len() / seam.channels;
        self.pending.clear();
    }

    /// Where a frame of the block lies in all that was put out.
    pub fn place(&self, frame: usize, seam: &Seam) -> Option<usize> {
        let begun = self.starts.partition_point(|(start, _)| *start <= frame);
        let end = seam.next_frame() + self.after.len() / seam.channels;
        let next = self.starts.get(begun).map_or(end, |(_, place)| *place);
        match begun.checked_sub(1) {
            Some(stretch) => self.starts.get(stretch).map(|(start, place)| (place + frame - start).min(next)),
            None => self.starts.first().map(|(_, place)| *place),
        }
    }

    /// Sound begins: the margins, and the pause between them.
    fn resume(&mut self, seam: &mut Seam, out: &mut Vec<f32>) {
        if self.heard {
            seam.push(&self.after, out);
            if self.cut {
                seam.cut(out);
            }
        } else {
            let early = self.quiet.len().saturating_sub(self.lead);
            self.quiet.drain(..early);
        }
        if self.cut || !self.heard {
            self.starts.push((self.judged - self.quiet.len() / seam.channels, seam.next_frame()));
        }
        seam.push(self.quiet.make_contiguous(), out);
        self.forget();
    }

    /// A frame that is not loud goes to the margin, or is held until it is known what comes.
    fn wait(&mut self) {
        let room = if self.heard { (self.tail - self.after.len()).min(self.pending.len()) } else { 0 };
        self.after.extend(&self.pending[..room]);
        self.quiet.extend(&self.pending[room..]);
        let excess = self.quiet.len().saturating_sub(self.pause + self.lead);
        self.quiet.drain(..excess);
        self.cut |= excess > 0;
    }

    /// What is left of a block belongs to the margin, as far as there is one.
    pub fn end(&mut self, seam: &mut Seam, out: &mut Vec<f32>) {
        if self.open {
            seam.push(&self.pending, out);
        } else if self.heard {
            self.wait();
            seam.push(&self.after, out);
        }
        self.pending.clear();
        self.forget();
        (self.open, self.heard, self.loudest, self.judged) = (false, false, 0.0, 0);
        self.starts.clear();
    }

    /// Samples that are held back.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.pending.len() + self.after.len() + self.quiet.len()
    }

    fn forget(&mut self) {
        self.after.clear();
        self.quiet.clear();
        self.cut = false;
    }
}

fn power(decibels: f32) -> f32 {
    10f32.powf(decibels / 10.0)
}
