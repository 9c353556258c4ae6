//! Libraries of other projects: where they lie on a machine, and what can be told of a file before any of its code runs.
//!
//! Nothing of them is part of this program: they are looked for when the configuration is read, and loaded when the first
//! model needs one.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use crate::model::{NoProgram, ProgramChoice, Programs};

/// Folders below one that holds a `bin`, in which libraries lie.
const PLACES: [&str; 3] = ["lib", "lib64", TRIPLE];
#[cfg(target_arch = "aarch64")]
const TRIPLE: &str = "lib/aarch64-linux-gnu";
#[cfg(not(target_arch = "aarch64"))]
const TRIPLE: &str = "lib/x86_64-linux-gnu";
/// Folders of Python below it, and of its packages below those.
const PYTHONS: &str = "lib";
const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];

/// What such a library is called, and how one gets it.
#[derive(Clone, Copy, Debug)]
pub struct SharedLibrary {
    /// As people call it.
    pub title: &'static str,
    /// As the configuration knows it.
    pub name: &'static str,
    /// The setting that says where it is.
    pub setting: &'static str,
    pub install: &'static str,
    /// What its file is called, up to the ending of the system.
    pub file: &'static str,
    /// Where the package of PyPI has it, from the folder of all packages.
    pub packaged: &'static str,
    /// Where it may lie, from a folder that the configuration names.
    pub within: &'static [&'static str],
}

// === impl SharedLibrary ===

impl SharedLibrary {
    /// The files that may be it, in the order in which they are to be tried; at least one.
    pub fn found(&self, programs: &Programs) -> Result<Vec<PathBuf>, NoProgram> {
        let Self { setting, install, .. } = self;
        match programs.choices.get(self.name).unwrap_or(&ProgramChoice::Auto) {
            ProgramChoice::Off => Err(self.missing(format!("{setting} = \"off\" forbids it"))),
            ProgramChoice::At(path) if path.is_file() => Ok(vec![path.clone()]),
            ProgramChoice::At(folder) => {
                let files = self.within.iter().flat_map(|within| self.files(&folder.join(within))).collect();
                some(files).ok_or_else(|| {
                    let file = self.file;
                    self.missing(format!(
                        "{setting} names no such file, and no folder that holds one; the path of {file}.so, auto or off would be \
                         right"
                    ))
                })
            }
            ProgramChoice::Auto => {
                let prefixes = programs.path.iter().filter_map(|folder| folder.parent());
                some(prefixes.flat_map(|prefix| self.beside(prefix)).collect()).ok_or_else(|| {
                    self.missing(format!(
                        "it is not on this machine; `{install}` brings it, and {setting} may say where it is"
                    ))
                })
            }
        }
    }

    /// The first of the files that are there that `load` takes; else what is wrong with the first. What it says of a file ends
    /// a sentence that begins with the file's name.
    pub fn load<T>(
        &self,
        programs: &Programs,
        mut load: impl FnMut(&Path) -> Result<T, String>,
    ) -> Result<T, NoProgram> {
        let mut first = None;
        for file in self.found(programs)? {
            match check_kind(&file).and_then(|()| load(&file)) {
                Ok(loaded) => return Ok(loaded),
                Err(reason) => drop(first.get_or_insert(format!("{} {reason}", name(&file)))),
            }
        }
        let (first, Self { install, setting, .. }) = (first.unwrap_or_default(), self);
        Err(self.missing(format!("{first}; `{install}` brings the right one, and {setting} may say where it is")))
    }

    fn missing(&self, reason: String) -> NoProgram {
        NoProgram::Library { library: self.title, reason }
    }

    /// What lies where the libraries and the Python packages that belong to a `bin` do.
    fn beside(&self, prefix: &Path) -> Vec<PathBuf> {
        let pythons = fs::read_dir(prefix.join(PYTHONS)).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut pythons: Vec<PathBuf> = pythons.filter(|folder| name(folder).starts_with("python3")).collect();
        pythons.sort();
        let packages = pythons.iter().rev().flat_map(|python| PACKAGES.map(|packages| python.join(packages)));
        let packages = packages.flat_map(|packages| self.files(&packages.join(self.packaged)));
        PLACES.iter().flat_map(|place| self.files(&prefix.join(place))).chain(packages).collect()
    }

    /// The files of a folder that are called as the library is, those with the highest version first.
    fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is = |path: &PathBuf| {
            let name = name(path);
            let ending = name.strip_prefix(self.file).unwrap_or_default();
            ending.starts_with('.') && (ending.contains(".so") || ending.ends_with(".dylib")) && path.is_file()
        };
        let mut files: Vec<PathBuf> = files.filter(is).collect();
        let version = |path: &PathBuf| {
            name(path)
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|digits| digits.parse().ok())
                .collect::<Vec<u64>>()
        };
        files.sort_by_key(|path| std::cmp::Reverse(version(path)));
        files
    }
}

fn some(files: Vec<PathBuf>) -> Option<Vec<PathBuf>> {
    (!files.is_empty()).then_some(files)
}

/// Never more of a path.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What can be told before any of its code runs.
fn check_kind(file: &Path) -> Result<(), String> {
    let mut head = [0; 20];
    File::open(file).and_then(|mut file| file.read_exact(&mut head)).map_err(|_| "cannot be read".to_owned())?;
    #[cfg(target_os = "linux")]
    {
        if !head.starts_with(b"\x7fELF") {
            return Err("is no library of this system".to_owned());
        }
        let machine = u16::from_le_bytes([head[18], head[19]]);
        let known = |machine: u16| match machine {
            62 => "x86_64".to_owned(),
            183 => "aarch64".to_owned(),
            other => format!("another processor (machine {other})"),
        };
        if known(machine) != std::env::consts::ARCH {
            return Err(format!("is for {}; one for {} would be right", known(machine), std::env::consts::ARCH));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const LIBRARY: SharedLibrary = SharedLibrary {
        title: "Some Library",
        name: "some",
        setting: "some.library",
        install: "pip install some",
        file: "libsome",
        packaged: "some/capi",
        within: &["", "capi", "some/capi", "lib"],
    };

    fn at(path: &Path) -> Programs {
        let choices = BTreeMap::from([("some", ProgramChoice::At(path.to_owned()))]);
        Programs { choices, ..Programs::default() }
    }

    fn refusal(programs: &Programs) -> String {
        LIBRARY.load(programs, |_| Err::<(), _>("cannot be loaded".to_owned())).unwrap_err().to_string()
    }

    #[test]
    fn what_is_missing_is_said_and_how_to_get_it() {
        let nowhere = refusal(&Programs::default());
        assert!(nowhere.starts_with("it needs the library Some Library: it is not on this machine"), "{nowhere}");
        assert!(nowhere.contains("`pip install some`") && nowhere.contains("some.library"), "{nowhere}");
        let off = Programs { choices: BTreeMap::from([("some", ProgramChoice::Off)]), ..Programs::default() };
        assert!(refusal(&off).contains("some.library = \"off\" forbids it"));
        let folder = tempfile::tempdir().unwrap();
        for wrong in [folder.path(), Path::new("/nowhere/libsome.so")] {
            assert!(refusal(&at(wrong)).contains("some.library names no such file"), "{}", wrong.display());
        }
    }

    #[test]
    fn what_is_another_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("libsome.so");
        let with = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            let message = refusal(&at(&file));
            assert!(!message.contains(folder.path().to_str().unwrap()), "{message}");
            message
        };
        assert!(with(b"short").contains("libsome.so cannot be read"));
        assert!(with(&[b'#'; 100]).contains("is no library of this system"));
        let mut elf = [0; 100];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
        let (other, own) = if cfg!(target_arch = "x86_64") { ("aarch64", "x86_64") } else { ("x86_64", "aarch64") };
        assert!(with(&elf).contains(&format!("is for {other}; one for {own} would be right")));
        elf[18] = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        assert!(with(&elf).contains("cannot be loaded"), "the beginning of one");
    }

    #[test]
    fn it_is_looked_for_beside_the_folders_of_the_path() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let found = |programs: &Programs| LIBRARY.found(programs);
        let programs = Programs { path: vec![root.path().join("bin")], ..Programs::default() };
        assert!(found(&programs).is_err());
        let package = put("lib/python3.11/site-packages/some/capi/libsome.so.1.32.0");
        put("lib/python3.11/site-packages/some/capi/libsome_providers_shared.so");
        assert_eq!(found(&programs).unwrap(), std::slice::from_ref(&package));
        let (old, new) = (put("lib/libsome.so.1.9.0"), put("lib/libsome.so.1.17.1"));
        assert_eq!(found(&programs).unwrap(), [new, old, package.clone()]);
        for folder in ["lib/python3.11/site-packages", "lib/python3.11/site-packages/some"] {
            assert_eq!(found(&at(&root.path().join(folder))).unwrap(), std::slice::from_ref(&package), "{folder}");
        }
    }
}
