//! A file of a model that somebody cuts short while it is served.
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::{checkout, recording},
};

const WAV: &str = "turn-on-the-kitchen-lights.wav";
const WEIGHTS: &str = "model.safetensors";

/// The embedded model as a folder that anybody may write to.
fn folder(cache: &TempDir) -> PathBuf {
    let (from, to) = (checkout("assets/models/whisper-nano.en"), cache.path().join("ours"));
    fs::create_dir_all(&to).unwrap();
    for file in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        fs::write(to.join(file.file_name().unwrap()), fs::read(&file).unwrap()).unwrap();
    }
    to
}

/// A program that has the model of the folder in memory.
async fn serving(cache: &TempDir, folder: &Path, weights: Option<&str>) -> Program {
    let mut command = sconce(cache);
    command.env("PORT", "0").env("MODEL_ID", folder).env("SCONCE_MODELS__OURS__WARM_UP", "false");
    // Weights of eight bits leave their file.
    command.env("SCONCE_RUNTIME__DTYPE", "f32").envs(weights.map(|weights| ("SCONCE_RUNTIME__WEIGHTS", weights)));
    let program = Program::start(&mut command);
    let load = reqwest::Client::new().post(program.url("/models/ours/load")).json(&json!({})).send().await.unwrap();
    assert_eq!(load.status(), 200);
    program
}

async fn transcribe(program: &Program) -> Result<u16, reqwest::Error> {
    let request = reqwest::Client::new().post(program.url("/predict")).header("content-type", "audio/wav");
    request.body(recording(WAV)).send().await.map(|answer| answer.status().as_u16())
}

fn cut(folder: &Path) {
    File::options().write(true).open(folder.join(WEIGHTS)).unwrap().set_len(100).unwrap();
}

#[tokio::test]
async fn a_model_in_a_folder_that_can_be_written_does_not_need_its_files_any_more() {
    let cache = TempDir::new().unwrap();
    let folder = folder(&cache);
    let program = serving(&cache, &folder, None).await;
    cut(&folder);
    assert_eq!(transcribe(&program).await.unwrap(), 200);
}

#[tokio::test]
async fn the_last_words_of_a_process_name_the_file_that_was_cut_short() {
    let cache = TempDir::new().unwrap();
    let folder = folder(&cache);
    let mut program = serving(&cache, &folder, Some("map")).await;
    cut(&folder);
    assert!(transcribe(&program).await.is_err(), "it served from pages that are not there");
    let words = program.last_words();
    assert!(words.contains(&folder.join(WEIGHTS).display().to_string()), "{words}");
    assert!(words.contains("runtime.weights"), "{words}");
    assert_eq!(program.ended().signal(), Some(libc::SIGBUS));
}
