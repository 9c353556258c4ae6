//! What a model computes of its files is kept beside them for the next process.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

use tempfile::TempDir;

use crate::{
    program::{outcome, sconce},
    store::{hub, pull},
    support::checkout,
};

/// A cache with one model in it, which is computed with weights of eight bits.
struct Kept(TempDir);

impl Kept {
    fn new() -> Self {
        let cache = TempDir::new().unwrap();
        let (_, stderr, code) = outcome(&mut pull(&cache, &hub()));
        assert_eq!(code, 0, "{stderr}");
        Self(cache)
    }

    /// The text of a recording that has one, with settings more.
    #[track_caller]
    fn text(&self, settings: &[(&str, &str)]) -> String {
        let mut command = sconce(&self.0);
        command.args(["transcribe", "--offline", "--model", "acme/nano"]).arg(checkout(RECORDING));
        command.env("MODEL_ID", "acme/nano").env("SCONCE_RUNTIME__DTYPE", "q8").envs(settings.iter().copied());
        let (text, stderr, code) = outcome(&mut command);
        assert_eq!(code, 0, "{stderr}");
        text
    }

    /// The files that were kept.
    fn files(&self) -> Vec<PathBuf> {
        let ours = fs::read_dir(self.0.path().join("models--acme--nano/.sconce")).unwrap();
        let folders =
            ours.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|it| it == "derived"));
        folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()).collect()
    }

    /// The only one, and what tells it from one that was written anew.
    #[track_caller]
    fn file(&self) -> (PathBuf, u64) {
        let files = self.files();
        let [file] = &files[..] else { panic!("{files:?}") };
        (file.clone(), fs::metadata(file).unwrap().ino())
    }
}

const RECORDING: &str = "assets/recordings/turn-on-the-kitchen-lights.wav";

#[test]
fn weights_of_eight_bits_are_kept_mapped_and_made_anew_where_they_are_damaged() {
    let kept = Kept::new();
    let without = kept.text(&[("SCONCE_STORE__KEEP_DERIVED", "false")]);
    assert_eq!((without.to_lowercase().trim(), kept.files().len()), ("turn on the kitchen lights", 0));
    // What the disk is to keep free, it keeps free of this as well.
    assert_eq!((kept.text(&[("SCONCE_STORE__RESERVE", "1000000GB")]), kept.files().len()), (without.clone(), 0));
    assert_eq!(kept.text(&[]), without);
    let (path, first) = kept.file();
    assert!(path.ends_with("model.safetensors.q8"), "{path:?}");
    assert_eq!((kept.text(&[]), kept.file().1), (without.clone(), first), "it was used as it is");
    // A model that shall not depend on files does not, and f32 has no use for it.
    for setting in [("SCONCE_RUNTIME__WEIGHTS", "copy"), ("SCONCE_RUNTIME__DTYPE", "f32")] {
        fs::write(&path, b"nonsense").unwrap();
        kept.text(&[setting]);
        assert_eq!(fs::read(&path).unwrap(), b"nonsense", "{setting:?}");
    }
    assert_eq!(kept.text(&[]), without);
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(path.with_extension("new"), damaged).unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    assert_eq!(kept.text(&[]), without);
    assert!(fs::read(&path).unwrap() == whole, "it was made anew");
}

#[test]
fn what_is_kept_counts_with_its_model_and_goes_with_it() {
    let kept = Kept::new();
    let bytes = || -> u64 {
        let (json, stderr, code) = outcome(sconce(&kept.0).args(["cache", "ls", "--json"]));
        assert_eq!(code, 0, "{stderr}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json[0]["bytes"].as_u64().unwrap_or_else(|| panic!("{json}"))
    };
    let before = bytes();
    kept.text(&[]);
    assert_eq!(bytes() - before, fs::metadata(kept.file().0).unwrap().len());
    let (_, stderr, code) = outcome(sconce(&kept.0).args(["cache", "rm", "acme/nano"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(!kept.0.path().join("models--acme--nano").exists());
}

#[test]
fn where_it_cannot_be_kept_the_model_speaks_all_the_same() {
    let kept = Kept::new();
    // A folder that nothing can be put into, whoever runs this.
    let commit = fs::read_dir(kept.0.path().join("models--acme--nano/snapshots")).unwrap().next().unwrap().unwrap();
    let name = format!("{}.derived", commit.file_name().to_str().unwrap());
    fs::write(kept.0.path().join("models--acme--nano/.sconce").join(name), b"").unwrap();
    assert_eq!(kept.text(&[]).to_lowercase().trim(), "turn on the kitchen lights");
}
