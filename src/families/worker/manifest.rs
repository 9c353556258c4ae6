//! `sconce-worker.toml`: how a model's program is run, and what it is, as far as that is to be known before it runs.

use serde::Deserialize;

use super::kind::MARKER;
use crate::{
    model::{LoadError, ModelFiles},
    speech::TaskKind,
};

/// Bytes of the file, at most.
const LARGEST: u64 = 64 << 10;
/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manifest {
    /// Of the protocol that the program speaks.
    pub protocol: Option<u32>,
    /// The program and its arguments, relative to the folder of the file.
    pub command: Vec<String>,
    tasks: Vec<String>,
    /// Memory that it takes, in megabytes.
    pub memory_mb: Option<u64>,
    /// Files that nothing is executed of, which are not pinned; one `*` in each stands for anything.
    pub data: Vec<String>,
    /// Hertz of the sound that it wants to hear.
    pub input_rate: Option<u32>,
    /// Hertz of the sound that it makes.
    pub sample_rate: Option<u32>,
    /// Characters that it says in one go.
    pub max_text: Option<usize>,
    /// Whether it speaks as `instructions` say.
    pub instructions: bool,
    /// Whether it speaks higher or lower where a text asks for it.
    pub pitch: bool,
    /// Those that it has, the usual one first.
    pub voices: Vec<Voice>,
}

/// A voice, as the program calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Voice {
    pub name: String,
    /// ISO 639-1 codes or BCP 47 tags; empty: whatever it is given.
    #[serde(default)]
    pub languages: Vec<String>,
}

// === impl Manifest ===

impl Manifest {
    /// `None`: the model has no such file.
    pub fn of(files: &ModelFiles) -> Result<Option<Self>, LoadError> {
        if !files.has("model", MARKER) {
            return Ok(None);
        }
        let wrong = |reason: String| LoadError::Malformed { file: MARKER.to_owned(), reason };
        let size = files.size("model", MARKER)?;
        if size > LARGEST {
            return Err(wrong(format!("it has {size} bytes; {LARGEST} is the most")));
        }
        let bytes = files.open("model", MARKER)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| wrong(error.to_string()))?;
        let manifest: Self = toml::from_str(text).map_err(|error| wrong(error.message().to_owned()))?;
        manifest.check().map_err(wrong)?;
        Ok(Some(manifest))
    }

    fn check(&self) -> Result<(), String> {
        if let Some(other) = self.protocol.filter(|version| *version != PROTOCOL) {
            return Err(format!("it speaks the protocol {other}, and this server {PROTOCOL}"));
        }
        if let Some(outside) = self.command.iter().find(|word| word.split('/').any(|part| part == "..")) {
            return Err(format!("{outside:?} of its command leads out of its folder"));
        }
        self.tasks().map(drop)
    }

    pub fn tasks(&self) -> Result<Vec<TaskKind>, String> {
        let known = |word: &String| {
            let task = TaskKind::ALL.into_iter().find(|task| task.as_str() == word);
            task.ok_or_else(|| format!("{word:?} is no task; transcribe, synthesize or convert would be right"))
        };
        self.tasks.iter().map(known).collect()
    }

    /// Whether nothing is executed of a file.
    pub fn is_data(&self, file: &str) -> bool {
        file != MARKER && self.data.iter().any(|pattern| fits(pattern, file))
    }
}

fn fits(pattern: &str, file: &str) -> bool {
    match pattern.split_once('*') {
        Some((begin, end)) => file.len() >= begin.len() + end.len() && file.starts_with(begin) && file.ends_with(end),
        None => pattern == file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_what_the_patterns_say_and_never_the_manifest() {
        let manifest = Manifest {
            data: ["*.bin", "voices/*", "exact.txt", "*.toml"].map(str::to_owned).to_vec(),
            ..Manifest::default()
        };
        for file in ["a.bin", "deep/b.bin", "voices/x/y", "exact.txt"] {
            assert!(manifest.is_data(file), "{file}");
        }
        for file in ["a.binary", "worker.py", "exact.txt2", MARKER] {
            assert!(!manifest.is_data(file), "{file}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, wrong) in [
            ("protocol = 2", "the protocol 2"),
            ("tasks = [\"sing\"]", "\"sing\" is no task"),
            ("command = [\"../../bin/sh\"]", "out of its folder"),
        ] {
            let manifest: Manifest = toml::from_str(text).unwrap();
            assert!(manifest.check().unwrap_err().contains(wrong), "{text}");
        }
        assert!(toml::from_str::<Manifest>("comand = []").is_err());
    }
}
