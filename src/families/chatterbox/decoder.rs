//! From speech tokens to sound, also while tokens are still added.
//!
//! The flow sees all tokens at once, so a mel that is made anew with more of them differs a little everywhere. What was
//! sent stays as it was: each pass goes on from there, its first frames blended with those of the pass before, and the
//! vocoder hears both sides of the seam and keeps its phase. Noise belongs to its frame, whichever pass asks for it.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::{
    flow::{Flow, FlowOptions, seeded},
    hift::{FRAME, Hift, Seeded, SourceState, fade_in},
    voices::Voice,
    watermark::{Marking, Watermark},
};

/// Frames over which a pass takes over from the one before: 160 ms.
const BLEND: usize = 8;

/// Flow and vocoder, and what marks what they make.
pub struct S3Gen {
    pub flow: Flow,
    pub hift: Hift,
    /// `None`: nothing does.
    pub watermark: Option<Watermark>,
}

/// The sound of one sequence of tokens.
pub struct Decoder {
    voice: Arc<Voice>,
    options: FlowOptions,
    seed: u64,
    source: SourceState,
    /// Frames whose sound was given away.
    sent: usize,
    /// The mel of the last pass, and the number of its first frame.
    mel: Option<(usize, Tensor)>,
    /// It holds a little of the sound back.
    marking: Option<Marking>,
}

/// Tokens for a pass: some of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub tokens: &'a [u32],
    /// The number of the first of them. It is not after the sound that was given away.
    pub first: usize,
    /// Nothing follows.
    pub last: bool,
}

// === impl S3Gen ===

impl S3Gen {
    pub fn samples_per_token(&self) -> usize {
        self.flow.frames_per_token() * FRAME
    }

    /// Frames of mel that the vocoder looks at on either side of what it makes.
    fn context(&self) -> usize {
        self.hift.reach() + self.hift.pitch_reach()
    }
}

// === impl Decoder ===

impl Decoder {
    pub fn new(s3gen: &S3Gen, voice: Arc<Voice>, options: FlowOptions, seed: u64) -> Self {
        let source = s3gen.hift.source(Seeded(seed), 0);
        let marking = s3gen.watermark.as_ref().map(Watermark::begin);
        Self { voice, options, seed, source, sent: 0, mel: None, marking }
    }

    /// The sound that follows what was given away, as far as it is certain; maybe none. `None` once `stop` said so.
    pub fn extend(&mut self, s3gen: &S3Gen, part: Part<'_>, stop: &dyn Fn() -> bool) -> Result<Option<Vec<f32>>> {
        let options = FlowOptions { finalize: part.last, ..self.options };
        let offset = part.first * s3gen.flow.frames_per_token();
        let noise = self.noise(offset)?;
        let Some(mel) = s3gen.flow.mel(part.tokens, &self.voice.flow, noise, options, stop)? else { return Ok(None) };
        let end = offset + mel.dim(0)?;
        let until = if part.last { end } else { end.saturating_sub(s3gen.context()) };
        let mel = self.joined(s3gen, mel, offset)?;
        let wanted = self.sent..until.max(self.sent);
        let mut sound = s3gen.hift.decode(&mel.1, mel.0, wanted.clone(), &mut self.source)?;
        fade_in(&mut sound, wanted.start * FRAME);
        (self.mel, self.sent) = (Some(mel), wanted.end);
        match &mut self.marking {
            Some(marking) => marking.push(&sound, part.last).map(Some),
            None => Ok(Some(sound)),
        }
    }

    /// By the frame in the whole sequence. The flow counts from the first frame of the reference.
    fn noise(&self, offset: usize) -> Result<impl Fn(usize, &mut [f32]) + use<>> {
        let (noise, prompt) = (seeded(self.seed), self.voice.flow.prompt_mel.dim(0)?);
        Ok(move |frame: usize, bands: &mut [f32]| {
            let skipped = if frame < prompt { 0 } else { offset };
            noise(frame + skipped, bands);
        })
    }

    /// What the vocoder needs of the pass before, then the new pass; and the number of the first frame.
    fn joined(&self, s3gen: &S3Gen, new: Tensor, offset: usize) -> Result<(usize, Tensor)> {
        let Some((first, old)) = &self.mel else { return Ok((offset, new)) };
        let start = self.sent.saturating_sub(s3gen.context()).max(*first);
        let kept = old.narrow(0, start - first, self.sent - start)?;
        let (old, new) = (after(old, self.sent - first)?, after(&new, self.sent - offset)?);
        let seam = old.dim(0)?.min(new.dim(0)?).min(BLEND);
        let blended = blend(&old.narrow(0, 0, seam)?, &new.narrow(0, 0, seam)?)?;
        Ok((start, Tensor::cat(&[kept, blended, after(&new, seam)?], 0)?))
    }
}

/// The frames from `frame` on.
fn after(mel: &Tensor, frame: usize) -> Result<Tensor> {
    mel.narrow(0, frame, mel.dim(0)? - frame)
}

/// From one mel to another of as many frames, evenly.
fn blend(from: &Tensor, to: &Tensor) -> Result<Tensor> {
    let frames = to.dim(0)?;
    let share: Vec<f32> = (1..=frames).map(|at| at as f32 / (frames + 1) as f32).collect();
    let share = Tensor::from_vec(share, (frames, 1), to.device())?.to_dtype(to.dtype())?;
    from + (to - from)?.broadcast_mul(&share)?
}
