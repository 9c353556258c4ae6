//! What is said of each model once its files have come.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use indicatif::{DecimalBytes, HumanDuration};

use crate::{
    lifecycle::{ModelStatus, Status},
    speech::ModelName,
};

/// Where the files of a model lie, as far as that is known.
pub(in crate::cli) type Place = Box<dyn Fn(&ModelName) -> Option<PathBuf> + Send>;

/// Downloads that are watched.
pub(super) struct Fetches {
    place: Place,
    one: HashMap<ModelName, Fetch>,
}

struct Fetch {
    begun: Instant,
    /// Bytes that were here when it began.
    here: u64,
    total: u64,
}

// === impl Fetches ===

impl Fetches {
    pub fn new(place: Place) -> Self {
        Self { place, one: HashMap::new() }
    }

    /// The line that a download ends with, if it ended with this state. What was here before is none.
    pub fn line(&mut self, model: &ModelStatus, now: Instant) -> Option<String> {
        if let (Status::Downloading, Some(progress)) = (model.status, &model.progress) {
            let begun = Fetch { begun: now, here: progress.bytes_done, total: 0 };
            let fetch = self.one.entry(model.name.clone()).or_insert(begun);
            fetch.total = progress.bytes_total;
        }
        if model.status == Status::Downloading {
            return None;
        }
        let fetch = self.one.remove(&model.name).filter(|fetch| model.fetched && fetch.total > fetch.here)?;
        let place = (self.place)(&model.name).map(|path| format!(", in {}", path.display())).unwrap_or_default();
        Some(format!("{}: {}{place}", model.name, fetch.told(now)))
    }
}

// === impl Fetch ===

impl Fetch {
    fn told(&self, now: Instant) -> String {
        let took = now.saturating_duration_since(self.begun).max(Duration::from_millis(1));
        let came = self.total - self.here;
        let rate = DecimalBytes((came as f64 / took.as_secs_f64()) as u64);
        let here = if self.here > 0 { format!(" of {}", DecimalBytes(self.total)) } else { String::new() };
        let time =
            if took.as_secs() < 60 { format!("{:.1} s", took.as_secs_f64()) } else { HumanDuration(took).to_string() };
        format!("fetched {}{here} in {time}, {rate}/s", DecimalBytes(came))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(here: u64, seconds: f64) -> String {
        let begun = Instant::now();
        Fetch { begun, here, total: 20_000_000 }.told(begun + Duration::from_secs_f64(seconds))
    }

    #[test]
    fn a_download_ends_with_size_time_and_rate() {
        assert_eq!(told(0, 4.0), "fetched 20.00 MB in 4.0 s, 5.00 MB/s");
        assert_eq!(told(15_000_000, 2.5), "fetched 5.00 MB of 20.00 MB in 2.5 s, 2.00 MB/s", "some was here");
        assert_eq!(told(0, 200.0), "fetched 20.00 MB in 3 minutes, 100.00 kB/s");
        assert!(told(0, 0.0).ends_with("in 0.0 s, 20.00 GB/s"), "nothing is divided by nothing");
    }
}
