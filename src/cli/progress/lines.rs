//! Progress for who keeps what a program says: a line now and then, for the log of a build or a job.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use indicatif::DecimalBytes;

use crate::{
    lifecycle::{ModelStatus, Progress, Status},
    speech::ModelName,
    store::Phase,
};

/// A transfer of which nothing was said for so long is said to go on, so that nobody takes it for dead.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// Percent between two lines of a quick one.
const STEP: u64 = 10;

/// What was said of each model last.
#[derive(Default)]
pub(super) struct Lines(HashMap<ModelName, Said>);

#[derive(Clone, Copy)]
struct Said {
    phase: Phase,
    percent: u64,
    at: Instant,
}

// === impl Lines ===

impl Lines {
    /// What is to be said of a model now, if anything.
    pub(super) fn line(&mut self, model: &ModelStatus, now: Instant) -> Option<String> {
        let progress = model.progress.as_ref().filter(|_| model.status == Status::Downloading)?;
        let percent = percent(progress)?;
        let said = Said { phase: progress.phase, percent, at: now };
        let worth_it = match self.0.get(&model.name) {
            Some(before) => before.is_outdated_by(&said),
            // What is all here is looked through in a moment.
            None => percent < 100 || is_lengthy(said.phase),
        };
        if !worth_it {
            return None;
        }
        self.0.insert(model.name.clone(), said);
        Some(format!("{}: {}", model.name, told(progress, percent)))
    }
}

// === impl Said ===

impl Said {
    fn is_outdated_by(&self, now: &Self) -> bool {
        let another = self.phase != now.phase && is_lengthy(now.phase);
        another || now.percent / STEP != self.percent / STEP || now.at.saturating_duration_since(self.at) >= SILENCE
    }
}

fn is_lengthy(phase: Phase) -> bool {
    matches!(phase, Phase::Waiting | Phase::Downloading | Phase::Unpacking)
}

/// `None` before it is known how much there is.
fn percent(progress: &Progress) -> Option<u64> {
    (progress.bytes_done.min(progress.bytes_total) * 100).checked_div(progress.bytes_total)
}

fn told(progress: &Progress, percent: u64) -> String {
    let Progress { phase, bytes_done, bytes_total, bytes_per_second, eta_seconds, .. } = progress;
    let (done, total) = (DecimalBytes(*bytes_done), DecimalBytes(*bytes_total));
    let mut line = format!("{} {percent} %, {done} of {total}", phase.as_str());
    if let (Phase::Downloading, Some(rate), Some(eta)) = (phase, bytes_per_second, eta_seconds) {
        line.push_str(&format!(", {}/s, {} s left", DecimalBytes(*rate as u64), eta.ceil()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(phase: Phase, bytes_done: u64) -> Progress {
        Progress {
            phase,
            bytes_done,
            bytes_total: 20_000_000,
            files_done: 0,
            files_total: 1,
            bytes_per_second: (bytes_done > 0).then_some(1_000_000.0),
            eta_seconds: (bytes_done > 0).then(|| (20_000_000 - bytes_done) as f64 / 1e6),
        }
    }

    #[test]
    fn a_line_is_said_at_every_tenth_at_every_turn_and_after_a_silence() {
        let start = Instant::now();
        let said = |from: &Progress, to: &Progress, seconds: u64| {
            let said =
                |progress: &Progress, at| Said { phase: progress.phase, percent: percent(progress).unwrap(), at };
            said(from, start).is_outdated_by(&said(to, start + Duration::from_secs(seconds)))
        };
        let half = at(Phase::Downloading, 10_000_000);
        assert!(!said(&half, &at(Phase::Downloading, 11_900_000), 29));
        assert!(said(&half, &at(Phase::Downloading, 12_000_000), 1), "a tenth more");
        assert!(said(&half, &at(Phase::Downloading, 7_000_000), 1), "what came was worthless");
        assert!(said(&half, &half, 30), "it still lives");
        assert!(said(&half, &at(Phase::Unpacking, 10_000_000), 0));
        assert!(!said(&half, &at(Phase::Publishing, 10_000_000), 0), "over in a moment");
    }

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let progress = at(Phase::Downloading, 10_000_000);
        let line = told(&progress, percent(&progress).unwrap());
        assert_eq!(line, "downloading 50 %, 10.00 MB of 20.00 MB, 1.00 MB/s, 10 s left");
        let waiting = at(Phase::Waiting, 0);
        assert_eq!(told(&waiting, percent(&waiting).unwrap()), "waiting 0 %, 0 B of 20.00 MB");
        assert_eq!(percent(&Progress { bytes_total: 0, ..waiting }), None);
    }
}
