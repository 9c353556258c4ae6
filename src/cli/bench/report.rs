//! What was measured, as it is written as JSON.

use std::collections::BTreeMap;

use chrono::Utc;
use serde::Serialize;

use super::{
    args::Args,
    client::Failure,
    level::Run,
    loading::Loading,
    stats::{Quantiles, Spread},
    subject::Subject,
    work::Work,
};
use crate::{app::Machine, cli::server, speech::TaskKind};

/// Reasons of failures that are told, of each level.
const REASONS: usize = 5;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub about: About,
    pub model: Model,
    /// Absent where the model was in memory already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Loading>,
    pub first_request: FirstRequest,
    pub levels: Vec<Level>,
    pub memory: Memory,
}

/// What has to be known to quote a figure.
#[derive(Debug, Serialize)]
pub(super) struct About {
    /// The version of this program.
    pub sconce: &'static str,
    /// RFC 3339, UTC.
    pub date: String,
    /// Without what the configuration says.
    pub command: String,
    /// Absent where the server is elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Elsewhere>,
    pub request: BenchRequest,
    /// Of the weights, where they are random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_weights_seed: Option<u64>,
    #[serde(skip)]
    name: String,
}

/// A server that ran before.
#[derive(Debug, Serialize)]
pub(super) struct Elsewhere {
    pub url: String,
    /// Absent where it is of another kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What each request asks.
#[derive(Debug, Serialize)]
pub(super) struct BenchRequest {
    pub task: TaskKind,
    /// Of the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound_seconds: Option<f64>,
    /// Of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<usize>,
    pub rounds: u16,
    pub window_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_caller: Option<u32>,
    /// Text tokens of an answer, where the model tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<f64>,
}

/// What answers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Model {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// Of its last load, as the server tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_seconds: Option<f64>,
    /// Of its first inference, before any request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up_seconds: Option<f64>,
}

/// Where it lives.
#[derive(Debug, Serialize)]
pub(super) struct Device {
    pub name: String,
    /// By which what is held of its memory grew when the model was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<f64>,
    /// That the model is counted with: its weights, and what a full batch takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_bytes: Option<f64>,
}

/// The first after the load.
#[derive(Debug, Serialize)]
pub(super) struct FirstRequest {
    #[serde(rename = "first_piece_seconds")]
    pub first_piece: f64,
    #[serde(rename = "seconds")]
    pub whole: f64,
    /// Seconds that were heard or made.
    #[serde(rename = "sound_seconds")]
    pub sound: f64,
    #[serde(skip)]
    pub peak: Option<f64>,
}

/// So many callers at once. Times are those of all rounds together; rates are of each round.
#[derive(Debug, Serialize)]
pub(super) struct Level {
    pub callers: usize,
    pub answers: usize,
    /// By a server that had too much to do.
    pub refused: usize,
    /// Given up.
    pub late: usize,
    pub failed: usize,
    /// Of those that failed: reason → how many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, usize>,
    pub seconds: Option<Quantiles>,
    pub first_piece_seconds: Option<Quantiles>,
    pub sound_seconds_per_second: Option<Spread>,
    pub answers_per_second: Option<Spread>,
    pub tokens_per_second: Option<Spread>,
    /// Seconds of work per second of sound, of the server as a whole.
    pub real_time_factor: Option<Spread>,
    pub processor_seconds_per_sound_second: Option<Spread>,
    /// That were busy.
    pub processors: Option<Spread>,
}

/// Of the server's process, in bytes, as far as it tells.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    #[serde(rename = "before_bytes")]
    pub before: Option<f64>,
    #[serde(rename = "loaded_bytes")]
    pub loaded: Option<f64>,
    #[serde(rename = "peak_bytes")]
    pub peak: Option<f64>,
}

// === impl Report ===

impl Report {
    pub fn new(
        mut about: About,
        status: Option<server::Model>,
        load: Option<Loading>,
        first_request: FirstRequest,
        tokens: Option<f64>,
        levels: Vec<Level>,
        memory: Memory,
    ) -> Self {
        about.request.tokens = tokens;
        let model = Model::of(&about.name, status);
        Self { about, model, load, first_request, levels, memory }
    }

    /// Whether there is a figure of any number of callers.
    pub fn is_something(&self) -> bool {
        self.levels.iter().any(|level| level.answers > 0)
    }
}

// === impl About ===

impl About {
    pub fn here(args: &Args, subject: &Subject, work: &Work, machine: Machine) -> Self {
        Self::new(args, subject, work, Some(machine), None)
    }

    pub fn elsewhere(args: &Args, subject: &Subject, work: &Work, version: Option<String>) -> Self {
        let url = args.server.as_ref().map(shown).unwrap_or_default();
        Self::new(args, subject, work, None, Some(Elsewhere { url, version }))
    }

    fn new(args: &Args, subject: &Subject, work: &Work, machine: Option<Machine>, server: Option<Elsewhere>) -> Self {
        let hears = subject.task != TaskKind::Synthesize;
        Self {
            sconce: env!("CARGO_PKG_VERSION"),
            date: Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            command: command(args, subject),
            machine,
            server,
            request: BenchRequest {
                task: subject.task,
                sound_seconds: hears.then_some(work.heard),
                characters: (!hears).then(|| args.text().chars().count()),
                rounds: args.rounds,
                window_seconds: args.seconds,
                requests_per_caller: args.requests,
                tokens: None,
            },
            random_weights_seed: args.random_weights.then_some(args.seed),
            name: subject.model.clone(),
        }
    }
}

/// What measures the same again.
fn command(args: &Args, subject: &Subject) -> String {
    let mut words = vec!["sconce bench".to_owned(), subject.model.clone()];
    words.extend(args.server.iter().map(|url| format!("--server {}", shown(url))));
    words.push(format!("--task {}", subject.task));
    words.extend(args.file.iter().map(|file| format!("--file {}", file.display())));
    words.extend(args.sound_seconds.iter().map(|seconds| format!("--sound-seconds {seconds}")));
    words.extend(args.fields.iter().map(|(name, value)| format!("--field {name}={value}")));
    let callers: Vec<String> = args.callers.iter().map(ToString::to_string).collect();
    words.push(format!("--callers {} --rounds {} --seconds {}", callers.join(","), args.rounds, args.seconds));
    words.extend(args.requests.iter().map(|requests| format!("--requests {requests}")));
    words.extend(args.random_weights.then(|| format!("--random-weights --seed {}", args.seed)));
    words.join(" ")
}

/// Without what is a secret in it.
fn shown(url: &reqwest::Url) -> String {
    let mut url = url.clone();
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.as_str().trim_end_matches('/').to_owned()
}

// === impl Model ===

impl Model {
    fn of(name: &str, status: Option<server::Model>) -> Self {
        let Some(status) = status else { return Self { name: name.to_owned(), ..Self::default() } };
        let (resident_bytes, counted_bytes) = (status.resident_bytes, status.footprint_bytes);
        Self {
            name: name.to_owned(),
            revision: status.revision,
            device: status.device.map(|name| Device { name, resident_bytes, counted_bytes }),
            dtype: status.dtype,
            load_seconds: status.load_seconds,
            warm_up_seconds: status.warm_seconds,
        }
    }
}

// === impl Level ===

impl Level {
    /// `tokens`: of an answer.
    pub fn of(callers: usize, runs: &[Run], tokens: Option<f64>) -> Self {
        let answers = || runs.iter().flat_map(|run| &run.answers);
        let failures = || runs.iter().flat_map(|run| &run.failures);
        let count = |is: fn(&Failure) -> bool| failures().filter(|failure| is(failure)).count();
        let rate = |of: &dyn Fn(&Run) -> f64| Spread::of(runs.iter().map(|run| of(run) / run.took.as_secs_f64()));
        let sound = rate(&Run::sound);
        let heard = || runs.iter().filter(|run| run.sound() > 0.0);
        let mut level = Self {
            callers,
            answers: answers().count(),
            refused: count(|failure| matches!(failure, Failure::Refused { .. })),
            late: count(|failure| *failure == Failure::Late),
            failed: count(|failure| matches!(failure, Failure::Failed(_))),
            reasons: BTreeMap::new(),
            seconds: Quantiles::of(answers().map(|answer| answer.whole.as_secs_f64())),
            first_piece_seconds: Quantiles::of(answers().map(|answer| answer.first.as_secs_f64())),
            sound_seconds_per_second: sound,
            answers_per_second: rate(&|run| run.answers.len() as f64),
            tokens_per_second: tokens.and_then(|tokens| rate(&|run| run.answers.len() as f64 * tokens)),
            real_time_factor: sound.filter(|sound| sound.lowest > 0.0).map(Spread::inverse),
            processor_seconds_per_sound_second: Spread::of(
                heard().filter_map(|run| Some(run.processor? / run.sound())),
            ),
            processors: Spread::of(runs.iter().filter_map(|run| Some(run.processor? / run.took.as_secs_f64()))),
        };
        for failure in failures().filter(|failure| matches!(failure, Failure::Failed(_))) {
            level.add_reason(failure.to_string());
        }
        level
    }

    fn add_reason(&mut self, reason: String) {
        if self.reasons.contains_key(&reason) || self.reasons.len() < REASONS {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::client::Answer, *};

    fn run(answers: usize, took: u64, failures: Vec<Failure>) -> Run {
        let answer = Answer { first: Duration::from_millis(100), whole: Duration::from_millis(500), sound: 2.0 };
        Run {
            answers: vec![answer; answers],
            failures,
            took: Duration::from_secs(took),
            processor: Some(took as f64 * 2.0),
        }
    }

    #[test]
    fn rates_are_of_rounds_and_times_of_all_answers() {
        let failed = |reason: &str| Failure::Failed(reason.to_owned());
        let refused = Failure::Refused { status: 429, pause: Duration::ZERO };
        let runs = [
            run(5, 10, vec![]),
            run(10, 10, vec![failed("a"), failed("a"), failed("b")]),
            run(20, 10, vec![refused, Failure::Late]),
        ];
        let level = Level::of(4, &runs, Some(30.0));
        assert_eq!((level.answers, level.refused, level.late, level.failed), (35, 1, 1, 3));
        assert_eq!(level.sound_seconds_per_second, Some(Spread { median: 2.0, lowest: 1.0, highest: 4.0 }));
        assert_eq!(level.tokens_per_second.unwrap().median, 30.0);
        assert_eq!(level.real_time_factor.unwrap(), Spread { median: 0.5, lowest: 0.25, highest: 1.0 });
        assert_eq!(level.processor_seconds_per_sound_second.unwrap().median, 1.0);
        assert_eq!(level.processors.unwrap().median, 2.0);
        assert_eq!(level.seconds.unwrap().p99, 0.5);
        assert_eq!(level.reasons, BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
    }

    #[test]
    fn where_nothing_was_answered_there_is_no_figure() {
        let level = Level::of(1, &[run(0, 10, vec![Failure::Late])], None);
        assert_eq!((level.answers, level.seconds, level.real_time_factor), (0, None, None));
        assert_eq!((level.tokens_per_second, level.processor_seconds_per_sound_second), (None, None));
    }

    #[test]
    fn an_address_is_shown_without_what_opens_it() {
        let url = "https://user:secret@host:8080/base/?key=secret".parse().unwrap();
        assert_eq!(shown(&url), "https://host:8080/base");
    }
}
