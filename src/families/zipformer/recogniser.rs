//! A loaded model at work: requests share the networks, and every step takes a chunk or a window of each one's sound.

use super::{
    options::DecodingOptions,
    search::Search,
    stream::Chunks,
    stretch::Stretch,
    tokens::Tokens,
    transducer::{Encoded, FRAMES, RATE, Transducer},
    windows,
};
use crate::{
    audio::{FbankStream, Pcm},
    families::onnx::{RunError, States},
    model::{Batch, Broken, Input, Model, Request, RequestError},
    speech::{Summary, Transcribe, TranscriptEvent, languages},
};

/// Samples that are turned into frames in a step, at most: a second.
const STEP: usize = RATE as usize;

/// Samples by which a window grows before it is guessed at again.
const GUESS: usize = RATE as usize * 4 / 5;
/// Frames of the shortest window that is heard: what is shorter says nothing.
const SHORTEST_WINDOW: usize = 16;

/// A model, and what is known of it.
pub struct Recogniser {
    pub transducer: Transducer,
    pub tokens: Tokens,
    pub language: Option<&'static str>,
    pub max_batch: usize,
}

/// A request in hand.
struct Row {
    request: Request<Transcribe>,
    wish: DecodingOptions,
    language: String,
    sound: Sound,
    hearing: Hearing,
    search: Search,
    stretch: Stretch,
    /// Vectors of the encoder that were searched.
    vectors: usize,
    /// Samples that came.
    heard: usize,
    segments: usize,
    symbols: usize,
    /// What was told last of the stretch that is not over.
    partial: String,
    state: State,
}

/// ```text
/// Hearing ◄──► Waiting (for more sound, or for room) ; Hearing ──► Finished | Failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hearing,
    Waiting,
    Finished,
    Failed,
}

/// How sound is heard.
enum Hearing {
    /// As it comes.
    Chunks { chunks: Chunks, states: States },
    /// A window at once.
    Window(Window),
}

/// Sound that is not heard for good.
#[derive(Default)]
struct Window {
    /// Samples before it.
    begins: usize,
    samples: Vec<f32>,
    /// Of it, what the last guess was made of.
    guessed: usize,
}

/// What is to be heard next.
enum Sound {
    /// Of the request itself, from there on.
    Beginning(usize),
    /// Of what came later, from there on.
    Part(Pcm, usize),
    Over,
}

enum Next {
    Samples(Vec<f32>),
    Pending,
    End,
}

// === impl Recogniser ===

impl Recogniser {
    fn begin(&self, request: Request<Transcribe>) -> Option<Row> {
        let wish = match DecodingOptions::of(&request.ask().options, self.language) {
            Ok(wish) => wish,
            Err(error) => {
                request.fail(error);
                return None;
            }
        };
        let asked = request.ask().options.language.as_deref().and_then(languages::code);
        Some(Row {
            wish,
            language: self.language.or(asked).unwrap_or_default().to_owned(),
            sound: Sound::Beginning(0),
            hearing: self.hearing(),
            search: Search::new(&self.transducer),
            stretch: Stretch::default(),
            vectors: 0,
            heard: 0,
            segments: 0,
            symbols: 0,
            partial: String::new(),
            state: State::Hearing,
            request,
        })
    }

    fn hearing(&self) -> Hearing {
        match self.transducer.chunk {
            Some(chunk) => {
                Hearing::Chunks { chunks: Chunks::new(&self.transducer.fbank, chunk), states: self.transducer.states() }
            }
            None => Hearing::Window(Window::default()),
        }
    }
}

impl Model for Recogniser {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn transcribe(&mut self, batch: &mut Batch<'_, Transcribe>) -> Result<(), Broken> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let newcomers = batch.admit_live(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return Ok(());
            }
            rows.extend(newcomers.into_iter().filter_map(|request| self.begin(request)));
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            if rows.is_empty() {
                continue;
            }
            for row in &mut rows {
                row.step(&mut self.transducer, &self.tokens);
                if row.state != State::Waiting {
                    // A chunk takes long enough to count by itself.
                    batch.step();
                }
            }
            if rows.iter().all(|row| row.state == State::Waiting) {
                batch.park(rows.iter().map(|row| &row.request));
            }
        }
    }

    /// A little silence goes through all three networks.
    fn warm_up(&mut self) -> Result<(), Broken> {
        let (transducer, tokens) = (&mut self.transducer, &self.tokens);
        let mut hear = || -> Result<(), RunError> {
            let frames = transducer.chunk.map_or(FRAMES, |chunk| chunk.length);
            let silence = vec![f32::EPSILON.ln(); frames * transducer.fbank.bands()];
            let (mut states, mut search) = (transducer.states(), Search::new(transducer));
            let encoded = transducer.encode(silence, &mut states)?;
            for vector in encoded.vectors() {
                search.step(vector, transducer, tokens, 0.0)?;
            }
            Ok(())
        };
        hear().map_err(|error| Broken(error.into()))
    }
}

// === impl Row ===

impl Row {
    /// Hears a little, if there is something to hear and somebody to tell it.
    fn step(&mut self, transducer: &mut Transducer, tokens: &Tokens) {
        if matches!(self.state, State::Finished | State::Failed) {
            return;
        }
        self.state = State::Waiting;
        if !self.request.has_room() {
            return;
        }
        self.state = self.hear(transducer, tokens).unwrap_or_else(|error| {
            tracing::warn!(request = %self.request.id, %error, "a request failed in the model");
            State::Failed
        });
    }

    fn hear(&mut self, transducer: &mut Transducer, tokens: &Tokens) -> Result<State, RunError> {
        match self.hearing {
            Hearing::Window(_) => self.hear_window(transducer, tokens),
            Hearing::Chunks { .. } => self.hear_chunk(transducer, tokens),
        }
    }

    fn hear_window(&mut self, transducer: &mut Transducer, tokens: &Tokens) -> Result<State, RunError> {
        let Hearing::Window(window) = &self.hearing else { return Ok(State::Failed) };
        if windows::is_too_long(&window.samples) {
            self.end_window(transducer, tokens)?;
            return Ok(State::Hearing);
        }
        match self.next() {
            Next::Samples(samples) => {
                self.heard += samples.len();
                if let Hearing::Window(window) = &mut self.hearing {
                    window.samples.extend(samples);
                }
                Ok(State::Hearing)
            }
            Next::Pending => self.guess(transducer, tokens),
            Next::End => {
                self.end_window(transducer, tokens)?;
                Ok(State::Finished)
            }
        }
    }

    /// Hears a window for good, and begins the next one after it.
    fn end_window(&mut self, transducer: &mut Transducer, tokens: &Tokens) -> Result<(), RunError> {
        let Hearing::Window(window) = &mut self.hearing else { return Ok(()) };
        let begins = window.begins;
        let samples: Vec<f32> = window.samples.drain(..windows::next(&window.samples)).collect();
        (window.begins, window.guessed) = (begins + samples.len(), 0);
        self.search = Search::new(transducer);
        let before = begins as f64 / f64::from(RATE);
        if let Some(encoded) = encoded(&samples, transducer)? {
            for (place, vector) in encoded.vectors().enumerate() {
                self.search(vector, before + transducer.seconds(place), begins, transducer, tokens)?;
            }
        }
        self.tell_rest(begins, tokens);
        Ok(())
    }

    /// What a window seems to be so far, when it grew enough.
    fn guess(&mut self, transducer: &mut Transducer, tokens: &Tokens) -> Result<State, RunError> {
        let Hearing::Window(window) = &mut self.hearing else { return Ok(State::Failed) };
        if window.samples.len() < window.guessed + GUESS {
            return Ok(State::Waiting);
        }
        window.guessed = window.samples.len();
        let Some(encoded) = encoded(&window.samples, transducer)? else { return Ok(State::Waiting) };
        let (mut search, mut said) = (Search::new(transducer), Vec::new());
        for vector in encoded.vectors() {
            said.extend(search.step(vector, transducer, tokens, self.wish.blank_penalty)?);
        }
        self.tell_partial(tokens.text(said.iter().map(|said| said.symbol)).trim());
        Ok(State::Hearing)
    }

    fn hear_chunk(&mut self, transducer: &mut Transducer, tokens: &Tokens) -> Result<State, RunError> {
        let Hearing::Chunks { chunks, states } = &mut self.hearing else { return Ok(State::Failed) };
        let Some(frames) = chunks.next() else { return self.take_more(transducer, tokens) };
        let encoded = transducer.encode(frames, states)?;
        for vector in encoded.vectors() {
            self.search(vector, transducer.seconds(self.vectors), 0, transducer, tokens)?;
            self.vectors += 1;
        }
        if !self.request.is_whole() {
            let text = self.stretch.text(tokens);
            self.tell_partial(&text);
        }
        Ok(State::Hearing)
    }

    /// There is no whole chunk: more sound may make one.
    fn take_more(&mut self, transducer: &mut Transducer, tokens: &Tokens) -> Result<State, RunError> {
        match self.next() {
            Next::Samples(samples) => {
                self.heard += samples.len();
                if let Hearing::Chunks { chunks, .. } = &mut self.hearing {
                    chunks.push(&transducer.fbank, &samples);
                }
                Ok(State::Hearing)
            }
            Next::Pending => Ok(State::Waiting),
            Next::End if matches!(self.sound, Sound::Over) => {
                self.tell_rest(0, tokens);
                Ok(State::Finished)
            }
            Next::End => {
                self.sound = Sound::Over;
                if let Hearing::Chunks { chunks, .. } = &mut self.hearing {
                    chunks.end(&transducer.fbank);
                }
                Ok(State::Hearing)
            }
        }
    }

    fn search(
        &mut self,
        vector: &[f32],
        at: f64,
        seek: usize,
        transducer: &mut Transducer,
        tokens: &Tokens,
    ) -> Result<(), RunError> {
        let over = match self.search.step(vector, transducer, tokens, self.wish.blank_penalty)? {
            Some(said) => {
                self.symbols += 1;
                self.stretch.push(said, at, tokens)
            }
            None => self.stretch.wait(at),
        };
        if let Some(stretch) = over {
            self.tell(&stretch, seek, tokens);
        }
        Ok(())
    }

    /// What is to be turned into frames in this step.
    fn next(&mut self) -> Next {
        loop {
            let (samples, at) = match &mut self.sound {
                Sound::Beginning(at) => (self.request.ask().audio.samples(), at),
                Sound::Part(pcm, at) => (pcm.samples(), at),
                Sound::Over => return Next::End,
            };
            if *at < samples.len() {
                let piece = samples[*at..(*at + STEP).min(samples.len())].to_vec();
                *at += piece.len();
                return Next::Samples(piece);
            }
            match self.request.input() {
                Input::More(pcm) => self.sound = Sound::Part(pcm, 0),
                Input::Pending => return Next::Pending,
                Input::End => return Next::End,
            }
        }
    }

    fn tell_rest(&mut self, seek: usize, tokens: &Tokens) {
        let stretch = std::mem::take(&mut self.stretch);
        if !stretch.is_empty() {
            self.tell(&stretch, seek, tokens);
        }
    }

    /// A stretch is over. `seek`: the sample at which its window begins.
    fn tell(&mut self, stretch: &Stretch, seek: usize, tokens: &Tokens) {
        self.partial.clear();
        let seek = seek * FRAMES / RATE as usize;
        if let Some(segment) = stretch.segment(tokens, self.segments, seek, self.seconds(), self.wish.words) {
            self.segments += 1;
            self.request.emit(TranscriptEvent::Segment(segment));
        }
    }

    fn tell_partial(&mut self, text: &str) {
        if text != self.partial {
            text.clone_into(&mut self.partial);
            self.request.emit(TranscriptEvent::Partial(text.to_owned()));
        }
    }

    /// That came.
    fn seconds(&self) -> f64 {
        self.heard as f64 / f64::from(RATE)
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Finished | State::Failed) || self.request.over().is_some()
    }

    fn end(self) {
        match (self.request.over(), self.state) {
            (_, State::Finished) => {
                let (language, duration, tokens) = (self.language.clone(), self.seconds(), self.symbols);
                self.request.finish(TranscriptEvent::Done(Summary { language, duration, tokens }));
            }
            (Some(error), _) => self.request.fail(error),
            (None, _) => self.request.fail(RequestError::Broken),
        }
    }
}

/// A window, heard at once; `None`: it is too short to be anything.
fn encoded(samples: &[f32], transducer: &mut Transducer) -> Result<Option<Encoded>, RunError> {
    let mut stream = FbankStream::new(&transducer.fbank);
    let mut frames = stream.push(&transducer.fbank, samples);
    frames.extend(stream.end(&transducer.fbank));
    if frames.len() < SHORTEST_WINDOW * transducer.fbank.bands() {
        return Ok(None);
    }
    let mut states = transducer.states();
    transducer.encode(frames, &mut states).map(Some)
}
