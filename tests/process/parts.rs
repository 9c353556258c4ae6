//! The parts of a model, from a bucket, the hub and a folder, as commands see them.

use std::{fs, process::Command};

use tempfile::TempDir;

use crate::{
    program::{outcome, sconce},
    support::{checkout, files::Files, hub::Hub},
};

const WAV: &str = "assets/recordings/turn-on-the-kitchen-lights.wav";
const WEIGHTS: &str = "SCONCE_MODELS__OURS__PARTS__WEIGHTS";
const TOKENIZER: &str = "SCONCE_MODELS__OURS__PARTS__TOKENIZER";

/// A bucket with the weights of a model, and a hub with its vocabulary.
struct Places {
    bucket: Files,
    hub: Hub,
    cache: TempDir,
}

impl Places {
    fn new() -> Self {
        let (bucket, hub, cache) = (Files::start(), Hub::start(), TempDir::new().unwrap());
        for file in ["README.md", "config.json", "generation_config.json", "model.safetensors"] {
            bucket.put(&format!("runs/7/{file}"), nano(file));
        }
        hub.repo("acme/base").file("tokenizer.json", nano("tokenizer.json")).lfs("model.safetensors", vec![7; 1000]);
        Self { bucket, hub, cache }
    }

    fn sconce(&self, arguments: &[&str]) -> Command {
        let mut command = sconce(&self.cache);
        command.env("HF_ENDPOINT", self.hub.url()).env("STORAGE_EMULATOR_HOST", self.bucket.host());
        command.env("SCONCE_REMOTE__GCS__ANONYMOUS", "true").env("SCONCE_STORE__RESERVE", "1");
        command.env(WEIGHTS, "gs://runs/7").env(TOKENIZER, "hf://acme/base").args(arguments);
        command
    }

    fn requests(&self) -> usize {
        self.bucket.requests() + self.hub.requests()
    }
}

fn nano(file: &str) -> Vec<u8> {
    fs::read(checkout("assets/models/whisper-nano.en").join(file)).unwrap()
}

#[test]
fn a_bucket_and_the_hub_are_pulled_verified_used_offline_and_removed() {
    let places = Places::new();
    let (stdout, stderr, code) = outcome(&mut places.sconce(&["pull"]));
    let commit = places.hub.repo("acme/base").commit();
    assert!(code == 0 && stdout.starts_with("ours  ") && stdout.contains(&format!("+{commit}")), "{stdout}{stderr}");
    assert_eq!(places.bucket.downloads("runs/7/README.md"), 0, "only what is needed");
    assert_eq!(places.hub.downloads("model.safetensors"), 0, "only what is needed");

    let before = places.requests();
    let (stdout, stderr, code) =
        outcome(&mut places.sconce(&["transcribe", "--offline", checkout(WAV).to_str().unwrap()]));
    assert!(code == 0 && stdout.to_lowercase().contains("kitchen"), "{stdout}{stderr}");
    assert_eq!(places.requests(), before, "offline");

    let (stdout, stderr, code) = outcome(&mut places.sconce(&["verify", "ours"]));
    assert_eq!((code, stdout.lines().count()), (0, 4), "{stdout}{stderr}");
    assert!(stdout.lines().all(|line| line.starts_with("ok ")), "{stdout}");

    let (stdout, stderr, code) = outcome(&mut places.sconce(&["cache", "rm", "ours"]));
    assert!(code == 0 && stdout.contains("gs://runs/7") && stdout.contains("acme/base"), "{stdout}{stderr}");
}

#[test]
fn what_another_model_is_made_of_as_well_is_not_removed() {
    let places = Places::new();
    let shared = |arguments: &[&str]| {
        let mut command = places.sconce(arguments);
        outcome(command.env("SCONCE_MODELS__VOICE__SOURCE", "hf://acme/base"))
    };
    let (_, stderr, code) = shared(&["pull", "ours"]);
    assert_eq!(code, 0, "{stderr}");
    let (stdout, stderr, code) = shared(&["cache", "rm", "ours"]);
    assert!(code == 0 && stdout.contains("gs://runs/7") && !stdout.contains("acme/base"), "{stdout}{stderr}");
    let (stdout, _, _) = shared(&["cache", "ls"]);
    assert!(stdout.contains("acme/base"), "{stdout}");
}

#[test]
fn a_folder_and_one_file_of_the_web_are_a_model() {
    let places = Places::new();
    let folder = TempDir::new().unwrap();
    for file in ["config.json", "generation_config.json", "model.safetensors"] {
        fs::write(folder.path().join(file), nano(file)).unwrap();
    }
    places.bucket.put("voc/tokenizer.json", nano("tokenizer.json"));
    let sha256 = crate::support::files::sha256(&nano("tokenizer.json"));
    let vocabulary = format!("{}/voc/tokenizer.json#sha256={sha256}", places.bucket.url());
    let mut command = places.sconce(&["transcribe", checkout(WAV).to_str().unwrap()]);
    command.env(WEIGHTS, format!("file:{}", folder.path().display())).env(TOKENIZER, vocabulary);
    let (stdout, stderr, code) = outcome(&mut command);
    assert!(code == 0 && stdout.to_lowercase().contains("kitchen"), "{stdout}{stderr}");
}

#[test]
fn a_part_that_is_missing_is_told_at_the_start() {
    let places = Places::new();
    let (_, stderr, code) = outcome(places.sconce(&["pull"]).env_remove(TOKENIZER));
    assert!(code != 0 && stderr.contains("a whisper is made of model, or of weights and tokenizer"), "{stderr}");
}
