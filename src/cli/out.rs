//! Standard output, whose reader may stop early, as `head` does.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

/// `println!`, but for what happens when nobody reads: see [`write()`].
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::out::write(format_args!("{}\n", format_args!($($text)*))) };
}
pub(super) use say;

/// An error with what caused it. A cause that the text before it tells already is not told again.
pub(super) fn reason(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said {
        said if said.is_empty() => cause,
        said if said.contains(&cause) => said,
        said => format!("{said}: {cause}"),
    })
}

/// Writes to standard output. If the reader is gone, nothing happens: what a command does is done all the same.
pub(super) fn write(text: fmt::Arguments<'_>) {
    match io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error: standard output could not be written: {error}");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let twice = Err::<(), _>(anyhow!("no room")).context("cannot be written: no room").unwrap_err();
        assert_eq!(reason(&twice), "cannot be written: no room");
        let once = Err::<(), _>(anyhow!("no room")).context("cannot be written").unwrap_err();
        assert_eq!(reason(&once), "cannot be written: no room");
    }
}
