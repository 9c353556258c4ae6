//! The networks that answer requests.

use sha2::{Digest, Sha256};

use super::{
    blocks::{self, Block},
    net::{CodeIds, HiggsNet, HiggsRequest, Prefix, PrefixCache, Segment},
    options::SpeechOptions,
    prompt::{Prompter, Scene},
    speakers, text,
    utterance::Utterance,
    voices::Voices,
    words::Words,
};
use crate::{
    families::{
        code_speech::{self, CodeSpeaker, CodeUtterance, FinishReason},
        speech_error::SpeechError,
    },
    model::{Batch, Broken, Model},
    nn::{Threads, codec::XCodec},
    speech::{SpeechSummary, SpeechTail, Synthesize},
};

/// Positions of a sequence, at most: scene, voices, what was said before, text and sound. Boson's own server has as many.
pub const MOST_POSITIONS: usize = 8192;

/// The model.
pub struct Synthesizer {
    pub threads: Threads,
    pub net: HiggsNet,
    pub codec: XCodec,
    pub words: Words,
    pub voices: Voices,
    pub prefixes: PrefixCache,
    pub max_batch: usize,
}

/// What is being said, and what will be told of it.
pub struct Spoken {
    utterance: Utterance,
    options: SpeechOptions,
    /// What was said before, and what is asked now.
    before: Vec<Block>,
    text: String,
}

// === impl Synthesizer ===

impl Synthesizer {
    /// Whether there is room for all of it.
    fn check(&self, beginning: &[Segment], rest: &[Segment], new_frames: usize) -> Result<(), SpeechError> {
        let CodeIds { books, .. } = *self.net.ids();
        let (scene, rest) = (self.net.positions(beginning)?, self.net.positions(rest)? + new_frames + books);
        if scene + rest <= MOST_POSITIONS {
            return Ok(());
        }
        let room = MOST_POSITIONS.saturating_sub(rest);
        let message = format!(
            "instructions and the recordings of voices take {scene} positions of the model, and {room} of its {MOST_POSITIONS} \
             are left beside the text; a shorter scene or shorter recordings would be right"
        );
        Err(SpeechError::invalid("instructions", message))
    }

    /// Read once, and kept for those who begin alike.
    fn prefix(&self, beginning: &[Segment]) -> Result<std::sync::Arc<Prefix>, SpeechError> {
        let name = fingerprint(beginning);
        Ok(self.prefixes.get_or_read(&name, || self.net.read_prefix(beginning))?)
    }
}

impl CodeSpeaker for Synthesizer {
    type Utterance = Spoken;

    fn threads(&self) -> &Threads {
        &self.threads
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn rate(&self) -> u32 {
        self.codec.rate()
    }

    fn begin(&self, ask: &Synthesize) -> Result<Spoken, SpeechError> {
        let options = SpeechOptions::new(&ask.options)?;
        speakers::check(&ask.text, ask.options.voice.as_ref())?;
        let before = ask.before.as_ref().map(blocks::of_tail).unwrap_or_default();
        let text = asked(&ask.text, &before, ask.options.voice.is_some());
        let prompter = Prompter { words: &self.words, ids: self.net.ids() };
        let beginning = prompter.beginning(&Scene {
            description: ask.options.instructions.clone(),
            references: self.voices.get(ask.options.voice.as_ref(), &self.codec)?,
            speakers: before
                .iter()
                .map(|block| &block.text)
                .chain([&text])
                .map(|text| speakers::count(text))
                .max()
                .unwrap_or(0),
        })?;
        let (rest, new_frames) = (prompter.rest(&before, &text)?, options.new_frames(&text));
        self.check(&beginning, &rest, new_frames)?;
        let prefix = self.prefix(&beginning)?;
        let request = HiggsRequest { sampling: options.sampling, new_frames, seed: options.seed };
        let row = self.net.admit(&prefix, &rest, &request)?;
        let heard = before.last().map_or(&[][..], |block| &block.codes);
        let utterance = Utterance::new(row, &self.codec, heard, options.first_block)?;
        Ok(Spoken { utterance, options, before, text })
    }

    fn step(&self, spoken: &mut [&mut Spoken]) -> candle_core::Result<()> {
        let mut rows: Vec<_> = spoken.iter_mut().map(|spoken| &mut spoken.utterance.row).collect();
        self.net.step(&mut rows)
    }

    fn sound(&self, spoken: &mut Spoken) -> candle_core::Result<Vec<f32>> {
        spoken.utterance.sound(&self.codec)
    }

    fn summary(&self, spoken: Spoken) -> SpeechSummary {
        let (tokens, seed) = (spoken.utterance.row.frames(), Some(spoken.options.seed));
        SpeechSummary { tokens, seed, tail: spoken.tail(self.codec.books()), ..SpeechSummary::default() }
    }
}

/// A text as the model knows texts, said by who spoke last if it does not say who speaks.
fn asked(text: &str, before: &[Block], voices: bool) -> String {
    let text = text::normalized(text);
    let earlier = before.iter().rev().find_map(|block| speakers::last(&block.text));
    match (earlier, speakers::count(&text)) {
        (Some(speaker), _) => speakers::spoken_by(&text, speaker),
        // In a dialogue somebody says the first words.
        (None, 1..) if voices => speakers::spoken_by(&text, 0),
        (None, _) => text,
    }
}

/// What tells one beginning from another.
fn fingerprint(segments: &[Segment]) -> String {
    let mut all = Sha256::new();
    for segment in segments {
        let (kind, numbers) = match segment {
            Segment::Text(ids) => (0u32, ids),
            Segment::Audio(codes) => (1, codes),
        };
        all.update(kind.to_le_bytes());
        all.update((numbers.len() as u64).to_le_bytes());
        numbers.iter().for_each(|number| all.update(number.to_le_bytes()));
    }
    hex::encode(all.finalize())
}

impl Model for Synthesizer {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        code_speech::work(self, requests)
    }

    /// All that a request has is its own.
    fn recover(&mut self) -> bool {
        true
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        code_speech::warm_up(self)
    }
}

// === impl Spoken ===

impl Spoken {
    /// What the next block of the text is told of this one and of those before.
    fn tail(mut self, books: usize) -> Option<SpeechTail> {
        let row = &self.utterance.row;
        self.before.push(Block { text: self.text, codes: row.codes(0..row.frames()) });
        blocks::to_tail(self.before, self.options.context_blocks, books)
    }
}

impl CodeUtterance for Spoken {
    fn finish(&self) -> Option<FinishReason> {
        self.utterance.finish()
    }

    fn is_due(&self) -> bool {
        self.utterance.is_due()
    }
}
