//! Whether the program is there, and what it is.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tracing::{info, warn};

use super::{
    complaints::{faults, reported},
    group::THREADS,
};
use crate::{
    model::{GuardRules, ProgramChoice},
    process::lower_priority,
};

/// Where the search path has it.
pub(super) fn look(choice: &ProgramChoice, guard: &GuardRules) -> Option<PathBuf> {
    let program = match choice {
        ProgramChoice::Off => return None,
        ProgramChoice::Auto => searched(),
        ProgramChoice::At(path) => Some(path.clone()),
    };
    let Some(program) = program else {
        info!("there is no ffmpeg: recordings that are not decoded here are refused");
        return None;
    };
    match version(&program, guard) {
        Ok((version, apart)) => {
            info!(program = %program.display(), version, apart, "ffmpeg hears what is not decoded here");
            if !apart.contains("network") {
                info!(
                    "this system lets no program be put apart: only its list of protocols keeps ffmpeg from the network"
                );
            }
            Some(program)
        }
        Err(reason) => {
            warn!(program = %program.display(), reason, "audio.ffmpeg does not run, or is not ffmpeg");
            None
        }
    }
}

fn searched() -> Option<PathBuf> {
    let found = Command::new("/bin/sh").args(["-c", "command -v ffmpeg"]).stdin(Stdio::null()).output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?;
    Some(PathBuf::from(path.trim())).filter(|path| path.is_absolute())
}

/// Its version, and how far it is apart, if it runs and is ffmpeg; else what it or its guard says instead.
fn version(program: &Path, guard: &GuardRules) -> Result<(String, String), String> {
    let mut command = guard.command(program, false, Some(THREADS));
    command.arg("-version").env_clear().current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| error.to_string())?;
    // It links two hundred libraries, while the models are loaded that somebody waits for.
    lower_priority(child.id());
    let said = child.wait_with_output().map_err(|error| error.to_string())?;
    let (text, complaints) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let (apart, complaints) = reported(&complaints);
    let version = text.strip_prefix("ffmpeg version ").and_then(|text| text.split_whitespace().next());
    match version {
        Some(version) => Ok((version.to_owned(), apart.to_owned())),
        None => Err(faults(complaints).unwrap_or_default()),
    }
}
