//! Against transformers, `vocos` and torchaudio, joined as the reference joins them: `tests/fixtures/yue/sound/make.py`.

use std::{collections::HashMap, path::PathBuf};

use candle_core::{Device, Tensor};

use super::{post_filter::replace_low_band, *};
use crate::{
    families::fixtures,
    model::{Backing, Location, Precision, Programs},
};

const FOLDER: &str = "yue/sound";

fn folder() -> PathBuf {
    fixtures::folder(FOLDER)
}

fn model_files(change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) -> ModelFiles {
    let mut files = ModelFiles::default();
    for name in [XCODEC, VOCALS, INSTRUMENTAL, HUBERT] {
        if let Some(bytes) = change(name, std::fs::read(folder().join(name)).unwrap()) {
            files.insert(CODEC, name, Location::Embedded(bytes.leak()));
        }
    }
    files
}

fn whole() -> ModelFiles {
    model_files(|_, bytes| Some(bytes))
}

fn place() -> Placement {
    Placement {
        device: Device::Cpu,
        dtype: Precision::Bf16,
        weights: Backing::Mapped,
        threads: 1,
        max_batch: 1,
        residency: Default::default(),
        references: Default::default(),
        programs: Programs::default(),
    }
}

fn decoder() -> SongDecoder {
    SongDecoder::load(&whole(), &place()).unwrap()
}

fn expected() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder().join("expected.safetensors"), &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn frames(tensor: &Tensor) -> Vec<[u16; BOOKS]> {
    let rows: Vec<Vec<i64>> = tensor.to_vec2().unwrap();
    rows.iter().map(|row| std::array::from_fn(|book| row[book] as u16)).collect()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far <= tolerance, "off by {far}");
}

#[test]
fn a_song_sounds_as_the_reference_joins_it() {
    let (expected, mut decoder) = (expected(), decoder());
    let (vocals, instrumental) = (frames(&expected["vocals.codes"]), frames(&expected["instrumental.codes"]));
    let stems = decoder.decode(&vocals, &instrumental).unwrap();
    for (name, stem) in [("mix", &stems.mix), ("vocals", &stems.vocals), ("instrumental", &stems.instrumental)] {
        let expected = numbers(&expected[name]);
        assert!(expected.iter().any(|x| x.abs() > 0.05), "there should be something to hear in {name}");
        assert_close(stem, &expected, 1e-3);
    }
    let shorter = decoder.decode(&vocals, &instrumental[..10]).unwrap();
    assert_eq!((shorter.mix.len(), shorter.vocals.len()), (8820, 8820), "as long as the shorter track");
    assert_eq!(decoder.decode(&[], &instrumental).unwrap(), Stems::default());
}

#[test]
fn a_reference_has_the_codes_of_the_first_book() {
    let (expected, decoder) = (expected(), decoder());
    let codes: Vec<i64> = expected["reference.codes"].to_vec1().unwrap();
    let found = decoder.encode(&numbers(&expected["reference"])).unwrap();
    assert_eq!(found.iter().map(|&code| i64::from(code)).collect::<Vec<_>>(), codes);
    assert!(decoder.encode(&[]).is_err());
    assert_eq!(decoder.codes(), expected["codes"].to_vec1::<i64>().unwrap()[0] as usize);
}

#[test]
fn the_post_filter_is_that_of_torchaudio() {
    let expected = expected();
    let (rough, fine) = (numbers(&expected["rough"]), numbers(&expected["fine"]));
    let resampled = SincResampler::new(16_000, RATE).resample(&rough);
    assert_close(&resampled, &numbers(&expected["resampled"]), 1e-5);
    assert_close(&replace_low_band(&resampled, &fine, RATE), &numbers(&expected["filtered"]), 1e-4);
    assert!(replace_low_band(&[], &fine, RATE).is_empty());
    assert!(replace_low_band(&[0.0; 9], &[0.0; 9], RATE).iter().all(|sample| *sample == 0.0));
}

#[test]
fn what_is_wrong_with_files_is_named() {
    let error = |files: ModelFiles| SongDecoder::load(&files, &place()).unwrap_err().to_string();
    for name in [XCODEC, VOCALS, INSTRUMENTAL] {
        let missing = model_files(|file, bytes| (file != name).then_some(bytes));
        assert!(error(missing).contains(name), "{name}");
        let cut = model_files(|file, bytes| Some(if file == name { bytes[..bytes.len() / 2].to_vec() } else { bytes }));
        assert!(error(cut).contains(name), "{name}");
    }
    let swapped = std::fs::read(folder().join(VOCALS)).unwrap();
    let swapped = model_files(|file, bytes| Some(if file == XCODEC { swapped.clone() } else { bytes }));
    assert!(error(swapped).contains("is missing"));
    let listing = [XCODEC, VOCALS].map(str::to_owned);
    assert_eq!(files(&listing).unwrap_err().to_string(), format!("the file {INSTRUMENTAL} is missing"));
    let mut decoder = decoder();
    let none = [[u16::MAX; BOOKS]];
    assert!(decoder.decode(&none, &none).unwrap_err().to_string().contains("there is no code 65535"));
}
