//! How the values of our own types are written: modes, devices, folders and the like.

use std::{net::IpAddr, num::NonZeroU32, path::PathBuf};

use super::value::{COUNT, Kind, NAMES, Raw, SIZE, choice, text, word};
use crate::{
    app::BudgetChoice,
    http::{UnknownFields, access::Digest},
    lifecycle::{LoadMode, OnPreloadFailure},
    model::{Backing, CpuKernels, DTypeChoice, DeviceChoice, DeviceId, ProgramChoice},
    process::Isolation,
    service::TimeOrigin,
    speech::TaskKind,
    store::Verify,
    telemetry::LogFormat,
};

const LOAD_MODES: &[(&str, LoadMode)] =
    &[("startup", LoadMode::Startup), ("on_demand", LoadMode::OnDemand), ("background", LoadMode::Background)];

pub(super) const LOAD_MODE: Kind<LoadMode> = Kind {
    expected: "startup, on_demand or background",
    parse: |raw| choice(raw, LOAD_MODES),
    show: |mode| word(mode, LOAD_MODES),
};

const ON_PRELOAD_FAILURES: &[(&str, OnPreloadFailure)] =
    &[("retry", OnPreloadFailure::Retry), ("exit", OnPreloadFailure::Exit), ("lazy", OnPreloadFailure::Lazy)];

pub(super) const ON_PRELOAD_FAILURE: Kind<OnPreloadFailure> = Kind {
    expected: "retry, exit or lazy",
    parse: |raw| choice(raw, ON_PRELOAD_FAILURES),
    show: |what| word(what, ON_PRELOAD_FAILURES),
};

const UNKNOWN_FIELDS_ALL: &[(&str, UnknownFields)] =
    &[("refuse", UnknownFields::Refuse), ("warn", UnknownFields::Warn)];

pub(super) const UNKNOWN_FIELDS: Kind<UnknownFields> = Kind {
    expected: "refuse or warn",
    parse: |raw| choice(raw, UNKNOWN_FIELDS_ALL),
    show: |what| word(what, UNKNOWN_FIELDS_ALL),
};

const DTYPES: &[(&str, DTypeChoice)] = &[
    ("auto", DTypeChoice::Auto),
    ("f32", DTypeChoice::F32),
    ("f16", DTypeChoice::F16),
    ("bf16", DTypeChoice::Bf16),
    ("q8", DTypeChoice::Q8),
];

pub(super) const DTYPE: Kind<DTypeChoice> = Kind {
    expected: "auto, f32, f16, bf16 or q8",
    parse: |raw| choice(raw, DTYPES),
    show: |dtype| word(dtype, DTYPES),
};

const CPU_KERNELS_ALL: &[(&str, CpuKernels)] = &[
    ("auto", CpuKernels::Auto),
    ("avx512", CpuKernels::Avx512),
    ("avx2", CpuKernels::Avx2),
    ("portable", CpuKernels::Portable),
    ("candle", CpuKernels::Candle),
];

pub(super) const CPU_KERNELS: Kind<CpuKernels> = Kind {
    expected: "auto, avx512, avx2, portable or candle",
    parse: |raw| choice(raw, CPU_KERNELS_ALL),
    show: |kernels| word(kernels, CPU_KERNELS_ALL),
};

const TIME_ORIGINS: &[(&str, TimeOrigin)] = &[("container", TimeOrigin::Container), ("sound", TimeOrigin::Sound)];

pub(super) const TIME_ORIGIN: Kind<TimeOrigin> = Kind {
    expected: "container or sound",
    parse: |raw| choice(raw, TIME_ORIGINS),
    show: |origin| word(origin, TIME_ORIGINS),
};

const BACKINGS: &[(&str, Backing)] = &[("map", Backing::Mapped), ("copy", Backing::Copied)];

pub(super) const WEIGHTS: Kind<Backing> =
    Kind { expected: "map or copy", parse: |raw| choice(raw, BACKINGS), show: |backing| word(backing, BACKINGS) };

const VERIFIES: &[(&str, Verify)] = &[("fetch", Verify::Fetch), ("load", Verify::Load)];

pub(super) const VERIFY: Kind<Verify> =
    Kind { expected: "fetch or load", parse: |raw| choice(raw, VERIFIES), show: |verify| word(verify, VERIFIES) };

const LOG_FORMATS: &[(&str, LogFormat)] =
    &[("auto", LogFormat::Auto), ("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];

pub(super) const LOG_FORMAT: Kind<LogFormat> = Kind {
    expected: "auto, pretty or json",
    parse: |raw| choice(raw, LOG_FORMATS),
    show: |format| word(format, LOG_FORMATS),
};

pub(super) const DEVICE: Kind<DeviceChoice> =
    Kind { expected: "auto, cpu, cuda, cuda:0, cuda:1, … or metal", parse: device, show: show_device };

pub(super) const PROGRAM: Kind<ProgramChoice> =
    Kind { expected: "auto, off or the path of a program", parse: program, show: show_program };

pub(super) const COMMAND: Kind<Vec<String>> = Kind {
    expected: "a program and its arguments, such as [\"python3\", \"worker.py\"]",
    parse: |raw| (NAMES.parse)(raw).filter(|words| words.first().is_some_and(|word| !word.is_empty())),
    show: |words| words.join(" "),
};

const TASK_NAMES: &[(&str, TaskKind)] =
    &[("transcribe", TaskKind::Transcribe), ("synthesize", TaskKind::Synthesize), ("convert", TaskKind::Convert)];

pub(super) const TASKS: Kind<Vec<TaskKind>> = Kind {
    expected: "transcribe, synthesize or convert, or several of them, separated by commas",
    parse: |raw| some(raw)?.into_iter().map(|task| choice(&Raw::Text(task), TASK_NAMES)).collect(),
    show: |tasks| tasks.iter().map(|task| task.as_str()).collect::<Vec<_>>().join(","),
};

pub(super) const SHA256: Kind<String> = Kind {
    expected: "64 hexadecimal digits",
    parse: |raw| {
        let digits = text(raw)?.to_lowercase();
        (digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
    },
    show: String::clone,
};

const ISOLATIONS: &[(&str, Isolation)] =
    &[("auto", Isolation::Auto), ("required", Isolation::Required), ("off", Isolation::Off)];

pub(super) const ISOLATION: Kind<Isolation> = Kind {
    expected: "auto, required or off",
    parse: |raw| choice(raw, ISOLATIONS),
    show: |isolation| word(isolation, ISOLATIONS),
};

pub(super) const USER: Kind<(u32, u32)> = Kind {
    expected: "the numbers of a user and a group, such as 65534:65534",
    parse: |raw| {
        let (user, group) = text(raw)?.split_once(':')?;
        Some((user.parse().ok()?, group.parse().ok()?))
    },
    show: |(user, group)| format!("{user}:{group}"),
};

pub(super) const BUDGET: Kind<BudgetChoice> =
    Kind { expected: "auto, none, or a size such as 100MB or 8GiB", parse: budget, show: show_budget };

pub(super) const WARM: Kind<Option<u64>> = Kind { expected: BUDGET.expected, parse: warm, show: show_warm };

pub(super) const ADDRESS: Kind<IpAddr> = Kind {
    expected: "an IP address such as 0.0.0.0, 127.0.0.1 or ::",
    parse: |raw| text(raw)?.parse().ok(),
    show: IpAddr::to_string,
};

pub(super) const PATH: Kind<PathBuf> =
    Kind { expected: "a folder", parse: |raw| text(raw).map(PathBuf::from), show: |path| path.display().to_string() };

pub(super) const FILE: Kind<PathBuf> = Kind { expected: "a file", ..PATH };

pub(super) const PATHS: Kind<Vec<PathBuf>> =
    Kind { expected: "folders, separated by colons", parse: paths, show: |paths| show_paths(paths) };

pub(super) const WHOLE: Kind<u32> =
    Kind { expected: COUNT.expected, parse: |raw| (COUNT.parse)(raw)?.try_into().ok(), show: u32::to_string };

pub(super) const BYTES: Kind<usize> = Kind {
    expected: SIZE.expected,
    parse: |raw| (SIZE.parse)(raw)?.try_into().ok(),
    show: |size| (SIZE.show)(&(*size as u64)),
};

pub(super) const BOUND: Kind<NonZeroU32> =
    Kind { expected: COUNT.expected, parse: |raw| text(raw)?.parse().ok(), show: NonZeroU32::to_string };

pub(super) const SHARE: Kind<f64> = Kind { expected: "a number from 0 to 1", parse: share, show: f64::to_string };

pub(super) const WORD: Kind<String> = Kind {
    expected: "visible ASCII without blanks",
    parse: |raw| text(raw).filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic())).map(str::to_owned),
    show: String::clone,
};

pub(super) const KEYS: Kind<Vec<Digest>> = Kind {
    expected: "keys of visible ASCII, or sha256: and 64 hexadecimal digits, separated by commas",
    parse: |raw| some(raw)?.iter().map(|key| Digest::parse(key)).collect(),
    show: |_| "***".to_owned(),
};

pub(super) const ORIGINS: Kind<Vec<String>> = Kind {
    expected: "origins such as https://app.example, separated by commas, or * for any",
    parse: |raw| some(raw)?.into_iter().map(origin).collect(),
    show: |origins| origins.join(","),
};

pub(super) const LOG_LEVEL: Kind<String> = Kind {
    expected: "off, error, warn, info, debug or trace, or a filter such as sconce=debug,actix_server=warn",
    parse: log_level,
    show: String::clone,
};

fn device(raw: &Raw) -> Option<DeviceChoice> {
    let word = text(raw)?.to_lowercase();
    let device = match word.as_str() {
        "auto" => return Some(DeviceChoice::Auto),
        "cpu" => DeviceId::Cpu,
        "metal" => DeviceId::Metal,
        "cuda" => DeviceId::Cuda(0),
        _ => DeviceId::Cuda(word.strip_prefix("cuda:")?.parse().ok()?),
    };
    Some(DeviceChoice::Only(device))
}

fn show_device(choice: &DeviceChoice) -> String {
    match choice {
        DeviceChoice::Auto => "auto".to_owned(),
        DeviceChoice::Only(device) => device.to_string(),
    }
}

fn program(raw: &Raw) -> Option<ProgramChoice> {
    let text = text(raw)?;
    match text.to_lowercase().as_str() {
        "auto" => Some(ProgramChoice::Auto),
        "off" => Some(ProgramChoice::Off),
        _ => text.starts_with('/').then(|| ProgramChoice::At(text.into())),
    }
}

fn show_program(choice: &ProgramChoice) -> String {
    match choice {
        ProgramChoice::Auto => "auto".to_owned(),
        ProgramChoice::Off => "off".to_owned(),
        ProgramChoice::At(path) => path.display().to_string(),
    }
}

fn budget(raw: &Raw) -> Option<BudgetChoice> {
    match text(raw)?.to_lowercase().as_str() {
        "none" => Some(BudgetChoice::None),
        "auto" => Some(BudgetChoice::Auto),
        _ => (SIZE.parse)(raw).map(BudgetChoice::Bytes),
    }
}

fn show_budget(budget: &BudgetChoice) -> String {
    match budget {
        BudgetChoice::None => "none".to_owned(),
        BudgetChoice::Auto => "auto".to_owned(),
        BudgetChoice::Bytes(bytes) => (SIZE.show)(bytes),
    }
}

fn warm(raw: &Raw) -> Option<Option<u64>> {
    match budget(raw)? {
        BudgetChoice::None => Some(Some(0)),
        BudgetChoice::Auto => Some(None),
        BudgetChoice::Bytes(bytes) => Some(Some(bytes)),
    }
}

fn show_warm(bytes: &Option<u64>) -> String {
    match bytes {
        None => "auto".to_owned(),
        Some(0) => "none".to_owned(),
        Some(bytes) => (SIZE.show)(bytes),
    }
}

/// At least one.
fn some(raw: &Raw) -> Option<Vec<String>> {
    (NAMES.parse)(raw).filter(|items| !items.is_empty())
}

fn share(raw: &Raw) -> Option<f64> {
    text(raw)?.parse().ok().filter(|share| (0.0..=1.0).contains(share))
}

/// A scheme, a host and perhaps a port: what a browser sends, which has no path.
fn origin(text: String) -> Option<String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fine = text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains('/'));
    fine.then_some(text)
}

fn paths(raw: &Raw) -> Option<Vec<PathBuf>> {
    match raw {
        Raw::Text(_) => Some(text(raw)?.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect()),
        Raw::List(_) => Some((NAMES.parse)(raw)?.into_iter().map(PathBuf::from).collect()),
    }
}

fn show_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

/// A word alone must be a level: the filter's own grammar takes it for the name of a module, so that `inof` would
/// silence the log.
fn log_level(raw: &Raw) -> Option<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let filter = text(raw)?;
    let words = || filter.split(',').map(str::trim);
    let sound = words().all(|word| word.contains(['=', '[']) || LEVELS.contains(&word.to_lowercase().as_str()));
    let parses = tracing_subscriber::EnvFilter::builder().parse(filter).is_ok();
    (sound && parses).then(|| filter.to_owned())
}
