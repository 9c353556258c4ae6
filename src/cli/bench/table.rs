//! The report as a table, for people.

use super::{
    report::{Level, Memory, Model, Report},
    stats::{Quantiles, Spread},
};
use crate::{
    cli::units::{bytes, factor, span},
    speech::TaskKind,
};

/// Between two columns.
const GAP: &str = "  ";

/// A column of the levels.
type Column = (&'static str, fn(&Level) -> String);

const COLUMNS: [Column; 11] = [
    ("callers", |level| level.callers.to_string()),
    ("answers", |level| level.answers.to_string()),
    ("without", |level| (level.refused + level.late + level.failed).to_string()),
    ("p50", |level| time(level.seconds, |times| times.p50)),
    ("p95", |level| time(level.seconds, |times| times.p95)),
    ("p99", |level| time(level.seconds, |times| times.p99)),
    ("first p50", |level| time(level.first_piece_seconds, |times| times.p50)),
    ("first p95", |level| time(level.first_piece_seconds, |times| times.p95)),
    ("sound s/s", |level| spread(level.sound_seconds_per_second, rate)),
    ("RT factor", |level| spread(level.real_time_factor.map(only_median), factor)),
    ("CPU s/sound s", |level| spread(level.processor_seconds_per_sound_second.map(only_median), factor)),
];
const TOKENS: Column = ("tokens/s", |level| spread(level.tokens_per_second, rate));

/// All of it.
pub(super) fn text(report: &Report) -> String {
    let mut lines = head(report);
    lines.push(String::new());
    lines.extend(load(report));
    lines.push(memory(&report.memory, &report.model));
    lines.push(String::new());
    lines.extend(levels(report));
    lines.extend(report.levels.iter().flat_map(failures));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn head(report: &Report) -> Vec<String> {
    let (about, model) = (&report.about, &report.model);
    let mut lines = vec![format!("sconce {}, {}", about.sconce, about.date), about.command.clone()];
    if let Some(machine) = &about.machine {
        let processor = machine.processor.as_deref().unwrap_or("a processor without a name");
        let memory =
            machine.memory_bytes.map_or_else(String::new, |count| format!(", {} of memory", bytes(count as f64)));
        let (processors, threads, kernels) = (machine.processors, machine.threads, machine.instructions);
        lines.push(format!("{processor}, processors: {processors}, kernels: {kernels}{memory}, threads: {threads}"));
    }
    if let Some(server) = &about.server {
        let version = server
            .version
            .as_ref()
            .map_or("which does not tell its version".to_owned(), |version| format!("sconce {version}"));
        lines.push(format!("{}, {version}", server.url));
    }
    let device = model.device.as_ref().map(|device| format!("on {}", device.name));
    let weights = about.random_weights_seed.map(|seed| format!("random weights, seed {seed}"));
    let known = [model.dtype.clone(), device, model.revision.clone(), weights];
    lines.push([Some(model.name.clone())].into_iter().chain(known).flatten().collect::<Vec<_>>().join(", "));
    lines.push(asked(report));
    lines
}

fn asked(report: &Report) -> String {
    let request = &report.about.request;
    let seconds = request.sound_seconds.map(|seconds| format!("{seconds:.1} s of sound"));
    let what = seconds.or(request.characters.map(|count| format!("a text of {count} characters"))).unwrap_or_default();
    let does = match request.task {
        TaskKind::Transcribe => "writes down",
        TaskKind::Synthesize => "speaks",
        TaskKind::Convert => "converts",
    };
    let tokens = request.tokens.map_or_else(String::new, |tokens| format!(" ({tokens} tokens)"));
    let rounds = format!("rounds: {}, of {} s for each number of callers", request.rounds, request.window_seconds);
    format!("each request {does} {what}{tokens}; {rounds}")
}

fn load(report: &Report) -> Vec<String> {
    let model = &report.model;
    let mut parts: Vec<String> = match &report.load {
        Some(load) => {
            let phase = |(name, seconds): (&String, &serde_json::Value)| {
                format!("{name} {}", span(seconds.as_f64().unwrap_or_default()))
            };
            let phases: Vec<String> = load.phases.iter().map(phase).collect();
            vec![format!("load {}: {}", span(load.seconds), phases.join(", "))]
        }
        None => vec!["the model was in memory already".to_owned()],
    };
    let of_server = [("load", model.load_seconds), ("warm-up", model.warm_up_seconds)];
    let of_server: Vec<String> =
        of_server.into_iter().filter_map(|(name, seconds)| Some(format!("{name} {}", span(seconds?)))).collect();
    if !of_server.is_empty() {
        parts.push(format!("by the server: {}", of_server.join(", ")));
    }
    let first = &report.first_request;
    let pieces = if report.about.request.task == TaskKind::Transcribe { "text" } else { "sound" };
    vec![
        parts.join("; "),
        format!("first request {}, its first {pieces} after {}", span(first.whole), span(first.first_piece)),
    ]
}

fn memory(memory: &Memory, model: &Model) -> String {
    let parts = [("before", memory.before), ("loaded", memory.loaded), ("peak", memory.peak)];
    let mut parts: Vec<String> =
        parts.into_iter().filter_map(|(name, count)| Some(format!("{name} {}", bytes(count?)))).collect();
    if let Some(device) = &model.device {
        let counts = [("takes", device.resident_bytes), ("is counted with", device.counted_bytes)];
        let counts = counts.into_iter().filter_map(|(name, count)| Some(format!("{name} {}", bytes(count?))));
        let counts = counts.collect::<Vec<_>>().join(", ");
        if !counts.is_empty() {
            parts.push(format!("the model {counts} on {}", device.name));
        }
    }
    match parts.is_empty() {
        true => "memory: the server does not tell".to_owned(),
        false => format!("memory: {}", parts.join(", ")),
    }
}

fn levels(report: &Report) -> Vec<String> {
    let has_tokens = report.levels.iter().any(|level| level.tokens_per_second.is_some());
    let columns: Vec<Column> = COLUMNS.into_iter().chain(has_tokens.then_some(TOKENS)).collect();
    let head = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let row = |level: &Level| columns.iter().map(|(_, cell)| cell(level)).collect();
    let rows: Vec<Vec<String>> = [head].into_iter().chain(report.levels.iter().map(row)).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        cells.collect::<Vec<_>>().join(GAP)
    };
    rows.iter().map(line).collect()
}

/// Why some have no answer.
fn failures(level: &Level) -> Vec<String> {
    let callers = level.callers;
    let mut lines = Vec::new();
    if level.refused > 0 {
        lines.push(format!("{callers} callers: {} refused, since the server had too much to do", level.refused));
    }
    if level.late > 0 {
        lines.push(format!("{callers} callers: {} given up, see --patience", level.late));
    }
    lines.extend(level.reasons.iter().map(|(reason, count)| format!("{callers} callers: {count} failed: {reason}")));
    lines
}

fn time(times: Option<Quantiles>, of: fn(Quantiles) -> f64) -> String {
    times.map_or_else(nothing, |times| span(of(times)))
}

/// The median, and what it lies between where that is not the same.
fn spread(values: Option<Spread>, write: fn(f64) -> String) -> String {
    let Some(values) = values else { return nothing() };
    let [median, lowest, highest] = [values.median, values.lowest, values.highest].map(write);
    if lowest == highest { median } else { format!("{median} ({lowest}–{highest})") }
}

fn only_median(values: Spread) -> Spread {
    Spread { lowest: values.median, highest: values.median, ..values }
}

fn rate(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

fn nothing() -> String {
    "–".to_owned()
}
