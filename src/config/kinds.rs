//! How the values of our own types are written: modes, devices, folders and the like.

use std::{net::IpAddr, path::PathBuf};

use super::value::{COUNT, Kind, NAMES, Raw, SIZE, choice, text, word};
use crate::{
    lifecycle::{LoadMode, OnPreloadFailure},
    runtime::{DTypeChoice, DeviceChoice},
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

const DTYPES: &[(&str, DTypeChoice)] =
    &[("auto", DTypeChoice::Auto), ("f32", DTypeChoice::F32), ("f16", DTypeChoice::F16), ("bf16", DTypeChoice::Bf16)];

pub(super) const DTYPE: Kind<DTypeChoice> =
    Kind { expected: "auto, f32, f16 or bf16", parse: |raw| choice(raw, DTYPES), show: |dtype| word(dtype, DTYPES) };

const LOG_FORMATS: &[(&str, LogFormat)] =
    &[("auto", LogFormat::Auto), ("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];

pub(super) const LOG_FORMAT: Kind<LogFormat> = Kind {
    expected: "auto, pretty or json",
    parse: |raw| choice(raw, LOG_FORMATS),
    show: |format| word(format, LOG_FORMATS),
};

pub(super) const DEVICE: Kind<DeviceChoice> =
    Kind { expected: "auto, cpu, cuda, cuda:0, cuda:1, … or metal", parse: device, show: show_device };

pub(super) const ADDRESS: Kind<IpAddr> = Kind {
    expected: "an IP address such as 0.0.0.0, 127.0.0.1 or ::",
    parse: |raw| text(raw)?.parse().ok(),
    show: IpAddr::to_string,
};

pub(super) const PATH: Kind<PathBuf> =
    Kind { expected: "a folder", parse: |raw| text(raw).map(PathBuf::from), show: |path| path.display().to_string() };

pub(super) const PATHS: Kind<Vec<PathBuf>> =
    Kind { expected: "folders, separated by colons", parse: |raw| Some(paths(raw)), show: |paths| show_paths(paths) };

pub(super) const WHOLE: Kind<u32> =
    Kind { expected: COUNT.expected, parse: |raw| (COUNT.parse)(raw)?.try_into().ok(), show: u32::to_string };

pub(super) const BYTES: Kind<usize> = Kind {
    expected: SIZE.expected,
    parse: |raw| (SIZE.parse)(raw)?.try_into().ok(),
    show: |size| (SIZE.show)(&(*size as u64)),
};

pub(super) const LOG_LEVEL: Kind<String> = Kind {
    expected: "off, error, warn, info, debug or trace, or a filter such as sconce=debug,actix_server=warn",
    parse: log_level,
    show: String::clone,
};

fn device(raw: &Raw) -> Option<DeviceChoice> {
    let word = text(raw)?.to_lowercase();
    match word.as_str() {
        "auto" => Some(DeviceChoice::Auto),
        "cpu" => Some(DeviceChoice::Cpu),
        "metal" => Some(DeviceChoice::Metal),
        "cuda" => Some(DeviceChoice::Cuda(0)),
        _ => word.strip_prefix("cuda:")?.parse().ok().map(DeviceChoice::Cuda),
    }
}

fn show_device(device: &DeviceChoice) -> String {
    match device {
        DeviceChoice::Auto => "auto".to_owned(),
        DeviceChoice::Cpu => "cpu".to_owned(),
        DeviceChoice::Metal => "metal".to_owned(),
        DeviceChoice::Cuda(index) => format!("cuda:{index}"),
    }
}

fn paths(raw: &Raw) -> Vec<PathBuf> {
    match raw {
        Raw::Text(text) => text.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect(),
        Raw::List(_) => (NAMES.parse)(raw).unwrap_or_default().into_iter().map(PathBuf::from).collect(),
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
