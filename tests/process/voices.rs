//! `sconce voices`.

use serde_json::json;
use tempfile::TempDir;

use crate::{
    program::{outcome, sconce},
    support::checkout,
};

#[test]
fn voices_are_those_of_models_and_the_recordings() {
    let cache = TempDir::new().unwrap();
    let (stdout, stderr, code) = outcome(sconce(&cache).args(["voices", "--json"]));
    assert_eq!(code, 0, "{stderr}");
    let lark = json!({
        "voice": "lark", "model": "sconce/lark.en", "languages": ["en"], "sample_rate": 24_000, "origin": "embedded:lark.en",
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stdout).unwrap(), json!([lark]));

    let folder = TempDir::new().unwrap();
    std::fs::copy(checkout("assets/recordings/good-morning.flac"), folder.path().join("anna.flac")).unwrap();
    let (stdout, stderr, code) = outcome(sconce(&cache).env("SCONCE_VOICES__DIR", folder.path()).arg("voices"));
    assert_eq!(code, 0, "{stderr}");
    let rows: Vec<Vec<&str>> = stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["lark", "sconce/lark.en", "en", "24000", "Hz", "embedded:lark.en"], "{stdout}");
    assert_eq!(rows[1][..4], ["anna", "any", "any", "16000"], "{stdout}");
    assert_eq!(rows[1][5], folder.path().to_str().unwrap(), "{stdout}");
}
