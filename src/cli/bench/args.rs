//! What can be said on the command line.

use std::{ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use super::level::Pace;
use crate::speech::TaskKind;

/// Seconds of the recording that is made: a window of Whisper's.
pub(super) const USUAL_SOUND: f64 = 30.0;
/// Numbers of callers. More of them than this is no measurement of one server by one process.
const CALLERS: RangeInclusive<usize> = 1..=1024;
/// How many such numbers there may be.
const MOST_LEVELS: usize = 16;
/// Seconds that may be said.
const SECONDS: RangeInclusive<f64> = 0.1..=3600.0;
/// Two sentences, of some seven seconds.
const TEXT: &str = "The ferry leaves at a quarter past seven, and the walk down to the harbour takes about ten minutes. Bring \
                    a coat, because the wind on the water is cold even in summer.";

/// Measure a model on this machine, or on a server that runs
///
/// The model is loaded, and asked over HTTP by one caller and by many at once, as OpenAI's clients would ask it. The table, or
/// the JSON, tells what loading took by phase, the first request, times to the first text or sound and to the end, seconds of
/// sound per second, memory and processor time. The exit code is 0 if something was measured, 1 if nothing was, 2 for wrong
/// usage, and 130 if it was interrupted.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A name, an alias, a repository or a source, as `pull` takes them; the default model if absent
    #[arg(id = "bench_model", value_name = "MODEL")]
    pub model: Option<String>,
    /// A server that runs, in place of one in this process; one of another kind too, if it speaks OpenAI's API
    #[arg(long, visible_alias = "url", value_name = "URL")]
    pub server: Option<reqwest::Url>,
    /// A key that this server knows. Others on this machine see what stands on a command line
    #[arg(long, env = "SCONCE_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// What the model is asked to do, where it does several things: transcribe, synthesize or convert
    #[arg(long, value_parser = task)]
    pub task: Option<TaskKind>,
    /// A recording to be heard; one that a voice inside this program makes if absent
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How long the recording is: it is repeated, or cut; 30 if absent, or as long as --file is
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub sound_seconds: Option<f64>,
    /// What is to be spoken; two sentences if absent
    #[arg(long)]
    text: Option<String>,
    /// Another field of each request, such as language=de, voice=lark or temperature=0
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    pub fields: Vec<(String, String)>,
    /// Numbers of callers, each of whom sends one request after the other
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_values_t = [1, 4, 16, 64], value_parser = callers)]
    pub callers: Vec<usize>,
    /// How often each number of callers is tried, in turn
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rounds: u16,
    /// Callers begin requests for so long, each time; what they began is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    pub seconds: f64,
    /// Requests of each caller, each time, at most
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub requests: Option<u32>,
    /// An answer that takes longer is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0, value_parser = seconds)]
    pub patience: f64,
    /// Weights that mean nothing, of the model's shape, in place of its own, which are not fetched; of Whispers
    #[arg(long, conflicts_with = "server")]
    pub random_weights: bool,
    /// Of those weights: equal ones make equal weights
    #[arg(long, default_value_t = 1, requires = "random_weights")]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

// === impl Args ===

impl Args {
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or(TEXT)
    }

    pub(super) fn pace(&self) -> Pace {
        Pace {
            window: Duration::from_secs_f64(self.seconds),
            requests: self.requests.map(|requests| requests as usize),
            patience: Duration::from_secs_f64(self.patience),
        }
    }

    /// Numbers of callers, each once, in the order in which they were named.
    pub(super) fn levels(&self) -> Result<Vec<usize>, String> {
        let mut levels: Vec<usize> = Vec::new();
        for callers in &self.callers {
            if !levels.contains(callers) {
                levels.push(*callers);
            }
        }
        match levels.len() {
            count if count > MOST_LEVELS => {
                Err(format!("--callers has {count} numbers; {MOST_LEVELS} at most would be right"))
            }
            _ => Ok(levels),
        }
    }
}

fn callers(text: &str) -> Result<usize, String> {
    within(text, &CALLERS).ok_or_else(|| format!("{} to {} would be right", CALLERS.start(), CALLERS.end()))
}

fn seconds(text: &str) -> Result<f64, String> {
    within(text, &SECONDS).ok_or_else(|| format!("{} to {} would be right", SECONDS.start(), SECONDS.end()))
}

fn within<T: FromStr + PartialOrd>(text: &str, range: &RangeInclusive<T>) -> Option<T> {
    text.trim().parse().ok().filter(|number| range.contains(number))
}

fn task(text: &str) -> Result<TaskKind, String> {
    let known = TaskKind::ALL.into_iter().find(|task| task.as_str() == text);
    known.ok_or_else(|| "transcribe, synthesize or convert would be right".to_owned())
}

fn field(text: &str) -> Result<(String, String), String> {
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
    match text.split_once('=') {
        Some((name, value)) if plain(name) && !value.contains('\r') => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a name, =, and a value would be right, such as language=de".to_owned()),
    }
}
