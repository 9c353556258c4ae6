//! Requests, and the networks that answer them: a column of codes for every text in hand, and sound as it becomes due.

use sha2::{Digest, Sha256};

use super::{
    blocks::{self, Block},
    error::SpeakError,
    net::{CodeIds, Finish, HiggsNet, HiggsRequest, Prefix, PrefixCache, Segment},
    options::SpeechOptions,
    prompt::{Prompter, Scene},
    speakers, text,
    utterance::Utterance,
    voices::Voices,
    words::Words,
};
use crate::{
    audio::Pcm,
    model::{Batch, Broken, Model, Request, RequestError},
    nn::{Threads, codec::XCodec},
    speech::{SpeechEvent, SpeechSummary, SpeechTail, Synthesize, SynthesizeOptions},
};

/// What is said before anybody asks, and how little of it.
const WARM_UP: &str = "Hello.";
const WARM_UP_FRAMES: usize = 2;

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

/// A request in hand, and what becomes of it.
struct Row {
    request: Request<Synthesize>,
    spoken: Spoken,
    samples: usize,
    rate: u32,
    state: State,
}

/// What is being said, and what will be told of it.
struct Spoken {
    utterance: Utterance,
    options: SpeechOptions,
    /// What was said before, and what is asked now.
    before: Vec<Block>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Going,
    /// All was said.
    Done,
    /// The network's numbers were none.
    Lost,
}

// === impl Synthesizer ===

impl Synthesizer {
    /// Works on requests until nobody is left.
    fn work(&self, batch: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            for request in newcomers {
                rows.extend(self.begin(request)?);
            }
            let books = self.codec.books();
            rows.extract_if(.., |row| row.is_over()).for_each(|row| row.end(books));
            let mut going: Vec<_> = rows.iter_mut().filter(|row| row.request.has_room()).collect();
            if going.is_empty() {
                batch.park(rows.iter().map(|row| &row.request));
                continue;
            }
            self.threads.install(|| self.step(&mut going)).map_err(|error| Broken(error.into()))?;
            batch.step();
        }
    }

    /// A column for every text, and the sound of those for which it is time.
    fn step(&self, rows: &mut [&mut Row]) -> candle_core::Result<()> {
        let mut live: Vec<_> = rows.iter_mut().map(|row| &mut row.spoken.utterance.row).collect();
        self.net.step(&mut live)?;
        for row in rows {
            let utterance = &mut row.spoken.utterance;
            match utterance.row.finish() {
                Some(Finish::Lost) => row.state = State::Lost,
                Some(Finish::Stopped | Finish::Full) => row.state = State::Done,
                None => {}
            }
            if row.state != State::Lost && utterance.is_due() {
                let sound = utterance.sound(&self.codec)?;
                row.emit(sound);
            }
        }
        Ok(())
    }

    /// Answers at once what cannot be done.
    fn begin(&self, request: Request<Synthesize>) -> Result<Option<Row>, Broken> {
        match self.threads.install(|| self.spoken(request.ask())) {
            Ok(spoken) => {
                let rate = self.codec.rate();
                Ok(Some(Row { request, spoken, samples: 0, rate, state: State::Going }))
            }
            Err(error) => {
                request.fail(error.of_request()?);
                Ok(None)
            }
        }
    }

    /// Reads scene, voices and text, and draws the first column.
    fn spoken(&self, ask: &Synthesize) -> Result<Spoken, SpeakError> {
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

    /// Whether there is room for all of it.
    fn check(&self, beginning: &[Segment], rest: &[Segment], new_frames: usize) -> Result<(), SpeakError> {
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
        Err(SpeakError::invalid("instructions", message))
    }

    /// Read once, and kept for those who begin alike.
    fn prefix(&self, beginning: &[Segment]) -> Result<std::sync::Arc<Prefix>, SpeakError> {
        let name = fingerprint(beginning);
        Ok(self.prefixes.get_or_read(&name, || self.net.read_prefix(beginning))?)
    }

    fn warm_up_alone(&self) -> Result<(), SpeakError> {
        let mut options = SynthesizeOptions { seed: Some(1), ..SynthesizeOptions::default() };
        options.options.insert("max_new_tokens".to_owned(), WARM_UP_FRAMES.into());
        let ask = Synthesize { text: WARM_UP.to_owned(), options, ..Synthesize::default() };
        let mut spoken = self.spoken(&ask)?;
        while !spoken.utterance.row.finished() {
            self.net.step(&mut [&mut spoken.utterance.row])?;
        }
        spoken.utterance.sound(&self.codec)?;
        Ok(())
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
        self.work(requests)
    }

    /// All that a request has is its own.
    fn recover(&mut self) -> bool {
        true
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        self.threads.install(|| self.warm_up_alone()).map_err(|error| Broken(error.into()))
    }
}

// === impl Row ===

impl Row {
    fn emit(&mut self, sound: Vec<f32>) {
        if !sound.is_empty() {
            self.samples += sound.len();
            self.request.emit(SpeechEvent::Audio(Pcm::new(sound, self.rate)));
        }
    }

    fn is_over(&self) -> bool {
        self.state != State::Going || self.request.over().is_some()
    }

    fn end(self, books: usize) {
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None if self.state == State::Lost => self.request.fail(RequestError::Broken),
            None => {
                let summary = SpeechSummary {
                    seconds: self.samples as f64 / f64::from(self.rate),
                    tokens: self.spoken.utterance.row.frames(),
                    seed: Some(self.spoken.options.seed),
                    tail: self.spoken.tail(books),
                    ..SpeechSummary::default()
                };
                self.request.finish(SpeechEvent::Done(summary));
            }
        }
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
