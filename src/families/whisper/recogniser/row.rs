//! One request in hand.

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::{
    super::{
        decoding_config::DecodingConfig,
        net::{Slot, Slots},
        transcription::{NextStep, Transcription},
        transcription_options::HOP,
        window::DecoderInput,
        words::Attention,
    },
    spectra::{Loudness, Spectra},
};
use crate::{
    audio::Spectrum,
    model::{Request, RequestError},
    nn::sampler::{Chooser, Chosen},
    speech::{Segment, Transcribe, TranscriptEvent},
};

/// A window that is never louder, of full scale 1, has nothing to be heard: three steps of 16 bits.
const SILENT: f32 = 1e-4;
/// Samples of a moment, 50 ms, and of the shortest sound that is judged by how its moments differ, 5 s.
const BLOCK: usize = 800;
const STEADY: usize = 80_000;
/// Moments are equally loud whose power differs by no more than this factor, 1 dB.
const ALIKE: f32 = 1.26;

/// A request, how far it is, and where its window lies.
pub struct Row {
    request: Request<Transcribe>,
    pub transcription: Transcription,
    /// What the decoder holds of the window, one for each sequence that it follows; empty before the first.
    slots: Vec<Slot>,
    /// The logits `[1, vocabulary]` after the prompt, where another try begins.
    first: Option<Tensor>,
    loudness: Loudness,
    failure: Option<RequestError>,
}

/// Whether a window is silent, or equally loud from its beginning to its end, as speech is not.
fn wordless(window: &[f32]) -> bool {
    if window.iter().all(|sample| sample.abs() < SILENT) {
        return true;
    }
    let power = |block: &[f32]| block.iter().map(|sample| sample * sample).sum::<f32>();
    let blocks = window.chunks_exact(BLOCK).map(power);
    let (least, most) = blocks.fold((f32::INFINITY, 0.0_f32), |(least, most), it| (least.min(it), most.max(it)));
    window.len() >= STEADY && most <= least * ALIKE
}

// === impl Row ===

impl Row {
    /// Answers at once what the model cannot do. It follows `most` sequences at once.
    pub fn new(request: Request<Transcribe>, decoding: Arc<DecodingConfig>, most: usize) -> Option<Self> {
        match Transcription::new(decoding, request.ask()) {
            Ok(transcription) if transcription.width() > most => {
                let width = transcription.width();
                let message = format!("beam_size and best_of are {most} here at most (max_batch), and not {width}");
                request.fail(RequestError::Unsupported { param: "options", message });
                None
            }
            Ok(transcription) => {
                let (slots, loudness) = (Vec::new(), Loudness::default());
                Some(Self { request, transcription, slots, first: None, loudness, failure: None })
            }
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }

    pub fn next_step(&self) -> NextStep {
        self.transcription.next_step()
    }

    /// Passes over the window from a frame on, if there is silence or a tone in it. The network would find words even there.
    pub fn pass_wordless(&mut self, seek: usize, frames: usize) -> bool {
        let samples = self.request.ask().audio.samples();
        let from = &samples[(seek * HOP).min(samples.len())..];
        let wordless = wordless(&from[..from.len().min(frames * HOP)]);
        if wordless {
            self.transcription.pass_window();
        }
        wordless
    }

    /// Looks at more of the recording, before the first window of so many frames is made. Whether all of it was looked at.
    pub fn look(&mut self, spectra: &Spectra, frames: usize) -> bool {
        spectra.look(self.request.ask().audio.samples(), &mut self.loudness, frames)
    }

    /// The spectrum of the window from a frame on.
    pub fn window(&mut self, spectra: &Spectra, seek: usize, frames: usize) -> Spectrum {
        spectra.window(self.request.ask().audio.samples(), &mut self.loudness, seek, frames)
    }

    /// Slots that it holds, or is to get for its window.
    pub fn width(&self) -> usize {
        self.transcription.width()
    }

    pub fn has_slots(&self) -> bool {
        !self.slots.is_empty()
    }

    /// The slot of its first sequence.
    pub fn slot(&self) -> Option<&Slot> {
        self.slots.first()
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Does not listen to its window any more.
    pub fn close(&mut self, slots: &mut Slots) {
        self.slots.drain(..).for_each(|slot| slots.close(slot));
    }

    /// Listens to another window.
    pub fn open(&mut self, slot: Slot) {
        self.slots.push(slot);
        self.transcription.encoded();
    }

    /// Makes a slot of each sequence that goes on hold what that is to keep.
    pub fn follow(&mut self, slots: &mut Slots, inputs: &[DecoderInput]) -> Result<()> {
        let mut before: Vec<Option<Slot>> = self.slots.drain(..).map(Some).collect();
        let goes_on = |at: usize| inputs.iter().any(|input| input.from == at);
        for (at, slot) in before.iter_mut().enumerate() {
            slot.take_if(|_| !goes_on(at)).into_iter().for_each(|slot| slots.close(slot));
        }
        for (at, input) in inputs.iter().enumerate() {
            let others = inputs[at + 1..].iter().any(|other| other.from == input.from);
            let Some(slot) = before.get_mut(input.from) else { candle_core::bail!("no sequence {}", input.from) };
            let slot = match slot {
                Some(slot) if others => slots.fork(slot)?,
                slot => slot.take().ok_or_else(|| candle_core::Error::msg("a sequence went on twice"))?,
            };
            slots.rewind(&slot, input.keep);
            self.slots.push(slot);
        }
        Ok(())
    }

    /// Takes what was chosen from `logits` `[sequences, vocabulary]`, and what it chooses from those after its prompt as long as
    /// one try follows the other.
    pub fn take(&mut self, chosen: impl IntoIterator<Item = Chosen>, logits: &Tensor, chooser: &Chooser) -> Result<()> {
        if self.transcription.begins() {
            self.first = Some(logits.force_contiguous()?);
        }
        self.take_chosen(chosen);
        while self.tries_again()
            && let Some(first) = &self.first
        {
            let chosen = chooser.choose(first, &self.transcription.choices(0))?;
            self.take_chosen(chosen);
        }
        Ok(())
    }

    fn take_chosen(&mut self, chosen: impl IntoIterator<Item = Chosen>) {
        match self.transcription.take(chosen) {
            Ok(segments) => self.emit(segments),
            Err(error) => {
                tracing::warn!(request = %self.request.id, %error, "a request failed in the model");
                self.failure = Some(RequestError::Broken);
            }
        }
    }

    /// Whether another try begins, with the logits after its prompt.
    fn tries_again(&self) -> bool {
        self.failure.is_none() && self.next_step() == NextStep::Decode(Vec::new())
    }

    /// `next` is the probability of each token but the first.
    pub fn align(&mut self, attention: Attention<'_>, next: &[f32]) {
        let segments = self.transcription.align(attention, next);
        self.emit(segments);
    }

    pub fn request(&self) -> &Request<Transcribe> {
        &self.request
    }

    /// Whether its reader is behind: until it reads on, nothing more is made for it.
    pub fn waits(&self) -> bool {
        !self.request.has_room()
    }

    /// Nothing more is made for it.
    pub fn give_up(&mut self, error: RequestError) {
        self.failure = Some(error);
    }

    /// Whether there is nothing left to do for it.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.transcription.is_over() || self.request.over().is_some()
    }

    /// Gives the last answer, and the slots back.
    pub fn end(self) -> Vec<Slot> {
        match self.failure.or_else(|| self.request.over()) {
            Some(error) => self.request.fail(error),
            None => self.request.finish(TranscriptEvent::Done(self.transcription.summary())),
        }
        self.slots
    }

    fn emit(&mut self, segments: Vec<Segment>) {
        for segment in segments {
            self.request.emit(TranscriptEvent::Segment(segment));
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn silence_and_tones_have_no_words_and_what_changes_may_have() {
        let tone = |pitch: f32| move |at: usize| 0.3 * (std::f32::consts::TAU * pitch * at as f32 / 16_000.0).sin();
        let made =
            |sample: &dyn Fn(usize) -> f32, seconds: usize| (0..16_000 * seconds).map(sample).collect::<Vec<_>>();
        assert!(wordless(&[]) && wordless(&[5e-5; 80_000]));
        for pitch in [50.0, 100.0, 440.0, 1000.0, 3999.0] {
            assert!(wordless(&made(&tone(pitch), 30)), "{pitch} Hz");
            assert!(!wordless(&made(&tone(pitch), 4)), "a vowel that is held may be as long");
        }
        let changing = |at: usize| tone(440.0)(at) * if (at / 1600).is_multiple_of(20) { 0.85 } else { 1.0 };
        assert!(!wordless(&made(&changing, 30)));
        let mut rng = StdRng::seed_from_u64(7);
        let mut in_noise = |at: usize| {
            let said = if (at / 1600).is_multiple_of(20) { tone(440.0)(at) / 4.0 } else { 0.0 };
            said + rng.random_range(-0.1..0.1)
        };
        assert!(!wordless(&(0..480_000).map(&mut in_noise).collect::<Vec<_>>()));
    }
}
