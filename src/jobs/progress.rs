//! The pieces of a job's result, while it is made, for any number of readers.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::{manager::Command, record::JobId, state::Phase};
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

/// Where a worker puts what it has so far.
#[derive(Clone)]
pub struct Pieces {
    progress_state: watch::Sender<ProgressState>,
    id: JobId,
    /// Weak, since the manager ends when nobody else has one.
    manager: mpsc::WeakSender<Command>,
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

// === impl Pieces ===

impl Pieces {
    pub(super) fn new(
        progress_state: watch::Sender<ProgressState>,
        id: JobId,
        manager: mpsc::WeakSender<Command>,
    ) -> Self {
        Self { progress_state, id, manager }
    }

    pub fn add(&self, progress: Progress, piece: Value) {
        self.progress_state.send_modify(|progress_state| {
            progress_state.pieces.push(Arc::new(piece));
            progress_state.progress = Some(progress);
        });
    }

    /// So far it is, with nothing that could be shown.
    pub fn reach(&self, progress: Progress) {
        self.progress_state.send_modify(|progress_state| progress_state.progress = Some(progress));
    }

    /// So far it is, as the model told, which is worth an event.
    pub fn report(&self, progress: Progress) {
        self.progress_state.send_modify(|progress_state| {
            progress_state.progress = Some(progress);
            progress_state.reports += 1;
        });
    }

    /// More of a sound that may be listened to already; `own`: of the answer itself. The bytes are shared.
    pub fn sound(&self, media_type: &'static str, own: bool, stem: Option<&str>, bytes: Bytes) {
        self.progress_state.send_modify(|progress_state| {
            let sounds = &mut progress_state.sounds;
            match sounds.iter_mut().find(|sound| sound.stem.as_deref() == stem && sound.own == own) {
                Some(sound) => sound.blocks.push(bytes),
                None => {
                    let (stem, blocks) = (stem.map(str::to_owned), vec![bytes]);
                    sounds.push(PartialSound { own, stem, media_type, blocks });
                }
            }
        });
    }

    /// Has it written down from where the work can go on. Returns when it is, or when it cannot be, which the log tells.
    pub async fn checkpoint(&self, bytes: Bytes) {
        let Some(manager) = self.manager.upgrade() else { return };
        let (reply, written) = oneshot::channel();
        // Who is not there any more stops, and the work with it.
        if manager.send(Command::Checkpoint(self.id.clone(), bytes, reply)).await.is_ok() {
            drop(manager);
            let _ = written.await;
        }
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

#[cfg(test)]
mod tests {
    use super::{super::timestamp::Timestamp, *};
    use serde_json::json;

    /// Of a job whose manager is not there.
    fn pieces(progress_state: &watch::Sender<ProgressState>) -> Pieces {
        let (manager, _) = mpsc::channel(1);
        Pieces::new(progress_state.clone(), JobId::new(Timestamp::now()), manager.downgrade())
    }

    #[tokio::test]
    async fn what_the_model_tells_is_an_event_and_the_newest_of_it_is_enough() {
        let progress_state = ProgressState::new(Phase::Running);
        let (mut reader, pieces) = (Feed::new(progress_state.subscribe()), pieces(&progress_state));
        assert_eq!(reader.next().await, Some(Event::Phase(Phase::Running)));
        let told = |done| Progress::from(SpeechProgress { done, sections: 3, ..SpeechProgress::default() });
        pieces.reach(Progress::default());
        pieces.report(told(1));
        pieces.report(told(2));
        assert_eq!(reader.next().await, Some(Event::Progress(told(2))));
        progress_state.send_modify(|progress_state| progress_state.turn(Phase::Succeeded));
        assert_eq!(reader.next().await, Some(Event::Phase(Phase::Succeeded)), "nothing is told twice");
        pieces.checkpoint(Bytes::from_static(b"nobody keeps it")).await;
    }

    #[tokio::test]
    async fn a_sound_is_there_as_far_as_it_was_made_and_gone_in_a_new_round() {
        let progress_state = ProgressState::new(Phase::Running);
        let (reader, pieces) = (Feed::new(progress_state.subscribe()), pieces(&progress_state));
        assert_eq!(reader.sound(None), None);
        pieces.sound("audio/wav", false, Some("vocals"), Bytes::from_static(b"la"));
        pieces.sound("audio/wav", true, Some("mix"), Bytes::from_static(b"RI"));
        pieces.sound("audio/wav", true, Some("mix"), Bytes::from_static(b"FF"));
        for name in [None, Some("mix")] {
            assert_eq!(reader.sound(name).unwrap().blocks.concat(), b"RIFF");
        }
        assert_eq!(reader.sound(Some("vocals")).unwrap().blocks.concat(), b"la");
        assert_eq!(reader.sound(Some("drums")), None);
        progress_state.send_modify(|progress_state| progress_state.turn(Phase::Queued));
        assert_eq!(reader.sound(None), None);
    }

    #[tokio::test]
    async fn every_reader_gets_every_piece_and_a_new_round_begins_anew() {
        let progress_state = ProgressState::new(Phase::Queued);
        let (mut early, pieces) = (Feed::new(progress_state.subscribe()), pieces(&progress_state));
        assert_eq!(early.next().await, Some(Event::Phase(Phase::Queued)));
        progress_state.send_modify(|progress_state| progress_state.turn(Phase::Running));
        for n in 0..3 {
            pieces.add(Progress { seconds: f64::from(n), of: Some(3.0), ..Progress::default() }, json!(n));
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
        pieces.add(Progress { seconds: 1.0, of: Some(3.0), ..Progress::default() }, json!("again"));
        assert_eq!(late.next().await, Some(Event::Phase(Phase::Running)));
        assert_eq!(late.next().await, Some(Event::Piece(json!("again").into())));
        progress_state.send_modify(|progress_state| progress_state.turn(Phase::Succeeded));
        assert_eq!(late.next().await, Some(Event::Phase(Phase::Succeeded)));
        assert_eq!(late.next().await, None);
    }

    #[tokio::test]
    async fn who_reads_slowly_gets_the_last_pieces_before_the_end() {
        let progress_state = ProgressState::new(Phase::Running);
        let (mut reader, pieces) = (Feed::new(progress_state.subscribe()), pieces(&progress_state));
        assert_eq!(reader.next().await, Some(Event::Phase(Phase::Running)));
        for n in 0..3 {
            pieces.add(Progress { seconds: f64::from(n), of: Some(3.0), ..Progress::default() }, json!(n));
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
