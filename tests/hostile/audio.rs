//! Recordings.

use std::{fs, time::Duration};

use proptest::{collection::vec, prelude::*, sample::select};
use sconce::audio::decode;

use crate::{
    chance::{each, edited, edits},
    support::checkout,
};

const RATE: u32 = 16_000;
const LIMIT: Duration = Duration::from_secs(30);

/// Every recording of the checkout, in every format.
fn corpus() -> Vec<Vec<u8>> {
    let other = ["py", "sh", "json", "safetensors"];
    let mut files: Vec<_> = ["tests/fixtures/audio", "assets/recordings"]
        .iter()
        .flat_map(|folder| fs::read_dir(checkout(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| !other.contains(&path.extension().unwrap_or_default().to_str().unwrap()))
        .collect();
    files.sort();
    assert!(files.len() > 40, "{files:?}");
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Sound, no longer than the limit and made of numbers; or an error that says what is wrong.
fn hear(bytes: &[u8], hint: Option<&str>) -> Result<(), TestCaseError> {
    match decode(bytes, hint, RATE, LIMIT) {
        Ok(decoded) => {
            prop_assert!(decoded.pcm.seconds() <= LIMIT.as_secs_f64() + 1.0);
            prop_assert!(decoded.pcm.samples().iter().all(|sample| sample.is_finite()), "a sample is no number");
        }
        Err(error) => prop_assert!(error.to_string().len() > 10, "{error}"),
    }
    Ok(())
}

fn hints() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, Some("audio/wav"), Some("a.mp3"), Some("audio/mp4"), Some("x.ogg"), Some("\u{0}")])
}

#[test]
fn damaged_recordings_are_heard_or_refused() {
    each(300, (select(corpus()), edits(), hints()), |(file, edits, hint)| hear(&edited(&file, &edits), hint));
}

#[test]
fn two_recordings_in_one_are_heard_or_refused() {
    let files = corpus();
    let cut = || 0.0..1.0f64;
    each(60, (select(files.clone()), select(files), cut(), cut()), |(mut first, second, end, start)| {
        let part = |file: &[u8], at: f64| (file.len() as f64 * at) as usize;
        first.truncate(part(&first, end));
        first.extend(&second[part(&second, start)..]);
        hear(&first, None)
    });
}

#[test]
fn noise_behind_every_magic_word_is_heard_or_refused() {
    let magic =
        ["RIFF\0\0\0\0WAVEfmt ", "fLaC", "OggS", "ID3", "\u{1a}E", "FORM\0\0\0\0AIFF", "caff", "\0\0\0\u{20}ftypM4A "];
    each(200, (select(magic.to_vec()), vec(any::<u8>(), 0..4000)), |(magic, noise)| {
        hear(&[magic.as_bytes(), &noise].concat(), None)
    });
}
