//! The pieces of a job's result, while it is made, for any number of readers.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::state::Phase;
use crate::speech::SpeechProgress;

/// How much of the sound is done, in seconds: of a recording what was heard, of speech what was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Progress {
    pub seconds: f64,
    /// In all; absent where nobody knows before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<f64>,
    /// Of a text with sections, such as lyrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sections: Option<Sections>,
    /// Until it is done, as the model reckons it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<f64>,
    /// Bytes of its device that the model takes for it beside its weights, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// How many sections of a text are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Sections {
    pub done: usize,
    pub of: usize,
}

/// Sound of a job that is still being made: the bytes of a file, as far as they are there.
#[derive(Clone, Debug, PartialEq)]
pub struct PartialSound {
    /// Of the answer itself, and not beside it.
    pub own: bool,
    /// Its name, where it was asked for by that.
    pub stem: Option<String>,
    pub media_type: &'static str,
    pub blocks: Vec<Bytes>,
}

/// What readers of one job see.
#[derive(Clone, Debug)]
pub(super) struct ProgressState {
    pub phase: Phase,
    /// Counts how often the job was begun: who reads pieces begins anew with it.
    pub round: u32,
    pub pieces: Vec<Arc<Value>>,
    pub progress: Option<Progress>,
    /// Counts what the model itself told of its progress.
    pub reports: u32,
    pub sounds: Vec<PartialSound>,
    /// The server stops: nothing more will be seen here.
    pub closing: bool,
}

/// One reader's place.
pub struct Feed {
    progress_state: watch::Receiver<ProgressState>,
    seen: Option<(Phase, u32)>,
    pieces: usize,
    reports: u32,
    /// Nothing follows what was seen last.
    over: bool,
}

/// What a reader is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The job is in this phase now. `Running` a second time: it was begun anew, and so are its pieces.
    Phase(Phase),
    Piece(Arc<Value>),
    /// The model told how far it is.
    Progress(Progress),
}

// === impl ProgressState ===

impl ProgressState {
    pub fn new(phase: Phase) -> watch::Sender<Self> {
        watch::Sender::new(Self {
            phase,
            round: 0,
            pieces: Vec::new(),
            progress: None,
            reports: 0,
            sounds: Vec::new(),
            closing: false,
        })
    }

    /// Takes a new phase over. What was made in an earlier round is gone with it; what was made in the last one is still there
    /// for those who read it.
    pub fn turn(&mut self, phase: Phase) {
        if phase == Phase::Running {
            self.round += 1;
        }
        if !phase.is_end() {
            self.pieces.clear();
        }
        self.sounds.clear();
        self.phase = phase;
        self.progress = None;
    }
}

// === impl Progress ===

impl From<SpeechProgress> for Progress {
    fn from(progress: SpeechProgress) -> Self {
        Self {
            seconds: progress.seconds,
            of: None,
            sections: Some(Sections { done: progress.done, of: progress.sections }),
            eta_seconds: progress.remaining.map(|remaining| remaining.as_secs_f64()),
            memory_bytes: progress.memory,
        }
    }
}

// === impl Feed ===

impl Feed {
    pub(super) fn new(progress_state: watch::Receiver<ProgressState>) -> Self {
        Self { progress_state, seen: None, pieces: 0, reports: 0, over: false }
    }

    /// What is there by now of a sound that is still being made; without a name, of the answer itself.
    pub fn sound(&self, stem: Option<&str>) -> Option<PartialSound> {
        let progress_state = self.progress_state.borrow();
        let is = |sound: &&PartialSound| stem.map_or(sound.own, |stem| sound.stem.as_deref() == Some(stem));
        progress_state.sounds.iter().find(is).cloned()
    }

    /// What is new, in order; `None` after the end of the job, or of the server.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.look() {
                return Some(event);
            }
            if self.over || self.progress_state.changed().await.is_err() {
                return None;
            }
        }
    }

    fn look(&mut self) -> Option<Event> {
        let progress_state = self.progress_state.borrow_and_update();
        let (now, round) = ((progress_state.phase, progress_state.round), progress_state.round);
        self.over = progress_state.closing || progress_state.phase.is_end();
        let same_round = self.seen.is_some_and(|(_, seen)| seen == round);
        // A job may end before its last pieces are read.
        if same_round && let Some(piece) = progress_state.pieces.get(self.pieces) {
            self.pieces += 1;
            return Some(Event::Piece(piece.clone()));
        }
        if self.seen == Some(now) {
            let told = progress_state.progress.filter(|_| self.reports != progress_state.reports);
            self.reports = progress_state.reports;
            return told.map(Event::Progress);
        }
        if !same_round {
            self.pieces = 0;
        }
        self.seen = Some(now);
        Some(Event::Phase(progress_state.phase))
    }
}
