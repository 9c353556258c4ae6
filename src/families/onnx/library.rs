//! The library: where it is looked for, whether it is the right one, and what of it the process has once.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use ort::{LoadDynamicError, environment::Environment, logging::LogLevel};
use parking_lot::Mutex;

use crate::model::{NoProgram, ProgramChoice, Programs};

/// As the configuration knows it.
const NAME: &str = "onnxruntime";
const SETTING: &str = "onnx.library";
const INSTALL: &str = "pip install onnxruntime";

/// Folders below one that holds a `bin`, in which libraries lie.
const PLACES: [&str; 3] = ["lib", "lib64", TRIPLE];
#[cfg(target_arch = "aarch64")]
const TRIPLE: &str = "lib/aarch64-linux-gnu";
#[cfg(not(target_arch = "aarch64"))]
const TRIPLE: &str = "lib/x86_64-linux-gnu";
/// Folders of Python below it, and of its packages below those.
const PYTHONS: &str = "lib";
const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];
/// Where the package of PyPI has it, from its folder, from that of all packages, and from an unpacked release.
const WITHIN: [&str; 4] = ["", "capi", "onnxruntime/capi", "lib"];

/// The one environment of the process: the library allows no second. Short, and never across an `.await`.
static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

/// Whether there is one. `thoroughly`: whether it can be loaded as well, after which it is.
pub fn check(programs: &Programs, thoroughly: bool) -> Result<(), NoProgram> {
    match thoroughly {
        true => environment(programs).map(drop),
        false => found(programs).map(drop),
    }
}

/// What sessions are made in. The first library that could be loaded stays until the process ends.
pub fn environment(programs: &Programs) -> Result<Environment, NoProgram> {
    let files = found(programs)?;
    let mut loaded = LOADED.lock();
    if let Some(environment) = &*loaded {
        return Ok(environment.clone());
    }
    let mut first = None;
    for file in &files {
        match load(file) {
            Ok(environment) => return Ok(loaded.insert(environment).clone()),
            Err(reason) => drop(first.get_or_insert((file, reason))),
        }
    }
    let (file, reason) = first.map_or_else(Default::default, |(file, reason)| (name(file), reason));
    Err(missing(format!("{file} {reason}; `{INSTALL}` brings the right one, and {SETTING} may say where it is")))
}

/// Those that are there, in the order in which they are tried.
fn found(programs: &Programs) -> Result<Vec<PathBuf>, NoProgram> {
    match programs.choices.get(NAME).unwrap_or(&ProgramChoice::Auto) {
        ProgramChoice::Off => Err(missing(format!("{SETTING} = \"off\" forbids it"))),
        ProgramChoice::At(path) if path.is_file() => Ok(vec![path.clone()]),
        ProgramChoice::At(folder) => {
            let files = WITHIN.iter().flat_map(|within| libraries(&folder.join(within))).collect();
            some(files).ok_or_else(|| {
                missing(format!(
                    "{SETTING} names no such file, and no folder that holds one; the path of libonnxruntime.so, auto or off \
                     would be right"
                ))
            })
        }
        ProgramChoice::Auto => {
            let beside = programs.path.iter().filter_map(|folder| folder.parent()).flat_map(beside).collect();
            some(beside).ok_or_else(|| {
                missing(format!("it is not on this machine; `{INSTALL}` brings it, and {SETTING} may say where it is"))
            })
        }
    }
}

fn some(files: Vec<PathBuf>) -> Option<Vec<PathBuf>> {
    (!files.is_empty()).then_some(files)
}

/// What lies where the libraries and the Python packages that belong to a `bin` do.
fn beside(prefix: &Path) -> Vec<PathBuf> {
    let pythons = fs::read_dir(prefix.join(PYTHONS)).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut pythons: Vec<PathBuf> = pythons.filter(|folder| name(folder).starts_with("python3")).collect();
    pythons.sort();
    let packages = pythons.iter().rev().flat_map(|python| PACKAGES.map(|packages| python.join(packages)));
    let packages = packages.flat_map(|packages| libraries(&packages.join("onnxruntime/capi")));
    PLACES.iter().flat_map(|place| libraries(&prefix.join(place))).chain(packages).collect()
}

/// The files of a folder that are called as the library is, those with the highest version first.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is = |path: &PathBuf| {
        let name = name(path);
        name.starts_with("libonnxruntime.") && (name.contains(".so") || name.ends_with(".dylib")) && path.is_file()
    };
    let mut files: Vec<PathBuf> = files.filter(is).collect();
    let version = |path: &PathBuf| {
        name(path).split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect::<Vec<u64>>()
    };
    files.sort_by_key(|path| std::cmp::Reverse(version(path)));
    files
}

/// Never more of its path.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn missing(reason: String) -> NoProgram {
    NoProgram::Library { library: "ONNX Runtime", reason }
}

/// An error ends a sentence that begins with the name of the file.
fn load(file: &Path) -> Result<Environment, String> {
    check_kind(file)?;
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

/// What can be told before any of its code runs.
fn check_kind(file: &Path) -> Result<(), String> {
    let mut head = [0; 20];
    File::open(file).and_then(|mut file| file.read_exact(&mut head)).map_err(|_| "cannot be read".to_owned())?;
    #[cfg(target_os = "linux")]
    {
        if !head.starts_with(b"\x7fELF") {
            return Err("is no library of this system".to_owned());
        }
        let machine = u16::from_le_bytes([head[18], head[19]]);
        let known = |machine: u16| match machine {
            62 => "x86_64".to_owned(),
            183 => "aarch64".to_owned(),
            other => format!("another processor (machine {other})"),
        };
        if known(machine) != std::env::consts::ARCH {
            return Err(format!("is for {}; one for {} would be right", known(machine), std::env::consts::ARCH));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn at(path: &Path) -> Programs {
        let choices = BTreeMap::from([(NAME, ProgramChoice::At(path.to_owned()))]);
        Programs { choices, ..Programs::default() }
    }

    fn refusal(programs: &Programs) -> String {
        check(programs, true).unwrap_err().to_string()
    }

    /// Tests may share a process, and the library is loaded once.
    fn is_loaded() -> bool {
        let loaded = LOADED.lock().is_some();
        if loaded {
            println!("skipped: another test of this process has loaded the library");
        }
        loaded
    }

    #[test]
    fn what_is_missing_is_said_and_how_to_get_it() {
        let nowhere = refusal(&Programs::default());
        assert!(nowhere.starts_with("it needs the library ONNX Runtime: it is not on this machine"), "{nowhere}");
        assert!(nowhere.contains("`pip install onnxruntime`") && nowhere.contains("onnx.library"), "{nowhere}");
        assert_eq!(check(&Programs::default(), false).unwrap_err().to_string(), nowhere, "and without a try");
        let off = Programs { choices: BTreeMap::from([(NAME, ProgramChoice::Off)]), ..Programs::default() };
        assert!(refusal(&off).contains("onnx.library = \"off\" forbids it"));
        let folder = tempfile::tempdir().unwrap();
        for wrong in [folder.path(), Path::new("/nowhere/libonnxruntime.so")] {
            assert!(refusal(&at(wrong)).contains("onnx.library names no such file"), "{}", wrong.display());
        }
    }

    #[test]
    fn what_is_another_file_is_said() {
        if is_loaded() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libonnxruntime.so");
        let with = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let message = refusal(&at(&file));
            assert!(!message.contains(folder.path().to_str().unwrap()), "{message}");
            message
        };
        assert!(with(b"short").contains("libonnxruntime.so cannot be read"));
        assert!(with(&[b'#'; 100]).contains("is no library of this system"));
        let mut elf = [0; 100];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
        let (other, own) = if cfg!(target_arch = "x86_64") { ("aarch64", "x86_64") } else { ("x86_64", "aarch64") };
        assert!(with(&elf).contains(&format!("is for {other}; one for {own} would be right")));
        elf[18] = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        assert!(with(&elf).contains("cannot be loaded"), "the beginning of one");
    }

    #[test]
    fn another_library_is_refused() {
        if is_loaded() {
            return;
        }
        let places =
            ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64", "/lib"];
        let Some(libm) = places.iter().map(|place| Path::new(place).join("libm.so.6")).find(|path| path.is_file())
        else {
            println!("skipped: there is no libm.so.6");
            return;
        };
        assert!(refusal(&at(&libm)).contains("libm.so.6 is another library: it has no OrtGetApiBase"));
    }

    #[test]
    fn it_is_looked_for_beside_the_folders_of_the_path() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let programs = Programs { path: vec![root.path().join("bin")], ..Programs::default() };
        assert!(found(&programs).is_err());
        let package = put("lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0");
        put("lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime_providers_shared.so");
        assert_eq!(found(&programs).unwrap(), std::slice::from_ref(&package));
        let (old, new) = (put("lib/libonnxruntime.so.1.9.0"), put("lib/libonnxruntime.so.1.17.1"));
        assert_eq!(found(&programs).unwrap(), [new, old, package.clone()]);
        for folder in ["lib/python3.11/site-packages", "lib/python3.11/site-packages/onnxruntime"] {
            assert_eq!(found(&at(&root.path().join(folder))).unwrap(), std::slice::from_ref(&package), "{folder}");
        }
    }
}
