//! A tiny voice beside the answers of ONNX Runtime, `training/lark/hibari_fixtures.py`, and the published one where
//! `SCONCE_HIBARI` names its folder.

use std::{env, fs, path::Path, sync::LazyLock};

use bytes::Bytes;
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{super::error::LarkError, Files, GOLD, SILVER, VOCABULARY, network, voice};
use crate::{
    families::lark::{
        tests::{assert_blocks_are_cut_out_of_the_whole, assert_close},
        vocoder::Vocoder,
        voice::{Manner, Voice},
    },
    model::LoadError,
    speech::Pronunciation,
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/hibari");
const MANNER: Manner = Manner { speed: 1.0, pitch: 0.0, seed: 1 };

/// A log magnitude that nobody hears.
const QUIET: f32 = -30.0;

static TINY: LazyLock<Files> = LazyLock::new(|| read(&Path::new(FIXTURES).join("tiny")));

fn read(folder: &Path) -> Files {
    let listing: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let (voice, open) = (voice(&listing).unwrap(), |name: &str| Bytes::from(fs::read(folder.join(name)).unwrap()));
    Files { graph: open(&voice), vocabulary: open(VOCABULARY), gold: open(GOLD), silver: open(SILVER), voice }
}

fn tiny() -> Voice {
    Voice::hibari(&TINY).unwrap()
}

/// The numbers of a tensor that ONNX Runtime made.
fn expected<const SIZE: usize, T>(name: &str, number: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    let file = fs::read(format!("{FIXTURES}/tiny.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let bytes = tensors.tensor(name).unwrap().data();
    bytes.chunks_exact(SIZE).map(|bytes| number(bytes.try_into().unwrap())).collect()
}

fn floats(name: &str) -> Vec<f32> {
    expected(name, f32::from_le_bytes)
}

fn say(voice: &Voice, text: &str, manner: Manner) -> Vec<f32> {
    voice.synthesize(text, &[], manner).unwrap().flat_map(Result::unwrap).collect()
}

#[test]
fn the_networks_say_what_onnx_runtime_says() {
    let voice = tiny();
    let ids = expected("ids", |[id]| id);
    assert_eq!(voice.front.read("Hello there, the apple!", &[]).unwrap().ids, ids);
    let plan = voice.net.plan(&ids, 1.0).unwrap();
    assert_eq!(plan.lengths, expected("lengths", |bytes| i32::from_le_bytes(bytes) as usize));
    assert_close("pitch", &plan.f0, &floats("f0"), 0.05);
    let spectrum = voice.net.decode(&plan, 0..plan.steps()).unwrap();
    assert_close("spectrum", &spectrum, &floats("spectrum"), 2e-3);
}

#[test]
fn the_sound_of_a_spectrum_is_that_of_the_reference() {
    let (voice, mut spectrum) = (tiny(), floats("spectrum"));
    let bins = voice.signal.bins();
    spectrum.chunks_exact_mut(5 * bins).for_each(|row| row[2 * bins..3 * bins].fill(QUIET));
    let (mut vocoder, mut samples) = (Vocoder::new(&voice.signal, &floats("f0"), 1), Vec::new());
    vocoder.push(&spectrum, &mut samples);
    vocoder.finish(&mut samples);
    let theirs = floats("samples");
    let loudest = theirs.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert_close("sample", &samples, &theirs, 1e-3 * loudest);
}

#[test]
fn blocks_are_cut_out_of_the_whole() {
    assert_blocks_are_cut_out_of_the_whole(&tiny());
}

#[test]
fn words_sound_as_the_dictionary_has_them_and_others_are_guessed() {
    let voice = tiny();
    let said = |text: &str, pronunciations: &[Pronunciation]| {
        let ids = voice.front.read(text, pronunciations).unwrap().ids;
        voice.front.alphabet().spell(&ids[1..ids.len() - 1])
    };
    assert_eq!(said("The apple, the \"lark\" (there)", &[]), "ði ˈæpᵊl, ðə lˈɑɹk ðˈɛɹ");
    assert_eq!(said("water; nothing!", &[]), "wˈɔTəɹ; nˈʌθɪŋ!", "what it never saw, and what gold leaves open");
    assert_eq!(said("BX", &[]), "bˈiˈɛks");
    assert!(said("sconce", &[]).starts_with("sk"), "{}", said("sconce", &[]));
    let pronunciation = Pronunciation { range: 4..8, ipa: "həˈloʊ".to_owned() };
    assert_eq!(said("the lark", &[pronunciation]), "ðə həlˈO");
}

#[test]
fn a_voice_obeys_speed_pitch_and_seed_and_tells_where_words_lie() {
    let (voice, text) = (tiny(), "hello there, hello there, the lark");
    let plain = say(&voice, text, MANNER);
    assert!(plain.iter().all(|sample| sample.is_finite()));
    assert_eq!(plain, say(&voice, text, MANNER));
    let other = say(&voice, text, Manner { seed: 2, ..MANNER });
    let high = say(&voice, text, Manner { pitch: 12.0, ..MANNER });
    assert!(plain.len() == other.len() && plain != other && plain.len() == high.len() && plain != high);
    let slow = say(&voice, text, Manner { speed: 0.5, ..MANNER });
    assert!((1.6..2.4).contains(&(slow.len() as f32 / plain.len() as f32)), "{} {}", slow.len(), plain.len());
    let marks = voice.synthesize(text, &[], MANNER).unwrap().into_marks();
    let words: Vec<&str> = marks.iter().map(|mark| mark.text.as_str()).collect();
    assert_eq!(words, ["hello", "there", "hello", "there", "the", "lark"]);
    let seconds = plain.len() as f64 / voice.sample_rate() as f64;
    assert!(marks.windows(2).all(|pair| pair[0].end <= pair[1].start) && marks[5].end <= seconds, "{marks:?}");
}

#[test]
fn a_folder_has_one_voice() {
    let listed = |names: &[&str]| voice(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(listed(&["oov.onnx", "am_fenrir.onnx", "x/y.onnx"]).unwrap(), "am_fenrir.onnx");
    assert_eq!(listed(&["a.onnx", "hibari.onnx"]).unwrap(), "hibari.onnx");
    assert!(matches!(listed(&["oov.onnx"]), Err(LoadError::Missing(file)) if file == "hibari.onnx"));
    assert!(matches!(listed(&["a.onnx", "b.onnx"]), Err(LoadError::Unsupported(_))));
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    let refused = |files: Files| match Voice::hibari(&files) {
        Err(error) => LoadError::from(error).to_string(),
        Ok(_) => panic!("it was taken"),
    };
    let vocabulary = |json: &'static str| Files { vocabulary: Bytes::from_static(json.as_bytes()), ..TINY.clone() };
    assert!(refused(vocabulary("[]")).starts_with("vocab.json"), "{}", refused(vocabulary("[]")));
    assert!(refused(vocabulary("{\"a\": 1}")).starts_with("vocab.json"));
    let wide = String::from_utf8(TINY.vocabulary.to_vec()).unwrap().replacen('{', "{\"ø\": 200, ", 1);
    let error = refused(Files { vocabulary: wide.into(), ..TINY.clone() });
    assert!(error.contains("symbols up to number 200"), "{error}");
    let error = refused(Files { gold: TINY.gold.slice(..30), ..TINY.clone() });
    assert!(error.starts_with(GOLD), "{error}");
    let error = refused(Files { graph: TINY.graph.slice(..1000), ..TINY.clone() });
    assert!(error.starts_with("hibari.onnx"), "{error}");
    let error = refused(Files { graph: Bytes::new(), ..TINY.clone() });
    assert!(error.contains("pn.text.emb.weight is missing"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing panics, and nothing takes long.
    #[test]
    fn a_damaged_graph_is_refused_or_is_another_one(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut graph = TINY.graph.to_vec();
        for (place, byte) in damage {
            let place = place.index(graph.len());
            graph[place] = byte;
        }
        graph.truncate(if cut { end.index(graph.len()) } else { graph.len() });
        let files = Files { graph: graph.into(), ..TINY.clone() };
        match network(&files) {
            Ok(net) => {
                let plan = net.plan(&[0, 12, 20, 0], 1.0);
                prop_assert!(plan.is_ok(), "{:?}", plan.err());
            }
            Err(error) => {
                let named = matches!(error, LarkError::File { .. } | LarkError::Weights(_));
                prop_assert!(named, "{error:?}");
            }
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the folder is not the program's, but the test's")]
fn the_published_voice_speaks() {
    let Some(folder) = env::var_os("SCONCE_HIBARI") else {
        eprintln!("skipped: SCONCE_HIBARI names no folder");
        return;
    };
    let voice = Voice::hibari(&read(Path::new(&folder))).unwrap();
    let samples = say(&voice, "The river is wide here, and nobody knows how deep it may be.", MANNER);
    let seconds = samples.len() as f32 / voice.sample_rate() as f32;
    assert!((2.5..6.0).contains(&seconds), "{seconds} seconds");
    let loudest = samples.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!((0.1..1.5).contains(&loudest), "the loudest sample is {loudest}");
}
