//! Recordings that the command line names.

use std::{
    io::{self, Read, stdin},
    path::Path,
};

use crate::service::Recording;

/// A file, or, where it is `-`, what comes from standard input.
pub(super) async fn read(path: &Path) -> io::Result<Recording> {
    let bytes = if path.as_os_str() == "-" { piped()? } else { tokio::fs::read(path).await? };
    Ok(Recording { bytes: bytes.into(), hint: Some(path.display().to_string()) })
}

fn piped() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}
