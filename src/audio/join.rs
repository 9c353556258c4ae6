//! Blocks of speech to one sound, without clicks and without the silence and the murmur that models leave at the ends.
//!
//! Frames of 10 ms are loud or not: a stretch begins with a frame of at least `opens_at` and goes on until one is below
//! `closes_at`, or far below the loudest of its block (hysteresis, so that a fading vowel is kept and a murmur after it
//! is not). A margin around is kept; what comes before the first stretch of a block and after its last is dropped, and
//! a pause inside that is too long is shortened. Blocks follow each other after a pause of silence, or at once, across an equal-power cross-fade. At every
//! cut there is a fade.

use std::{collections::VecDeque, f32::consts::FRAC_PI_2, time::Duration};

/// How blocks are joined. Levels are in dB of full scale, root mean square over a frame of 10 ms and all channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JoinSettings {
    /// The level at which sound begins.
    pub opens_at: f32,
    /// The level below which it ends; not above `opens_at`.
    pub closes_at: f32,
    /// So far below the loudest frame of its block, in dB, sound has ended, too.
    pub range: f32,
    /// Kept before sound, so that a soft consonant is not lost.
    pub lead: Duration,
    /// Kept after sound, so that a word may fade.
    pub tail: Duration,
    /// What lies between two stretches of a block, at most, beside both margins.
    pub longest_pause: Duration,
    /// Length of each fade and cross-fade.
    pub fade: Duration,
}

/// Joins blocks of interleaved samples as they come. It holds back the margins, a pause that may be one at the end, a
/// frame, and a fade: about 1.2 s with the default settings, whatever is pushed.
pub struct Joiner {
    trim: Trim,
    seam: Seam,
    rate: u32,
}

/// Finds the stretches of a block that are to be heard.
struct Trim {
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
}

/// Puts stretches behind each other.
struct Seam {
    channels: usize,
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
}

/// A gap is at most so long, whatever is asked for.
const LONGEST_GAP: Duration = Duration::from_secs(60);
const FRAME: Duration = Duration::from_millis(10);

// === impl JoinSettings ===

/// Speech lies around -20 dB, the noise floor of today's models around -55.
impl Default for JoinSettings {
    fn default() -> Self {
        Self {
            opens_at: -42.0,
            closes_at: -50.0,
            range: 36.0,
            lead: Duration::from_millis(40),
            tail: Duration::from_millis(80),
            longest_pause: Duration::from_secs(1),
            fade: Duration::from_millis(8),
        }
    }
}

// === impl Joiner ===

impl Joiner {
    /// For sound at `rate` hertz; neither is ever 0.
    pub fn new(rate: u32, channels: usize, settings: &JoinSettings) -> Self {
        let samples = |duration: Duration| frames(rate, duration) * channels;
        let trim = Trim {
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
        };
        Self { trim, seam: Seam::new(channels, frames(rate, settings.fade)), rate }
    }

    /// Takes whole frames of the present block, appends to `out` what is ready.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let Self { trim, seam, .. } = self;
        trim.push(samples, seam, out);
    }

    /// The block is over; the next one, if any is heard, begins after this much silence. With none, the two cross.
    pub fn end_block(&mut self, gap: Duration, out: &mut Vec<f32>) {
        let Self { trim, seam, rate } = self;
        trim.end(seam, out);
        seam.end(frames(*rate, gap.min(LONGEST_GAP)) * seam.channels, out);
    }

    /// The last block is over: fades out.
    pub fn finish(mut self, out: &mut Vec<f32>) {
        let Self { trim, seam, .. } = &mut self;
        trim.end(seam, out);
        seam.fade_out(out);
    }
}

// === impl Trim ===

impl Trim {
    fn push(&mut self, samples: &[f32], seam: &mut Seam, out: &mut Vec<f32>) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(self.frame - self.pending.len()));
            self.pending.extend(piece);
            if self.pending.len() == self.frame {
                self.judge(seam, out);
            }
            rest = after;
        }
    }

    /// One frame, which is `pending`.
    fn judge(&mut self, seam: &mut Seam, out: &mut Vec<f32>) {
        let power = self.pending.iter().map(|sample| sample * sample).sum::<f32>() / self.pending.len() as f32;
        self.loudest = self.loudest.max(power);
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
        self.pending.clear();
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
    fn end(&mut self, seam: &mut Seam, out: &mut Vec<f32>) {
        if self.open {
            seam.push(&self.pending, out);
        } else if self.heard {
            self.wait();
            seam.push(&self.after, out);
        }
        self.pending.clear();
        self.forget();
        (self.open, self.heard, self.loudest) = (false, false, 0.0);
    }

    fn forget(&mut self) {
        self.after.clear();
        self.quiet.clear();
        self.cut = false;
    }
}

// === impl Seam ===

impl Seam {
    fn new(channels: usize, fade: usize) -> Self {
        Self { channels, fade, held: VecDeque::new(), overlap: VecDeque::new(), gap: 0, begun: 0, heard: false }
    }

    /// The present stretch goes on: fades in, over what came before.
    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
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
    }

    /// The silence before a stretch, which none needs that is the first.
    fn begin(&mut self, out: &mut Vec<f32>) {
        let gap = std::mem::take(&mut self.gap);
        if std::mem::replace(&mut self.heard, true) && gap > 0 {
            out.extend(self.overlap.drain(..));
            out.resize(out.len() + gap, 0.0);
        }
    }

    /// Of the next frame; rises as a sine, so that a rising and a falling fade together keep their power.
    fn gain(&self) -> f32 {
        if self.begun < self.fade { rise(self.begun, self.fade) } else { 1.0 }
    }

    /// A stretch ends, and what comes next begins after so many samples of silence, or across this one's end.
    fn end(&mut self, gap: usize, out: &mut Vec<f32>) {
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
    fn cut(&mut self, out: &mut Vec<f32>) {
        self.lower();
        // Of a stretch that was shorter than the end of the one before it, that end outlasts it.
        self.held.append(&mut self.overlap);
        let excess = self.held.len().saturating_sub(self.fade * self.channels);
        out.extend(self.held.drain(..excess));
        self.overlap = std::mem::take(&mut self.held);
        self.begun = 0;
    }

    /// What is held fades to silence.
    fn fade_out(&mut self, out: &mut Vec<f32>) {
        self.lower();
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

fn frames(rate: u32, duration: Duration) -> usize {
    (duration.as_secs_f64() * f64::from(rate)).round() as usize
}

fn power(decibels: f32) -> f32 {
    10f32.powf(decibels / 10.0)
}

#[cfg(test)]
mod tests;
