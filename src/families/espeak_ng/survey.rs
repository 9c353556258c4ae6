//! Questions to the program that it answers at once: who it is, and which voices it has.

use std::path::Path;

use super::{child, listing};
use crate::model::{NoProgram, ProgramFacts};

/// As it stands on the path.
pub const COMMAND: &str = "espeak-ng";

/// Of its voices but those of MBROLA, which are another program's.
const SAMPLE_RATE: u32 = 22_050;

/// All that there is to know of a program.
pub fn of(path: &Path) -> Result<ProgramFacts, NoProgram> {
    let command = COMMAND;
    let faulty = |reason: &str| NoProgram::Faulty { command, reason: reason.to_owned() };
    let ask = |question: &str| {
        let said = child::answer(path, &[question], None);
        said.map_err(|reason| NoProgram::Faulty { command, reason: format!("does not answer {question}: {reason}") })
    };
    let version = listing::version(&ask("--version")?).ok_or_else(|| faulty("does not say its version"))?;
    let voices = listing::voices(&ask("--voices")?);
    if voices.is_empty() {
        return Err(faulty("lists no voices; its data may be missing"));
    }
    let variants = listing::variants(&ask("--voices=variant")?);
    Ok(ProgramFacts { path: path.to_owned(), command, version, voices, variants, sample_rate: SAMPLE_RATE })
}
