//! Several requests at once, a block of sound for each at every step.

use sconce::{
    audio::Pcm,
    model::{Batch, Input, Request, RequestError},
    speech::{SpeechEvent, SpeechSummary, Task},
};

use super::voice::Voices;

/// A task that is answered in tones.
pub trait Toned: Task<Piece = SpeechEvent> {
    /// How far an answer is.
    type Progress;

    /// Or what is wrong with the request.
    fn begin(request: &Request<Self>, voices: &Voices) -> Result<Self::Progress, RequestError>
    where
        Self: Sized;

    /// More of what is asked.
    fn add(progress: &mut Self::Progress, part: Self::Input);

    /// The next block; `None` when all that is known was said.
    fn next(progress: &mut Self::Progress) -> Option<Pcm>;

    fn summary(progress: Self::Progress) -> SpeechSummary;
}

/// A request in hand.
struct Row<T: Toned> {
    request: Request<T>,
    progress: T::Progress,
    /// Nothing is to be added.
    whole: bool,
    /// All was said.
    done: bool,
}

/// Works until nobody is left.
pub fn work<T: Toned>(requests: &mut Batch<'_, T>, voices: &Voices) {
    let mut rows: Vec<Row<T>> = Vec::new();
    loop {
        let newcomers = requests.admit_live(usize::MAX);
        if rows.is_empty() && newcomers.is_empty() {
            return;
        }
        rows.extend(newcomers.into_iter().filter_map(|request| Row::new(request, voices)));
        rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
        // Every row, so no `any`, which would stop at the first.
        let moved = rows.iter_mut().filter_map(Row::step).count();
        if moved > 0 {
            requests.step();
        } else {
            requests.park(rows.iter().map(|row| &row.request));
        }
    }
}

// === impl Row ===

impl<T: Toned> Row<T> {
    /// Answers at once what cannot be said.
    fn new(request: Request<T>, voices: &Voices) -> Option<Self> {
        match T::begin(&request, voices) {
            Ok(progress) => Some(Self { request, progress, whole: false, done: false }),
            Err(error) => {
                request.fail(error);
                None
            }
        }
    }

    /// `None`: it waits for its caller, to read or to write.
    fn step(&mut self) -> Option<()> {
        if !self.request.has_room() {
            return None;
        }
        if let Some(block) = T::next(&mut self.progress) {
            self.request.emit(SpeechEvent::Audio(block));
        } else if self.whole {
            self.done = true;
        } else {
            match self.request.input() {
                Input::More(part) => T::add(&mut self.progress, part),
                Input::End => self.whole = true,
                Input::Pending => return None,
            }
        }
        Some(())
    }

    fn is_over(&self) -> bool {
        self.done || self.request.over().is_some()
    }

    fn end(self) {
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None => self.request.finish(SpeechEvent::Done(T::summary(self.progress))),
        }
    }
}
