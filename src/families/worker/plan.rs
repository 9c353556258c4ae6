//! What is to be executed for a model, and whether it may be.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    kind::{self, MARKER},
    manifest::{Manifest, Voice},
};
use crate::{
    model::{LoadError, Location, ModelFiles, Programs, can_be_run},
    speech::TaskKind,
};

/// Bytes that are hashed for a look at the configuration; of more only a load makes sure.
const BRIEF: u64 = 256 << 20;
/// Bytes of memory of a program of which nothing is known, beside those of its files.
const USUAL_MEMORY: u64 = 200 << 20;
/// Names that a refusal tells.
const MOST_NAMES: usize = 5;

/// A program, and the files of which it is made.
#[derive(Clone, Debug)]
pub struct Plan {
    model: String,
    /// An absolute path.
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    pub tasks: Vec<TaskKind>,
    pub manifest: Manifest,
    /// Name → path of all that would be executed, by name.
    pinned: Vec<(String, PathBuf)>,
    /// What they have to be.
    allowed: Option<String>,
}

// === impl Plan ===

impl Plan {
    /// `None`: the model is no program.
    pub fn of(model: &str, files: &ModelFiles, programs: &Programs) -> Result<Option<Self>, LoadError> {
        let (manifest, choice) = (Manifest::of(files)?, &programs.worker);
        if manifest.is_none() && choice.command.is_empty() {
            return Ok(None);
        }
        let manifest = manifest.unwrap_or_default();
        let folder = folder(files)?;
        let command = if choice.command.is_empty() { &manifest.command } else { &choice.command };
        let Some((program, arguments)) = command.split_first() else {
            let reason = "it names no command; command = [\"python3\", \"worker.py\"] would be one".to_owned();
            return Err(LoadError::Malformed { file: MARKER.to_owned(), reason });
        };
        let tasks = tasks(model, &manifest, &choice.tasks)?;
        let found = found(model, program, folder.as_deref(), &programs.path)?;
        let mut pinned = of_folder(files, &manifest);
        let named = std::iter::once(program).chain(arguments).filter(|word| word.contains('/'));
        for word in named {
            let path = folder.as_deref().unwrap_or(Path::new("/")).join(word);
            // What is in the folder is there already, and what is no file is executed by nobody.
            if path.is_file() && !pinned.iter().any(|(_, known)| *known == path) {
                pinned.push((path.display().to_string(), path));
            }
        }
        pinned.sort();
        Ok(Some(Self {
            model: model.to_owned(),
            program: found,
            arguments: arguments.to_vec(),
            folder: folder.unwrap_or_else(|| PathBuf::from("/")),
            tasks,
            manifest,
            pinned,
            allowed: choice.sha256.clone(),
        }))
    }

    /// Whether all of it may be executed, as far as that is seen at once.
    pub fn check_briefly(&self) -> Result<(), LoadError> {
        let sizes = self.pinned.iter().map(|(_, path)| path.metadata().map_or(0, |about| about.len()));
        let brief = self.allowed.is_none() || sizes.sum::<u64>() <= BRIEF;
        if brief { self.check() } else { Ok(()) }
    }

    /// Whether all of it may be executed.
    pub fn check(&self) -> Result<(), LoadError> {
        if self.pinned.is_empty() {
            // The configuration names the program, which is the system's.
            return Ok(());
        }
        let sha256 = sha256(&self.pinned)?;
        match &self.allowed {
            Some(allowed) if *allowed == sha256 => Ok(()),
            Some(allowed) => Err(LoadError::Refused(format!(
                "what it would execute ({}) is not what the configuration allows: worker_sha256 is {allowed}, and the files \
                 make {sha256}; if that is meant, put {} into the configuration",
                self.names(),
                self.lines(&sha256)
            ))),
            None => Err(LoadError::Refused(format!(
                "it would execute files that nobody allowed: {}; if that is meant, put {} into the configuration",
                self.names(),
                self.lines(&sha256)
            ))),
        }
    }

    fn lines(&self, sha256: &str) -> String {
        format!("`[models.{:?}]` `worker_sha256 = \"{sha256}\"`", self.model)
    }

    /// The last part of each: a text for clients holds no path.
    fn names(&self) -> String {
        let short = |name: &String| name.strip_prefix('/').map_or(name.as_str(), last).to_owned();
        let names: Vec<String> = self.pinned.iter().take(MOST_NAMES).map(|(name, _)| short(name)).collect();
        let more = self.pinned.len().saturating_sub(MOST_NAMES);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        names.join(", ") + &rest
    }

    pub fn voices(&self) -> &[Voice] {
        &self.manifest.voices
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Bytes of memory that it is counted with until it was seen.
pub fn footprint(files: &ModelFiles) -> Result<u64, LoadError> {
    let manifest = match Manifest::of(files) {
        // Its weight is known when it is here.
        Err(LoadError::Ahead(_)) => None,
        manifest => manifest?,
    };
    if let Some(megabytes) = manifest.and_then(|manifest| manifest.memory_mb) {
        return Ok(megabytes.saturating_mul(1_000_000));
    }
    let sizes = files.names("model").map(|file| files.size("model", file));
    sizes.sum::<Result<u64, _>>().map(|bytes| bytes.saturating_add(USUAL_MEMORY))
}

/// What the configuration says, else the file.
fn tasks(model: &str, manifest: &Manifest, chosen: &[TaskKind]) -> Result<Vec<TaskKind>, LoadError> {
    let malformed = |reason| LoadError::Malformed { file: MARKER.to_owned(), reason };
    let mut tasks = if chosen.is_empty() { manifest.tasks().map_err(malformed)? } else { chosen.to_vec() };
    if tasks.is_empty() {
        return Err(LoadError::Refused(format!(
            "nothing says what it does: worker_tasks in `[models.{model:?}]`, or tasks in {MARKER}, with transcribe, \
             synthesize or convert, would be right"
        )));
    }
    tasks.sort();
    tasks.dedup();
    Ok(tasks)
}

/// The folder in which the files of the model lie; `None`: it has none.
fn folder(files: &ModelFiles) -> Result<Option<PathBuf>, LoadError> {
    let Some((_, name, location)) = files.iter().next() else { return Ok(None) };
    let Location::Disk(path) = location else {
        return Err(LoadError::Unsupported("a program has to lie on a disk".to_owned()));
    };
    let up = name.split('/').count();
    let folder = path.ancestors().nth(up).filter(|folder| folder.join(name) == *path);
    folder.map(|folder| Some(folder.to_owned())).ok_or_else(|| {
        LoadError::Unsupported(format!("{name} does not lie where its name says, and a program needs a folder"))
    })
}

/// The program that a word means.
fn found(model: &str, word: &str, folder: Option<&Path>, path: &[PathBuf]) -> Result<PathBuf, LoadError> {
    if !word.contains('/') {
        let found = path.iter().map(|folder| folder.join(word)).find(|path| can_be_run(path));
        return found.ok_or_else(|| {
            LoadError::Refused(format!(
                "it is run by the program {word}, which is not on this machine; install it, or name its path as the first \
                 word of worker in `[models.{model:?}]`"
            ))
        });
    }
    let path = folder.unwrap_or(Path::new("/")).join(word);
    if can_be_run(&path) {
        return Ok(path);
    }
    let reason = if path.is_file() { "is not executable; `chmod +x` would make it so" } else { "is not there" };
    Err(LoadError::Refused(format!("its program {} {reason}", last(word))))
}

/// All files of the model but those of which nothing is executed.
fn of_folder(files: &ModelFiles, manifest: &Manifest) -> Vec<(String, PathBuf)> {
    let names = kind::files(&files.names("model").map(str::to_owned).collect::<Vec<_>>());
    let on_disk = files.iter().filter_map(|(_, name, location)| match location {
        Location::Disk(path) => Some((name.to_owned(), path.clone())),
        Location::Embedded(_) | Location::Ahead { .. } => None,
    });
    on_disk.filter(|(name, _)| names.contains(name) && !manifest.is_data(name)).collect()
}

/// Of the lines that `sha256sum` writes for these files, in their order.
fn sha256(files: &[(String, PathBuf)]) -> Result<String, LoadError> {
    let mut all = Sha256::new();
    for (name, path) in files {
        let read = |source| LoadError::Read { file: last(name).to_owned(), source };
        let mut one = Sha256::new();
        io::copy(&mut File::open(path).map_err(read)?, &mut Hashed(&mut one)).map_err(read)?;
        all.update(format!("{}  {name}\n", hex::encode(one.finalize())));
    }
    Ok(hex::encode(all.finalize()))
}

struct Hashed<'a>(&'a mut Sha256);

impl io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
