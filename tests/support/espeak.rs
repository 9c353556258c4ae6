//! The program `espeak-ng`, where this machine has it.

use std::path::Path;

/// Its path; without it a test that needs it says so and ends. `.ci/run` installs it.
pub fn program() -> Option<&'static str> {
    let found = ["/usr/local/bin/espeak-ng", "/usr/bin/espeak-ng"].into_iter().find(|path| Path::new(path).is_file());
    if found.is_none() {
        println!("skipped: espeak-ng is not installed (apt-get install espeak-ng)");
    }
    found
}
