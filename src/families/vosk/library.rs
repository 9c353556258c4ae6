//! The library: where it is looked for, and whether it is the right one.

use std::path::PathBuf;

use parking_lot::Mutex;

use super::api::{Api, OpenError};
use crate::{
    families::shared_library::{SharedLibrary, name},
    model::{NoProgram, Programs},
};

const LIBRARY: SharedLibrary = SharedLibrary {
    title: "libvosk",
    name: "vosk",
    setting: "vosk.library",
    install: "pip install vosk",
    file: "libvosk",
    packaged: "vosk",
    // Of an unpacked release and of the package, and of the folder of all packages.
    within: &["", "vosk", "lib"],
};
/// The version that has all that is asked of it for certain.
const OLDEST: &str = "0.3.45";

/// Those that were loaded, which stay until the process ends. Short, and never across an `.await`.
static LOADED: Mutex<Vec<(PathBuf, &'static Api)>> = Mutex::new(Vec::new());

/// Whether there is one. `thoroughly`: whether it can be loaded as well, after which it is.
pub fn check(programs: &Programs, thoroughly: bool) -> Result<(), NoProgram> {
    match thoroughly {
        true => api(programs).map(drop),
        false => LIBRARY.found(programs).map(drop),
    }
}

/// The library, loaded.
pub fn api(programs: &Programs) -> Result<&'static Api, NoProgram> {
    LIBRARY.load(programs, |file| {
        let mut loaded = LOADED.lock();
        if let Some((_, api)) = loaded.iter().find(|(known, _)| known == file) {
            return Ok(*api);
        }
        let api = Api::open(file).map_err(|error| described(&error))?;
        tracing::info!(library = name(file), "libvosk is loaded");
        loaded.push((file.to_owned(), api));
        Ok(api)
    })
}

/// Ends a sentence that begins with the name of the file.
fn described(error: &OpenError) -> String {
    match error {
        OpenError::System(error) => {
            tracing::warn!(%error, "a library could not be loaded");
            "cannot be loaded; it may lack another library, which the log names".to_owned()
        }
        OpenError::Foreign => "is another library: it has no function of Vosk".to_owned(),
        OpenError::Lacks(functions) => {
            let functions = functions.join(", ");
            format!("is of another version: it lacks {functions}; {OLDEST} or later would be right")
        }
    }
}
