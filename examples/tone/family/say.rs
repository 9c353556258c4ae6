//! A text, letter by letter.

use std::f32::consts::{PI, TAU};

use sconce::{
    audio::Pcm,
    model::{Request, RequestError},
    speech::{Mark, MarkKind, SpeechSummary, Synthesize},
};

use super::{
    RATE,
    batch::Toned,
    options::{self, Options},
    voice::Voices,
};

/// A letter lasts so many seconds.
const LETTER: f32 = 0.08;
/// Of full scale 1.
const LOUDNESS: f32 = 0.3;
/// Halftones that letters are spread over.
const HALFTONES: u64 = 25;

/// A text that is being said.
pub struct Saying {
    letters: Vec<char>,
    /// The letter that is said next.
    next: usize,
    /// Blocks and samples that were made.
    blocks: usize,
    samples: usize,
    pitch: f32,
    speed: f32,
    seed: u64,
    options: Options,
    /// The word that is being said, and where it began, in seconds.
    word: Option<(String, f64)>,
    marks: Vec<Mark>,
}

impl Toned for Synthesize {
    type Progress = Saying;

    fn begin(request: &Request<Self>, voices: &Voices) -> Result<Saying, RequestError> {
        let Synthesize { text, options: asked, .. } = request.ask();
        if request.is_whole() && text.trim().is_empty() {
            let message = "the text has nothing in it that could be said".to_owned();
            return Err(RequestError::Invalid { param: "text", message });
        }
        let (seed, mut knobs) = (options::seed(asked.seed), Options::parse(&asked.options)?);
        if knobs.only_seed.is_some_and(|only| only != seed) {
            (knobs.endless, knobs.ends_after) = (false, None);
        }
        Ok(Saying {
            letters: text.chars().collect(),
            next: 0,
            blocks: 0,
            samples: 0,
            pitch: voices.pitch(asked.voice.as_ref())?,
            speed: options::speed(asked.speed)?,
            seed,
            options: knobs,
            word: None,
            marks: Vec::new(),
        })
    }

    fn add(saying: &mut Saying, part: String) {
        // What was said is not needed any more: a text may go on for hours.
        saying.letters.drain(..saying.next);
        saying.next = 0;
        saying.letters.extend(part.chars());
    }

    fn next(saying: &mut Saying) -> Option<Pcm> {
        if saying.options.endless && saying.next == saying.letters.len() {
            saying.next = 0;
        }
        if saying.options.ends_after.is_some_and(|letters| saying.blocks >= letters) {
            return None;
        }
        let letter = *saying.letters.get(saying.next)?;
        assert!(saying.options.panic_at != Some(saying.blocks), "it was asked to");
        saying.next += 1;
        saying.blocks += 1;
        saying.mark(letter);
        let block = saying.tone(letter);
        saying.samples += block.samples().len();
        Some(block)
    }

    fn summary(mut saying: Saying) -> SpeechSummary {
        saying.mark(' ');
        let (seconds, tokens) = (saying.seconds(), saying.blocks);
        SpeechSummary { seconds, tokens, seed: Some(saying.seed), marks: saying.marks, tail: None }
    }
}

impl Saying {
    fn seconds(&self) -> f64 {
        self.samples as f64 / f64::from(RATE)
    }

    /// Notes where words begin and end.
    fn mark(&mut self, letter: char) {
        let now = self.seconds();
        if !letter.is_whitespace() {
            self.word.get_or_insert_with(|| (String::new(), now)).0.push(letter);
        } else if let Some((text, start)) = self.word.take().filter(|_| !self.options.endless) {
            self.marks.push(Mark { kind: MarkKind::Word, text, start, end: now });
        }
    }

    /// Swells and fades, so that nothing clicks. A blank is silent.
    fn tone(&self, letter: char) -> Pcm {
        let length = (RATE as f32 * LETTER / self.speed).round() as usize;
        let halftones = (mixed(self.seed ^ u64::from(letter)) % HALFTONES) as f32;
        let step = TAU * self.pitch * (halftones / 12.0).exp2() / RATE as f32;
        let loudness = if letter.is_whitespace() { 0.0 } else { LOUDNESS };
        let sample = |at: usize| loudness * (PI * at as f32 / length as f32).sin() * (step * at as f32).sin();
        Pcm::new((0..length).map(sample).collect(), RATE)
    }
}

/// Bits without a pattern: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mixed(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
