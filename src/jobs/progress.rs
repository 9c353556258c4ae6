//! The pieces of a job's result, while it is made, for any number of readers.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::state::Phase;

/// How much of the sound is done, in seconds: of a recording what was heard, of speech what was made.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Progress {
    pub seconds: f64,
    /// In all; absent where nobody knows before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<f64>,
}

/// What readers of one job see.
#[derive(Clone, Debug)]
pub(super) struct ProgressState {
    pub phase: Phase,
    /// Counts how often the job was begun: who reads pieces begins anew with it.
    pub round: u32,
    pub pieces: Vec<Arc<Value>>,
    pub progress: Option<Progress>,
    /// The server stops: nothing more will be seen here.
    pub closing: bool,
}

/// Where a worker puts what it has so far.
#[derive(Clone)]
pub struct Pieces(watch::Sender<ProgressState>);

/// One reader's place.
pub struct Feed {
    progress_state: watch::Receiver<ProgressState>,
    seen: Option<(Phase, u32)>,
    pieces: usize,
    /// Nothing follows what was seen last.
    over: bool,
}

/// What a reader is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The job is in this phase now. `Running` a second time: it was begun anew, and so are its pieces.
    Phase(Phase),
    Piece(Arc<Value>),
}

// === impl ProgressState ===

impl ProgressState {
    pub fn new(phase: Phase) -> watch::Sender<Self> {
        watch::Sender::new(Self { phase, round: 0, pieces: Vec::new(), progress: None, closing: false })
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
        self.phase = phase;
        self.progress = None;
    }
}

// === impl Pieces ===

impl Pieces {
    pub(super) fn new(progress_state: watch::Sender<ProgressState>) -> Self {
        Self(progress_state)
    }

    pub fn add(&self, progress: Progress, piece: Value) {
        self.0.send_modify(|progress_state| {
            progress_state.pieces.push(Arc::new(piece));
            progress_state.progress = Some(progress);
        });
    }

    /// So far it is, with nothing that could be shown.
    pub fn reach(&self, progress: Progress) {
        self.0.send_modify(|progress_state| progress_state.progress = Some(progress));
    }
}

// === impl Feed ===

impl Feed {
    pub(super) fn new(progress_state: watch::Receiver<ProgressState>) -> Self {
        Self { progress_state, seen: None, pieces: 0, over: false }
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
            return None;
        }
        if !same_round {
            self.pieces = 0;
        }
        self.seen = Some(now);
        Some(Event::Phase(progress_state.phase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn every_reader_gets_every_piece_and_a_new_round_begins_anew() {
        let progress_state = ProgressState::new(Phase::Queued);
        let (mut early, pieces) = (Feed::new(progress_state.subscribe()), Pieces::new(progress_state.clone()));
        assert_eq!(early.next().await, Some(Event::Phase(Phase::Queued)));
        progress_state.send_modify(|progress_state| progress_state.turn(Phase::Running));
        for n in 0..3 {
            pieces.add(Progress { seconds: f64::from(n), of: Some(3.0) }, json!(n));
        }
        let mut late = Feed::new(progress_state.subscribe());
        for reader in [&mut early, &mut late] {
            assert_eq!(reader.next().await, Some(Event::Phase(Phase::Running)));
            for n in 0..3 {
                assert_eq!(reader.next().await, Some(Event::Piece(json!(n).into())));
            }
        }
        progress_state.send_modify(|progress_state| progress_state.turn(Phase::Queued));
        progress_state.send_modify(|progress_state| progress_state.turn(Phase::Running));
        pieces.add(Progress { seconds: 1.0, of: Some(3.0) }, json!("again"));
        assert_eq!(late.next().await, Some(Event::Phase(Phase::Running)));
        assert_eq!(late.next().await, Some(Event::Piece(json!("again").into())));
        progress_state.send_modify(|progress_state| progress_state.turn(Phase::Succeeded));
        assert_eq!(late.next().await, Some(Event::Phase(Phase::Succeeded)));
        assert_eq!(late.next().await, None);
    }

    #[tokio::test]
    async fn who_reads_slowly_gets_the_last_pieces_before_the_end() {
        let progress_state = ProgressState::new(Phase::Running);
        let (mut reader, pieces) = (Feed::new(progress_state.subscribe()), Pieces::new(progress_state.clone()));
        assert_eq!(reader.next().await, Some(Event::Phase(Phase::Running)));
        for n in 0..3 {
            pieces.add(Progress { seconds: f64::from(n), of: Some(3.0) }, json!(n));
        }
        progress_state.send_modify(|progress_state| progress_state.turn(Phase::Succeeded));
        drop((progress_state, pieces));
        for n in 0..3 {
            assert_eq!(reader.next().await, Some(Event::Piece(json!(n).into())));
        }
        assert_eq!(reader.next().await, Some(Event::Phase(Phase::Succeeded)));
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn a_server_that_stops_ends_every_feed() {
        let progress_state = ProgressState::new(Phase::Queued);
        let mut reader = Feed::new(progress_state.subscribe());
        assert_eq!(reader.next().await, Some(Event::Phase(Phase::Queued)));
        progress_state.send_modify(|progress_state| progress_state.closing = true);
        assert_eq!(reader.next().await, None);
    }
}
