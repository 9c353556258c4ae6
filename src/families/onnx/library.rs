//! The library: whether it is the right one, and what of it the process has once.

use std::path::Path;

use ort::{LoadDynamicError, environment::Environment, logging::LogLevel};
use parking_lot::Mutex;

use crate::{
    families::shared_library::{SharedLibrary, name},
    model::{NoProgram, Programs},
};

const LIBRARY: SharedLibrary = SharedLibrary {
    title: "ONNX Runtime",
    name: "onnxruntime",
    setting: "onnx.library",
    install: "pip install onnxruntime",
    file: "libonnxruntime",
    packaged: "onnxruntime/capi",
    // Of the package, of the folder of all packages, and of an unpacked release.
    within: &["", "capi", "onnxruntime/capi", "lib"],
};

/// The one environment of the process: the library allows no second. Short, and never across an `.await`.
static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

/// Whether there is one. `thoroughly`: whether it can be loaded as well, after which it is.
pub fn check(programs: &Programs, thoroughly: bool) -> Result<(), NoProgram> {
    match thoroughly {
        true => environment(programs).map(drop),
        false => LIBRARY.found(programs).map(drop),
    }
}

/// What sessions are made in. The first library that could be loaded stays until the process ends.
pub fn environment(programs: &Programs) -> Result<Environment, NoProgram> {
    // What is configured to be off, or is gone, is not used because it was there before.
    LIBRARY.found(programs)?;
    let mut loaded = LOADED.lock();
    if let Some(environment) = &*loaded {
        return Ok(environment.clone());
    }
    let environment = LIBRARY.load(programs, load)?;
    Ok(loaded.insert(environment).clone())
}

/// An error ends a sentence that begins with the name of the file.
fn load(file: &Path) -> Result<Environment, String> {
    let builder = ort::init_from(file).map_err(|error| match error {
        LoadDynamicError::MissingApi { .. } => "is another library: it has no OrtGetApiBase".to_owned(),
        LoadDynamicError::BadVersion { version_str, .. } => {
            format!("is version {version_str}; 1.{} or later would be right", ort::MINOR_VERSION)
        }
        LoadDynamicError::InvalidVersionString => "does not say its version".to_owned(),
        LoadDynamicError::Dlopen { .. } => {
            tracing::warn!(%error, "a library could not be loaded");
            "cannot be loaded; it may lack another library, which the log names".to_owned()
        }
    })?;
    let log = |level: LogLevel, _: &str, _: &str, place: &str, message: &str| match level {
        LogLevel::Verbose | LogLevel::Info => {}
        LogLevel::Warning => tracing::debug!(place, message, "ONNX Runtime warns"),
        LogLevel::Error | LogLevel::Fatal => tracing::warn!(place, message, "ONNX Runtime complains"),
    };
    let built = builder.with_name("sconce").with_telemetry(false).with_logger(std::sync::Arc::new(log)).build();
    let environment = built.map_err(|error| format!("does not start: {error}"))?;
    tracing::info!(library = name(file), "ONNX Runtime is loaded");
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::model::ProgramChoice;

    #[test]
    fn what_is_missing_is_said_with_and_without_a_try() {
        let refusal = |thoroughly| check(&Programs::default(), thoroughly).unwrap_err().to_string();
        let nowhere = refusal(true);
        assert!(nowhere.starts_with("it needs the library ONNX Runtime: it is not on this machine"), "{nowhere}");
        assert!(nowhere.contains("`pip install onnxruntime`") && nowhere.contains("onnx.library"), "{nowhere}");
        assert_eq!(refusal(false), nowhere);
    }

    #[test]
    fn another_library_is_refused() {
        // Tests may share a process, and the library is loaded once.
        if LOADED.lock().is_some() {
            println!("skipped: another test of this process has loaded the library");
            return;
        }
        let places =
            ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64", "/lib"];
        let Some(libm) = places.iter().map(|place| Path::new(place).join("libm.so.6")).find(|path| path.is_file())
        else {
            println!("skipped: there is no libm.so.6");
            return;
        };
        let choices = BTreeMap::from([("onnxruntime", ProgramChoice::At(libm))]);
        let refusal = check(&Programs { choices, ..Programs::default() }, true).unwrap_err().to_string();
        assert!(refusal.contains("libm.so.6 is another library: it has no OrtGetApiBase"), "{refusal}");
    }
}
