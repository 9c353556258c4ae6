//! How far a fetch has come.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Between two reports of a transfer that goes on. Often enough for a progress bar, rare enough to cost nothing.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// How far a fetch has come. Rate and remaining time are for those who show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    pub files_done: u64,
    pub files_total: u64,
    pub bytes_done: u64,
    /// Known as soon as the sources have been listed.
    pub bytes_total: u64,
    /// The file that bytes arrived for last.
    pub file: Option<String>,
}

/// Counts what several transfers bring, and reports it.
pub(super) struct Tracker<'a> {
    /// Locked for a few additions only.
    state: Mutex<(Progress, Instant)>,
    report: &'a (dyn Fn(Progress) + Send + Sync),
}

// === impl Tracker ===

impl<'a> Tracker<'a> {
    /// For a fetch of so many files and bytes, of which some are here already.
    pub(super) fn new(start: Progress, report: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        report(start.clone());
        Self { state: Mutex::new((start, Instant::now())), report }
    }

    /// Bytes of a file arrived.
    pub(super) fn add(&self, file: &str, bytes: u64) {
        self.change(false, |progress| {
            progress.bytes_done += bytes;
            if progress.file.as_deref() != Some(file) {
                progress.file = Some(file.to_owned());
            }
        });
    }

    /// Bytes that arrived turned out to be worthless.
    pub(super) fn take_back(&self, bytes: u64) {
        self.change(true, |progress| progress.bytes_done = progress.bytes_done.saturating_sub(bytes));
    }

    /// A file is whole and verified.
    pub(super) fn file_done(&self) {
        self.change(true, |progress| progress.files_done += 1);
    }

    fn change(&self, now: bool, change: impl FnOnce(&mut Progress)) {
        let due = {
            let mut state = self.state.lock();
            change(&mut state.0);
            let due = now || state.1.elapsed() >= REPORT_EVERY;
            due.then(|| {
                state.1 = Instant::now();
                state.0.clone()
            })
        };
        if let Some(progress) = due {
            (self.report)(progress);
        }
    }
}
