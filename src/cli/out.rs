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

/// Writes to standard output. If the reader is gone, nothing happens: what a command does is done all the same.
pub(super) fn write(text: fmt::Arguments<'_>) {
    match io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error: standard output could not be written: {error}");
        }
        _ => {}
    }
}
