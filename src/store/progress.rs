//! How far a fetch has come.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Between two reports of a transfer that goes on. Often enough for a progress bar, rare enough to cost nothing.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// How far a fetch has come. Rate and remaining time are for those who show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub phase: Phase,
    pub files_done: u64,
    pub files_total: u64,
    pub bytes_done: u64,
    /// Of those, the ones that did not have to come: they were on this machine already.
    pub bytes_here: u64,
    /// Known as soon as the sources have been listed.
    pub bytes_total: u64,
    /// The file that bytes arrived for last.
    pub file: Option<String>,
}

/// What a fetch does just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asks what the sources hold.
    #[default]
    Resolving,
    /// Another process fetches the same; the numbers are that one's.
    Waiting,
    /// Looks at what is here, and whether there is room for the rest.
    Checking,
    Downloading,
    /// All bytes are here; the last checksums are not.
    Verifying,
    /// An archive.
    Unpacking,
    /// Gives the files their names.
    Publishing,
}

/// Between two lines of the log about a transfer that goes on.
const LOG_EVERY: Duration = Duration::from_secs(15);

/// Counts what several transfers bring, and reports it.
pub(super) struct Tracker<'a> {
    /// Locked for a few additions only.
    state: Mutex<State>,
    report: &'a (dyn Fn(Progress) + Send + Sync),
}

struct State {
    progress: Progress,
    reported: Instant,
    logged: Instant,
}

// === impl Phase ===

impl Phase {
    /// As it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolving => "resolving",
            Self::Waiting => "waiting",
            Self::Checking => "checking",
            Self::Downloading => "downloading",
            Self::Verifying => "verifying",
            Self::Unpacking => "unpacking",
            Self::Publishing => "publishing",
        }
    }
}

// === impl Tracker ===

impl<'a> Tracker<'a> {
    /// For a fetch of so many files and bytes, of which some are here already.
    pub(super) fn new(start: Progress, report: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        report(start.clone());
        let now = Instant::now();
        Self { state: Mutex::new(State { progress: start, reported: now, logged: now }), report }
    }

    /// How far it is now.
    pub(super) fn now(&self) -> Progress {
        self.state.lock().progress.clone()
    }

    /// Something else begins.
    pub(super) fn enter(&self, phase: Phase) {
        self.change(true, |progress| progress.phase = phase);
    }

    /// Another process does the same: its numbers are shown in place of ours, if it is really the same.
    pub(super) fn wait_for(&self, theirs: &Progress) {
        let mut shown = Progress { phase: Phase::Waiting, ..self.now() };
        if (theirs.bytes_total, theirs.files_total) == (shown.bytes_total, shown.files_total) {
            (shown.bytes_done, shown.bytes_here) = (theirs.bytes_done, theirs.bytes_done);
            shown.files_done = theirs.files_done;
        }
        (self.report)(shown);
    }

    /// Bytes of a file arrived.
    pub(super) fn add(&self, file: &str, bytes: u64) {
        self.change(false, |progress| {
            progress.bytes_done += bytes;
            if progress.file.as_deref() != Some(file) {
                progress.file = Some(file.to_owned());
            }
            if progress.bytes_done >= progress.bytes_total && progress.phase == Phase::Downloading {
                progress.phase = Phase::Verifying;
            }
        });
    }

    /// Bytes of a file were here already.
    pub(super) fn here(&self, file: &str, bytes: u64) {
        self.change(false, |progress| progress.bytes_here += bytes);
        self.add(file, bytes);
    }

    /// Bytes that arrived turned out to be worthless, or come again.
    pub(super) fn take_back(&self, bytes: u64) {
        self.change(true, |progress| {
            progress.bytes_done = progress.bytes_done.saturating_sub(bytes);
            progress.bytes_here = progress.bytes_here.min(progress.bytes_done);
            if progress.phase == Phase::Verifying {
                progress.phase = Phase::Downloading;
            }
        });
    }

    /// A file is whole and verified.
    pub(super) fn file_done(&self) {
        self.change(true, |progress| progress.files_done += 1);
    }

    fn change(&self, now: bool, change: impl FnOnce(&mut Progress)) {
        let (due, log) = {
            let mut state = self.state.lock();
            change(&mut state.progress);
            let due = now || state.reported.elapsed() >= REPORT_EVERY;
            let log = due && state.logged.elapsed() >= LOG_EVERY;
            if due {
                state.reported = Instant::now();
            }
            if log {
                state.logged = Instant::now();
            }
            (due.then(|| state.progress.clone()), log)
        };
        let Some(progress) = due else { return };
        if log {
            let Progress { phase, files_done, files_total, bytes_done, bytes_total, .. } = &progress;
            tracing::info!(phase = phase.as_str(), files_done, files_total, bytes_done, bytes_total, "fetching");
        }
        (self.report)(progress);
    }
}
