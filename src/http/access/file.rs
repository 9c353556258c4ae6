//! A file of keys: TOML if its name says so, else one key per line.

use std::{io, path::PathBuf};

use serde::Deserialize;

use super::key::{Digest, Key, Limits, Scope};

/// Why a file of keys is of no use. For whoever runs the server: it names the file, and no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("the file of keys {} cannot be read: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the file of keys {}: {problem}", .path.display())]
    Malformed { path: PathBuf, problem: String },
}

/// `[[keys]]` tables.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    /// As it is, or `sha256:` and its digest.
    key: String,
    #[serde(default = "infer")]
    scopes: Vec<Scope>,
    requests_per_minute: Option<std::num::NonZeroU32>,
    audio_seconds_per_minute: Option<std::num::NonZeroU32>,
    characters_per_minute: Option<std::num::NonZeroU32>,
    concurrency: Option<std::num::NonZeroU32>,
}

fn infer() -> Vec<Scope> {
    vec![Scope::Infer]
}

/// The keys of a file, at least one. The error says what is wrong and where, without a key in it.
pub(super) fn parse(text: &str, toml: bool) -> Result<Vec<Key>, String> {
    let keys = if toml { tables(text)? } else { lines(text)? };
    if keys.is_empty() {
        return Err("there is no key in it, and a server without keys is open to everybody".to_owned());
    }
    Ok(keys)
}

/// Keys that are given twice, or under one name, would be told apart by nobody.
pub(super) fn doubles(keys: &[Key]) -> Result<(), String> {
    for (at, key) in keys.iter().enumerate() {
        for other in &keys[..at] {
            if other.name == key.name {
                return Err(format!("two keys have the name {:?}", key.name));
            }
            if other.digest == key.digest {
                return Err(format!("{:?} and {:?} are the same key", other.name, key.name));
            }
        }
    }
    Ok(())
}

fn tables(text: &str) -> Result<Vec<Key>, String> {
    // The error's own Display quotes the line, which may hold a key.
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count()) + 1;
        format!("line {line}: {}", error.message())
    })?;
    file.keys.into_iter().map(Entry::key).collect()
}

fn lines(text: &str) -> Result<Vec<Key>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    keys.map(|(at, line)| {
        let digest = Digest::parse(line).ok_or_else(|| format!("line {}: {WRONG}", at + 1))?;
        Ok(Key::unnamed(digest, &[Scope::Infer]))
    })
    .collect()
}

const WRONG: &str = "a key is visible ASCII without blanks, or sha256: and 64 hexadecimal digits";

// === impl Entry ===

impl Entry {
    fn key(self) -> Result<Key, String> {
        let digest = Digest::parse(&self.key).ok_or_else(|| format!("the key of {:?}: {WRONG}", self.name))?;
        let limits = Limits {
            requests_per_minute: self.requests_per_minute,
            audio_seconds_per_minute: self.audio_seconds_per_minute,
            characters_per_minute: self.characters_per_minute,
            concurrency: self.concurrency,
        };
        Ok(Key { name: self.name, digest, scopes: self.scopes, limits })
    }
}
