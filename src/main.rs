//! `sconce`, the program. Everything is in the library; see `docs/ARCHITECTURE.md`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sconce::cli::main()
}
