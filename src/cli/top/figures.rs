//! What is shown, computed from an answer and an earlier one.

use std::{cmp::Ordering, collections::BTreeMap, time::Instant};

use crate::cli::{
    server::{Failure, Model, Sample, Values, growth, quantile},
    units::{bytes, factor, span},
};

/// All that is shown of a server.
pub(super) struct Dashboard {
    pub version: Option<String>,
    /// What this replica is called.
    pub server: String,
    pub load_mode: String,
    /// Seconds.
    pub uptime: Option<f64>,
    /// Bytes that the process takes.
    pub process: Option<f64>,
    pub devices: Vec<DeviceMemory>,
    pub rows: Vec<Row>,
    pub totals: Totals,
}

/// What models take of a device.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DeviceMemory {
    pub device: String,
    /// Bytes that its models are counted with.
    pub used: f64,
    /// Bytes that they may take, where that has a bound.
    pub budget: Option<f64>,
}

/// A model.
pub(super) struct Row {
    pub model: Model,
    pub is_default: bool,
    /// Seconds since its last request ended.
    pub idle: Option<f64>,
    pub in_flight: f64,
    /// Seconds, of requests within the window.
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    /// Medians within the window: seconds of work per second of sound, and seconds to the first sound.
    pub real_time_factor: Option<f64>,
    pub first_sound: Option<f64>,
    /// Seconds ago that all of this was asked.
    age: f64,
}

/// Of all models together, within the window where it is a matter of time.
pub(super) struct Totals {
    /// Which time, in words.
    pub window: String,
    pub requests: f64,
    pub failed: f64,
    pub in_flight: f64,
    pub waiting: f64,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub first_sound: Option<f64>,
    pub real_time_factor: Option<f64>,
    pub cold_starts: f64,
}

/// In which order models are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// What is in memory first, then what is on its way there.
    #[default]
    State,
    Name,
    Load,
    Latency,
    Memory,
    LastUse,
}

// === impl Dashboard ===

impl Dashboard {
    pub fn new(last: &Sample, before: &Values, window: String, sort: Sort, now: Instant) -> Self {
        let (status, values) = (&last.status, &last.values);
        let here = status.models.iter().filter(|model| model.is_here());
        let mut rows: Vec<_> = here.map(|model| Row::new(model, last, before, now)).collect();
        rows.sort_by(|a, b| sort.compare(a, b));
        let started = values.get("process_start_time_seconds", &[]);
        Self {
            version: values.label("sconce_build_info", "version").map(str::to_owned),
            server: status.server.clone(),
            load_mode: status.load_mode.replace('_', " "),
            uptime: started.map(|started| last.clock - started).filter(|seconds| *seconds >= 0.0),
            process: values.get("process_resident_memory_bytes", &[]),
            devices: devices(&status.models, values),
            rows,
            totals: Totals::new(values, before, window),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.model.name.clone()).collect()
    }
}

/// Devices that hold models or have a bound of their own; `each` is the bound of those that have none.
fn devices(models: &[Model], values: &Values) -> Vec<DeviceMemory> {
    let budgets: BTreeMap<_, _> = values.by("sconce_memory_budget_bytes", "device").collect();
    let each = budgets.get("each").copied();
    let mut used: BTreeMap<&str, f64> = BTreeMap::new();
    budgets.keys().filter(|device| **device != "each").for_each(|device| *used.entry(device).or_default() = 0.0);
    for model in models {
        if let (Some(device), Some(bytes)) = (&model.device, model.footprint_bytes) {
            *used.entry(device).or_default() += bytes;
        }
    }
    let memory = |(device, used): (&str, f64)| {
        let budget = budgets.get(device).copied().or(each);
        DeviceMemory { device: device.to_owned(), used, budget }
    };
    used.into_iter().map(memory).collect()
}

// === impl DeviceMemory ===

impl DeviceMemory {
    pub fn text(&self) -> String {
        let Self { device, used, budget } = self;
        match budget {
            Some(budget) => format!("{device} {} of {}", bytes(*used), bytes(*budget)),
            None => format!("{device} {}", bytes(*used)),
        }
    }
}

// === impl Row ===

impl Row {
    fn new(model: &Model, last: &Sample, before: &Values, now: Instant) -> Self {
        let values = &last.values;
        let of_model = &[("model", model.name.as_str())][..];
        let share = |share, name| quantile(share, before, values, name, of_model);
        Self {
            model: model.clone(),
            is_default: model.name == last.status.default,
            idle: model.idle(last.at, now),
            in_flight: values.sum("sconce_requests_in_flight", of_model),
            p50: share(0.5, "sconce_request_seconds"),
            p95: share(0.95, "sconce_request_seconds"),
            real_time_factor: share(0.5, "sconce_real_time_factor"),
            first_sound: share(0.5, "sconce_first_sound_seconds"),
            age: now.saturating_duration_since(last.at).as_secs_f64(),
        }
    }

    /// As a column has room for it.
    pub fn state(&self) -> String {
        let model = &self.model;
        if !matches!(model.availability.as_str(), "" | "available") {
            return model.availability.replace('_', " ");
        }
        let (status, progress) = model.moving();
        let share = progress.and_then(|progress| progress.share());
        let state = match share {
            Some(share) if status == "downloading" => format!("downloading {:.0} %", (share * 100.0).floor()),
            _ => status.replace('_', " "),
        };
        match model.update.as_ref().is_some_and(|update| update.status != "failed") {
            true => format!("{}, update {state}", model.status.replace('_', " ")),
            false => state,
        }
    }

    /// What is to be said of a model that is on its way or failed.
    pub fn note(&self) -> Option<String> {
        let name = &self.model.name;
        let on_its_way = self.on_its_way().map(|text| format!("{name}: {text}"));
        on_its_way.or_else(|| self.model.failure().map(|failure| format!("{name}: {}", self.told(failure))))
    }

    fn on_its_way(&self) -> Option<String> {
        let (status, progress) = self.model.moving();
        let mut parts = match (status, progress) {
            ("downloading", Some(progress)) if progress.bytes_total > 0.0 => {
                let (done, total) = (bytes(progress.bytes_done), bytes(progress.bytes_total));
                let rate = progress.bytes_per_second.map(|rate| format!("{}/s", bytes(rate)));
                let left = progress.eta_seconds.map(|seconds| format!("{} left", span(seconds)));
                let all = [Some(progress.phase.clone()), Some(format!("{done} of {total}")), rate, left];
                all.into_iter().flatten().collect()
            }
            ("downloading", progress) => vec![progress.map_or(status, |progress| &progress.phase).to_owned()],
            ("loading", _) => {
                let left = self.model.expected_in_seconds.map(|seconds| format!("about {} left", span(seconds)));
                [Some("loading into memory".to_owned()), left].into_iter().flatten().collect()
            }
            _ => return None,
        };
        if self.model.waiting > 0 {
            parts.push(format!("{} waiting", self.model.waiting));
        }
        Some(parts.join(", "))
    }

    fn told(&self, failure: &Failure) -> String {
        let Failure { message, permanent, attempts, retry_in_seconds } = failure;
        let often = if *attempts > 1 { format!(" ({attempts} times)") } else { String::new() };
        let left = retry_in_seconds.map(|seconds| seconds - self.age).filter(|seconds| *seconds > 0.0);
        let next = match left {
            _ if *permanent => "not tried again by itself: mend the cause, then load it".to_owned(),
            Some(left) => format!("tried again in {}", span(left.max(1.0))),
            None => "the next request tries again".to_owned(),
        };
        format!("{message}{often}; {next}")
    }

    /// The facts that the columns leave out, of the one that was chosen.
    pub fn details(&self) -> String {
        let model = &self.model;
        let device = model.device.as_ref().map(|device| {
            [Some(device), model.dtype.as_ref()].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ")
        });
        let memory = model.memory().zip(model.footprint_bytes).map(|(seen, counted)| match seen == counted {
            true => bytes(seen),
            false => format!("{}, counted as {}", bytes(seen), bytes(counted)),
        });
        let load = model.load_seconds.map(|seconds| span(seconds + model.warm_seconds.unwrap_or_default()));
        let expires = model.expires_in_seconds.map(|seconds| span((seconds - self.age).max(0.0)));
        let facts = [
            ("", Some(self.state())),
            ("", self.is_default.then(|| "default".to_owned())),
            ("", model.pinned.then(|| "pinned".to_owned())),
            ("on ", device),
            ("memory ", memory),
            ("revision ", model.revision.clone()),
            ("last use ", self.idle.map(ago)),
            ("loaded in ", load),
            ("unloads in ", expires),
            ("p50 ", self.p50.map(span)),
            ("p95 ", self.p95.map(span)),
            ("real-time factor ", self.real_time_factor.map(factor)),
            ("first sound ", self.first_sound.map(span)),
        ];
        let told = facts.into_iter().filter_map(|(what, value)| Some(format!("{what}{}", value?)));
        format!("{}: {}", model.name, told.collect::<Vec<_>>().join(" · "))
    }
}

pub(super) fn ago(seconds: f64) -> String {
    format!("{} ago", span(seconds.max(0.1)))
}

// === impl Totals ===

impl Totals {
    fn new(values: &Values, before: &Values, window: String) -> Self {
        let all = growth(before, values, "sconce_requests_total", &[]);
        let share = |share, name| quantile(share, before, values, name, &[]);
        Self {
            window,
            requests: all,
            failed: all - growth(before, values, "sconce_requests_total", &[("outcome", "ok")]),
            in_flight: values.sum("sconce_requests_in_flight", &[]),
            waiting: values.sum("sconce_waiting_requests", &[]),
            p50: share(0.5, "sconce_request_seconds"),
            p95: share(0.95, "sconce_request_seconds"),
            first_sound: share(0.5, "sconce_first_sound_seconds"),
            real_time_factor: share(0.5, "sconce_real_time_factor"),
            cold_starts: growth(before, values, "sconce_model_load_seconds_count", &[("phase", "load")]),
        }
    }

    pub fn text(&self) -> String {
        let Self { window, requests, failed, in_flight, waiting, cold_starts, .. } = self;
        let mut parts = vec![
            format!("Requests, {window}: {requests}, {failed} failed"),
            format!("in flight {in_flight}, waiting for a model {waiting}"),
        ];
        let latency = self.p50.zip(self.p95);
        parts.extend(latency.map(|(p50, p95)| format!("latency p50 {}, p95 {}", span(p50), span(p95))));
        parts.extend(self.first_sound.map(|seconds| format!("first sound {}", span(seconds))));
        parts.extend(self.real_time_factor.map(|value| format!("real-time factor {}", factor(value))));
        parts.push(format!("cold starts {cold_starts}"));
        parts.join(" · ")
    }
}

// === impl Sort ===

impl Sort {
    const ALL: [Self; 6] = [Self::State, Self::Name, Self::Load, Self::Latency, Self::Memory, Self::LastUse];

    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or_default();
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "name",
            Self::Load => "load",
            Self::Latency => "latency",
            Self::Memory => "memory",
            Self::LastUse => "last use",
        }
    }

    /// The most comes first; of equals the one that the server has first.
    fn compare(self, a: &Row, b: &Row) -> Ordering {
        let most = |of: fn(&Row) -> Option<f64>| of(b).unwrap_or(-1.0).total_cmp(&of(a).unwrap_or(-1.0));
        match self {
            Self::State => rank(&a.model).cmp(&rank(&b.model)),
            Self::Name => a.model.name.cmp(&b.model.name),
            Self::Load => most(|row| Some(row.in_flight + row.model.queue_depth as f64)),
            Self::Latency => most(|row| row.p95),
            Self::Memory => most(|row| row.model.memory()),
            Self::LastUse => {
                let least = |row: &Row| row.idle.unwrap_or(if row.in_flight > 0.0 { 0.0 } else { f64::INFINITY });
                least(a).total_cmp(&least(b))
            }
        }
    }
}

fn rank(model: &Model) -> u8 {
    match model.status.as_str() {
        "ready" => 0,
        "loading" | "downloading" => 1,
        "failed" => 2,
        _ if model.fetched => 3,
        _ => 4,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// Three models here: one in memory, one on its way, one that failed; and one that nobody asked for.
    pub fn sample(at: Instant, counted: u32) -> Sample {
        let status = json!({
            "server": "one", "load_mode": "on_demand", "default": "a/ready", "from_the_future": 1,
            "models": {
                "a/failed": {
                    "status": "failed", "listed": true, "waiting": 0, "availability": "available",
                    "error": {"message": "the repository a/failed does not exist", "permanent": false, "attempts": 3,
                              "retry_in_seconds": 12.0},
                },
                "a/ready": {
                    "status": "ready", "fetched": true, "device": "cpu", "dtype": "f32", "footprint_bytes": 14e6,
                    "resident_bytes": 12e6, "revision": "0123456789abcdef", "idle_seconds": 3.0, "queue_depth": 2,
                    "load_seconds": 0.25, "warm_seconds": 0.05, "availability": "available",
                },
                "a/coming": {
                    "status": "downloading", "fetched": false, "waiting": 2, "availability": "available",
                    "progress": {"phase": "downloading", "bytes_done": 12_300_000, "bytes_total": 40_000_000,
                                 "bytes_per_second": 5.2e6, "eta_seconds": 5.33},
                },
                "a/elsewhere": {"status": "not_loaded", "availability": "available"},
            },
        });
        let text = format!(
            "sconce_build_info{{version=\"0.1.0\",accelerators=\"cpu\"}} 1\n\
             process_start_time_seconds 1000\nprocess_resident_memory_bytes 2.1e8\n\
             sconce_memory_budget_bytes{{device=\"each\"}} 8e9\n\
             sconce_requests_in_flight{{task=\"transcribe\",model=\"a/ready\"}} 1\n\
             sconce_waiting_requests 2\n\
             sconce_requests_total{{model=\"a/ready\",outcome=\"ok\"}} {counted}\n\
             sconce_requests_total{{model=\"a/failed\",outcome=\"unavailable\"}} 0\n\
             sconce_request_seconds_bucket{{model=\"a/ready\",le=\"0.1\"}} 0\n\
             sconce_request_seconds_bucket{{model=\"a/ready\",le=\"0.3\"}} {counted}\n\
             sconce_request_seconds_bucket{{model=\"a/ready\",le=\"+Inf\"}} {counted}\n\
             sconce_model_load_seconds_count{{phase=\"load\"}} 1\n"
        );
        let status = serde_json::from_value(status).unwrap();
        Sample { at, clock: 1300.0, status, values: Values::parse(&text) }
    }

    fn board(counted: u32, sort: Sort) -> Dashboard {
        let at = Instant::now();
        Dashboard::new(&sample(at, counted), &Values::default(), "since its start".to_owned(), sort, at)
    }

    fn row(name: &str) -> Row {
        board(4, Sort::Name).rows.into_iter().find(|row| row.model.name == name).unwrap()
    }

    #[test]
    fn a_model_says_how_far_it_is_and_why_it_failed() {
        let states = ["a/ready", "a/coming", "a/failed"].map(|name| row(name).state());
        assert_eq!(states, ["ready", "downloading 30 %", "failed"]);
        let coming = "a/coming: downloading, 12.3 MB of 40.0 MB, 5.2 MB/s, 5.3 s left, 2 waiting";
        assert_eq!(row("a/coming").note().unwrap(), coming);
        let failed = "a/failed: the repository a/failed does not exist (3 times); tried again in 12 s";
        assert_eq!(row("a/failed").note().unwrap(), failed);
        assert_eq!(row("a/ready").note(), None);
    }

    #[test]
    fn the_time_until_the_next_try_goes_on_between_two_answers() {
        let at = Instant::now();
        let later = at + std::time::Duration::from_secs(20);
        let board = Dashboard::new(&sample(at, 0), &Values::default(), String::new(), Sort::Name, later);
        let notes: Vec<_> = board.rows.iter().filter_map(Row::note).collect();
        assert!(notes.iter().any(|note| note.ends_with("the next request tries again")), "{notes:?}");
        assert_eq!(board.rows.iter().find_map(|row| row.idle), Some(23.0));
    }

    #[test]
    fn an_update_is_told_beside_what_serves() {
        let mut row = row("a/ready");
        let progress = row_progress();
        row.model.update = Some(crate::cli::server::status::Update {
            status: "downloading".to_owned(),
            progress: Some(progress),
            error: None,
        });
        assert_eq!(row.state(), "ready, update downloading 50 %");
        assert_eq!(row.note().unwrap(), "a/ready: downloading, 1.0 MB of 2.0 MB");
    }

    fn row_progress() -> crate::cli::server::status::Progress {
        crate::cli::server::status::Progress {
            phase: "downloading".to_owned(),
            bytes_done: 1e6,
            bytes_total: 2e6,
            bytes_per_second: None,
            eta_seconds: None,
        }
    }

    #[test]
    fn what_nobody_asked_for_is_left_out_and_the_rest_is_sorted() {
        let names = |sort| board(0, sort).names();
        assert_eq!(names(Sort::State), ["a/ready", "a/coming", "a/failed"]);
        assert_eq!(names(Sort::Name), ["a/coming", "a/failed", "a/ready"]);
        for sort in [Sort::Load, Sort::Memory, Sort::LastUse] {
            assert_eq!(names(sort), ["a/ready", "a/failed", "a/coming"], "{sort:?}: equals as the server has them");
        }
        let all: Vec<_> = std::iter::successors(Some(Sort::State), |sort| Some(sort.next())).take(7).collect();
        assert_eq!((all[..6] == Sort::ALL, all[6]), (true, Sort::State));
    }

    #[test]
    fn memory_is_held_against_what_a_device_may_give() {
        let board = board(0, Sort::State);
        assert_eq!(board.devices, [DeviceMemory { device: "cpu".to_owned(), used: 14e6, budget: Some(8e9) }]);
        assert_eq!(board.devices[0].text(), "cpu 14.0 MB of 8.0 GB");
        assert_eq!((board.uptime, board.version.as_deref()), (Some(300.0), Some("0.1.0")));
    }

    #[test]
    fn totals_are_of_the_window() {
        let text = board(4, Sort::State).totals.text();
        assert_eq!(
            text,
            "Requests, since its start: 4, 0 failed · in flight 1, waiting for a model 2 · latency p50 0.20 s, p95 0.29 s \
             · cold starts 1"
        );
    }

    #[test]
    fn the_chosen_one_tells_all() {
        let details = row("a/ready").details();
        assert_eq!(
            details,
            "a/ready: ready · default · on cpu f32 · memory 12.0 MB, counted as 14.0 MB · revision 0123456789abcdef · \
             last use 3.0 s ago · loaded in 0.30 s · p50 0.20 s · p95 0.29 s"
        );
    }

    #[test]
    fn a_server_of_another_version_leaves_fields_out() {
        let little = json!({"load_mode": "startup", "default": "a", "models": {"a": {"status": "ready"}}});
        let sample = Sample { status: serde_json::from_value(little).unwrap(), ..sample(Instant::now(), 0) };
        let board = Dashboard::new(&sample, &Values::default(), String::new(), Sort::State, Instant::now());
        assert_eq!(board.rows[0].state(), "ready");
    }
}
