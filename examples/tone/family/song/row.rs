//! A song in hand.

use std::{collections::VecDeque, f32::consts::TAU, time::Duration};

use sconce::{
    audio::Pcm,
    model::Request,
    speech::{Mark, MarkKind, SpeechEvent, SpeechProgress, SpeechSummary, Synthesize},
};

use super::{STEMS, checkpoint, options::Options, sections};
use crate::family::RATE;

/// A letter lasts so many samples.
const LETTER: usize = RATE as usize / 25;
/// Hertz of the lowest letter.
const LOWEST: f32 = 110.0;
/// A section is reckoned to take so long.
const USUAL: Duration = Duration::from_secs(2);

/// A song in hand.
pub struct Row {
    pub request: Request<Synthesize>,
    sections: Vec<String>,
    /// The section that is sung next.
    next: usize,
    /// Sections that another process sang: they are heard again, but are no work.
    sung: usize,
    seed: u64,
    options: Options,
    /// What is to be handed out before more is sung.
    ready: VecDeque<SpeechEvent>,
    samples: usize,
    /// Of what was sung here.
    marks: Vec<Mark>,
    done: bool,
}

impl Row {
    /// Answers at once what cannot be sung.
    pub fn new(request: Request<Synthesize>) -> Option<Self> {
        let asked = request.ask();
        let options = match Options::parse(&asked.options.options) {
            Ok(options) => options,
            Err(error) => {
                request.fail(error);
                return None;
            }
        };
        let sung = checkpoint::read(asked.checkpoint.as_ref(), checkpoint::identity(asked));
        let sections: Vec<_> = sections(&asked.text).map(str::to_owned).collect();
        let seed = asked.options.seed.unwrap_or_default();
        let (ready, marks) = (VecDeque::new(), Vec::new());
        Some(Self { sections, next: 0, sung, seed, options, ready, samples: 0, marks, done: false, request })
    }

    /// `None`: it waits for its caller.
    pub fn step(&mut self) -> Option<()> {
        if !self.request.has_room() {
            return None;
        }
        if let Some(event) = self.ready.pop_front() {
            self.request.emit(event);
            return Some(());
        }
        match self.sections.get(self.next).cloned() {
            None => self.done = true,
            Some(_) if self.options.hold == Some(self.next) && self.sung == 0 => return None,
            Some(section) => self.sing(&section),
        }
        Some(())
    }

    pub fn is_over(&self) -> bool {
        self.done || self.request.over().is_some()
    }

    pub fn end(self) {
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None => {
                let (seconds, tokens) = (seconds(self.samples), self.marks.len());
                let seed = Some(self.seed);
                self.request.finish(SpeechEvent::Done(SpeechSummary {
                    seconds,
                    tokens,
                    seed,
                    marks: self.marks,
                    tail: None,
                }));
            }
        }
    }

    fn sing(&mut self, section: &str) {
        let start = self.samples;
        for letter in section.chars() {
            let (low, high) = (self.tone(letter, 1.0), self.tone(letter, 4.0));
            let both = low.iter().zip(&high).map(|(low, high)| low + high).collect();
            let mut of_stem = [both, low, high].into_iter();
            let sounds: Vec<_> = STEMS.iter().map(|name| (*name, of_stem.next().unwrap_or_default())).collect();
            self.hand_out(sounds);
        }
        self.next += 1;
        let (done, sections) = (self.next, self.sections.len());
        let remaining = Some(USUAL * (sections - done) as u32);
        let progress = SpeechProgress { done, sections, seconds: seconds(self.samples), remaining, memory: None };
        self.ready.push_back(SpeechEvent::Progress(progress));
        if done > self.sung {
            let (start, end) = (seconds(start), seconds(self.samples));
            self.marks.push(Mark { kind: MarkKind::Sentence, text: section.to_owned(), start, end });
            let bytes = self.options.checkpoint_bytes.unwrap_or_default();
            let kept = checkpoint::write(checkpoint::identity(self.request.ask()), done, bytes);
            self.ready.push_back(SpeechEvent::Checkpoint(kept));
        }
    }

    /// Those of the sounds that are asked for, the first of them as the sound itself.
    fn hand_out(&mut self, mut sounds: Vec<(&'static str, Vec<f32>)>) {
        self.samples += LETTER;
        let asked = &self.request.ask().options.stems;
        let own = asked.first().map_or(STEMS[0], String::as_str).to_owned();
        sounds.retain(|(name, _)| *name == own || asked.iter().any(|asked| asked == name));
        for (name, samples) in sounds {
            let pcm = Pcm::new(samples, RATE);
            let is_own = *name == *own;
            self.ready.push_back(if is_own { SpeechEvent::Audio(pcm) } else { SpeechEvent::Stem(name, pcm) });
        }
    }

    fn tone(&self, letter: char, octaves: f32) -> Vec<f32> {
        let halftones = ((u64::from(letter) ^ self.seed) % 12) as f32;
        let step = TAU * LOWEST * octaves * (halftones / 12.0).exp2() / RATE as f32;
        (0..LETTER).map(|at| 0.3 * (step * at as f32).sin()).collect()
    }
}

fn seconds(samples: usize) -> f64 {
    samples as f64 / f64::from(RATE)
}
