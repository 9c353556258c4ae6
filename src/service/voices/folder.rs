//! The folder of voices: names, paths, and a file that is there whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{VoiceError, length::LONGEST_NOTE, notes::VoiceNotes};

/// `anna.transcript.txt` beside `anna.wav`. No voice has such a name, for the dot in it.
const TRANSCRIPT: &str = "transcript.txt";
const CONSENT: &str = "consent.txt";
/// Characters of a name, at most.
const LONGEST_NAME: usize = 64;

/// Letters, digits, `-` and `_`: what a file, an address and a log can hold without more ado.
pub(super) fn check_name(name: &str) -> Result<(), VoiceError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let fine = plain && (1..=LONGEST_NAME).contains(&name.len());
    if fine { Ok(()) } else { Err(VoiceError::Name { asked: name.to_owned() }) }
}

/// Every file that has a voice's name. Of two with one name the first counts.
pub(super) fn files(folder: &Path) -> Result<BTreeMap<String, PathBuf>, VoiceError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    let mut files = BTreeMap::new();
    for path in paths.into_iter().filter(|path| path.is_file()) {
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()).filter(|name| check_name(name).is_ok()) {
            files.entry(name.to_owned()).or_insert(path);
        }
    }
    Ok(files)
}

/// Writes beside its place and renames, so that nobody reads half a file; never over another one.
pub(super) fn write(folder: &Path, name: &str, extension: &str, bytes: &[u8]) -> Result<PathBuf, VoiceError> {
    fs::create_dir_all(folder)?;
    let path = folder.join(name).with_extension(extension);
    // The name begins with a dot: no voice's does.
    let mut file = NamedTempFile::with_prefix_in(".adding-", folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(path),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(VoiceError::Exists { name: name.to_owned() })
        }
        Err(error) => Err(error.error.into()),
    }
}

/// What is said in a recording, where it stands beside it.
pub(super) fn transcript(voice: &Path) -> Result<Option<String>, VoiceError> {
    let mut text = String::new();
    let file = match File::open(voice.with_extension(TRANSCRIPT)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    file.take(LONGEST_NOTE as u64).read_to_string(&mut text)?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Writes beside a recording what is known about it.
pub(super) fn write_notes(voice: &Path, notes: &VoiceNotes) -> Result<(), VoiceError> {
    for (extension, note) in [(TRANSCRIPT, &notes.transcript), (CONSENT, &notes.consent)] {
        if let Some(note) = note {
            fs::write(voice.with_extension(extension), note)?;
        }
    }
    Ok(())
}

pub(super) fn remove_notes(voice: &Path) {
    for extension in [TRANSCRIPT, CONSENT] {
        // There may be none.
        drop(fs::remove_file(voice.with_extension(extension)));
    }
}

/// A file in the folder, by its whole path or by the rest of it. Links are followed first, so that none leads out.
pub(super) fn within(folder: &Path, path: &Path) -> Result<PathBuf, VoiceError> {
    // What does not exist and what lies outside look the same, so that nobody learns what the machine holds.
    let folder = folder.canonicalize().map_err(|_| VoiceError::Outside)?;
    let path = folder.join(path).canonicalize().map_err(|_| VoiceError::Outside)?;
    if path.starts_with(&folder) && path.is_file() { Ok(path) } else { Err(VoiceError::Outside) }
}
