//! One request in the hands of a program.

use std::{collections::VecDeque, time::Instant};

use super::{
    message::{Answer, Failure, Hello, WINDOW, shortened},
    posed::{Tally, Worked},
};
use crate::model::{Request, RequestError};

/// A program that sends so many times more than it may does not look at all.
const OVERRUN: usize = 2;
/// Bytes that are worth telling that they were taken.
const WORTH_TELLING: usize = WINDOW / 8;

/// One request in the hands of a program.
pub struct Row<T: Worked> {
    pub id: u64,
    pub request: Request<T>,
    /// What came of it and was not handed on, with the bytes that it took.
    waiting: VecDeque<(T::Piece, usize)>,
    waiting_bytes: usize,
    /// Bytes that were handed on and of which the program does not know.
    taken: usize,
    tally: Tally,
    /// When the program last gave a sign of life, or could not.
    pub heard: Instant,
    end: Option<Result<T::Piece, RequestError>>,
    /// Whether the program itself ended it.
    pub answered: bool,
}

// === impl Row ===

impl<T: Worked> Row<T> {
    pub fn new(id: u64, request: Request<T>) -> Self {
        let tally = request.ask().tally();
        let (waiting, heard) = (VecDeque::new(), Instant::now());
        Self { id, request, waiting, waiting_bytes: 0, taken: 0, tally, heard, end: None, answered: false }
    }

    /// Takes what the program says of it. An error means that the program cannot be believed.
    pub fn take(&mut self, answer: Answer, sound: &[u8], bytes: usize, hello: &Hello) -> Result<(), String> {
        self.heard = Instant::now();
        if self.end.is_some() {
            // It is over already; what still comes was on its way.
            self.answered |= matches!(answer, Answer::Done(_) | Answer::Error(_));
            return Ok(());
        }
        let asked = self.request.ask();
        let piece = match answer {
            Answer::Piece(piece) => asked.piece(&piece, sound, hello, &mut self.tally),
            Answer::Segment(segment) => asked.segment(segment, &mut self.tally),
            Answer::Done(done) => {
                self.end = Some(asked.done(done, &self.tally));
                self.answered = true;
                return Ok(());
            }
            Answer::Error(failure) => {
                self.end = Some(Err(failed(&self.request.id, &failure)));
                self.answered = true;
                return Ok(());
            }
            _ => return Err("it answers what nobody asked".to_owned()),
        };
        match piece {
            Ok(piece) => {
                self.waiting.push_back((piece, bytes));
                self.waiting_bytes += bytes;
            }
            Err(reason) => {
                tracing::warn!(request = self.request.id, reason, "a program failed");
                self.end = Some(Err(RequestError::Broken));
            }
        }
        match self.waiting_bytes > OVERRUN * WINDOW {
            true => Err(format!("it sent more than {WINDOW} bytes for one job that nobody had taken")),
            false => Ok(()),
        }
    }

    /// Hands on what there is room for: the bytes of which the program is to be told, if there are enough of them.
    pub fn hand_on(&mut self) -> Option<usize> {
        while self.request.has_room()
            && let Some((piece, bytes)) = self.waiting.pop_front()
        {
            self.request.emit(piece);
            self.waiting_bytes -= bytes;
            self.taken += bytes;
        }
        if !self.waiting.is_empty() {
            // The program may have to wait for the reader.
            self.heard = Instant::now();
        }
        (self.taken >= WORTH_TELLING && self.end.is_none()).then(|| std::mem::take(&mut self.taken))
    }

    /// Whether nothing is to be awaited any more: it failed, or all was handed on, or nobody wants it.
    pub fn is_over(&self) -> bool {
        let ended = match &self.end {
            Some(Ok(_)) => self.waiting.is_empty(),
            Some(Err(_)) => true,
            None => false,
        };
        ended || self.request.over().is_some()
    }

    pub fn end(self) {
        let Self { request, end, .. } = self;
        match (request.over(), end) {
            (Some(error), _) | (None, Some(Err(error))) => request.fail(error),
            (None, Some(Ok(last))) => request.finish(last),
            (None, None) => request.fail(RequestError::Broken),
        }
    }
}

/// What a program says went wrong with a request. What is its own fault is for the log.
fn failed(request: &str, failure: &Failure) -> RequestError {
    let message = shortened(&failure.message);
    match failure.kind.as_str() {
        "invalid" => RequestError::Invalid { param: param(&failure.param), message },
        "unsupported" => RequestError::Unsupported { param: param(&failure.param), message },
        _ => {
            tracing::warn!(request, reason = message, "a program failed");
            RequestError::Broken
        }
    }
}

/// The fields that a request may have.
fn param(name: &str) -> &'static str {
    const KNOWN: [&str; 10] =
        ["text", "voice", "language", "speed", "instructions", "temperature", "seed", "prompt", "audio", "options"];
    KNOWN.into_iter().find(|known| *known == name).unwrap_or("options")
}
