//! The text: an argument, a file, or what comes from standard input.

use std::{
    fs::File,
    io::{Read, stdin},
    path::Path,
};

use anyhow::Context;

/// Four times the Bible; more than 400 hours of speech.
const LARGEST: u64 = 16 << 20;

/// The text of an argument, where `-` is standard input, or else of a file.
pub(super) fn read(text: Option<&str>, file: Option<&Path>) -> anyhow::Result<String> {
    match (text, file) {
        (Some("-"), _) => all(stdin().lock()).context("standard input"),
        (None, Some(path)) if path.as_os_str() == "-" => all(stdin().lock()).context("standard input"),
        (None, Some(path)) => {
            let open = || all(File::open(path).context("it cannot be read")?);
            open().with_context(|| path.display().to_string())
        }
        (text, _) => Ok(text.unwrap_or_default().to_owned()),
    }
}

fn all(from: impl Read) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes).context("it cannot be read")?;
    anyhow::ensure!(bytes.len() as u64 <= LARGEST, "it has more than {} MiB; split it", LARGEST >> 20);
    let text = String::from_utf8(bytes).ok().context("it is no text in UTF-8")?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
