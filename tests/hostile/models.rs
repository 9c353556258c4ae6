//! The files of a model, as a hub might give them.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use candle_core::Device;
use proptest::{prelude::*, sample::select};
use sconce::{
    families::FAMILIES,
    model::{Backing, Family, Location, ModelFiles, Placement, Precision, ProgramChoice, Programs},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    chance::{Edit, each, edited, edits},
    support::{
        chatterbox, checkout, espeak, higgs, onnx, torch, vosk, yue,
        zonos::{self, SPEAKER_FILES},
    },
};

const MODEL: &str = "assets/models/whisper-nano.en";
/// The other kind that hears, with other files.
const VOXTRAL: &str = "tests/fixtures/voxtral";
const VOXTRAL_TEXTS: [&str; 3] = ["config.json", "generation_config.json", "tekken.json"];
const WEIGHTS: &str = "model.safetensors";
const TEXTS: [&str; 4] = ["config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json"];

fn file(name: &str) -> Vec<u8> {
    fs::read(checkout(MODEL).join(name)).unwrap()
}

fn files_of(folder: &Path) -> ModelFiles {
    let mut files = ModelFiles::default();
    add(&mut files, folder, "");
    files
}

/// What is in a folder, and in folders of it.
fn add(files: &mut ModelFiles, folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = format!("{prefix}{}", entry.file_name().unwrap().to_str().unwrap());
        match entry.is_dir() {
            true => add(files, &entry, &format!("{name}/")),
            false => files.insert("model", &name, Location::Disk(entry)),
        }
    }
}

/// Loads the model with one file in place of its own: it is loaded, or the error says which file or tensor is at fault.
fn load(name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    load_of(&checkout(MODEL), name, bytes)
}

/// Of the model in a folder.
fn load_of(model: &Path, name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let (files, folder) = with_file(model, name, bytes);
    for family in FAMILIES {
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            let footprint = family.footprint(&files, &place()).map_err(|error| error.to_string());
            (footprint, family.load(&files, &place()).map(drop).map_err(|error| error.to_string()))
        }));
        let Ok((_, outcome)) = loaded else { return Err(TestCaseError::fail(format!("{name}: a panic"))) };
        let host = folder.path().display().to_string();
        if let Err(message) = outcome {
            prop_assert!(message.len() > 10 && !message.contains(&host), "{message}");
        }
    }
    Ok(())
}

/// Those of a folder, with these bytes in the place of one.
fn with_file(model: &Path, name: &str, bytes: &[u8]) -> (ModelFiles, TempDir) {
    let (mut files, folder) = (files_of(model), TempDir::new().unwrap());
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    files.insert("model", name, Location::Disk(path));
    (files, folder)
}

fn family(name: &str) -> &'static dyn Family {
    *FAMILIES.iter().find(|family| family.name() == name).unwrap()
}

fn place() -> Placement {
    Placement {
        device: Device::Cpu,
        dtype: Precision::F32,
        weights: Backing::Mapped,
        threads: 1,
        max_batch: 2,
        residency: Default::default(),
        references: Default::default(),
        programs: Default::default(),
    }
}

/// Values that a configuration should not have, or should have elsewhere.
fn odd() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(0),
        json!(-1),
        json!(1),
        json!(3),
        json!(1_000_000),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e308),
        json!(0.5),
        json!(""),
        json!("gelu"),
        json!("\u{0}"),
        json!([]),
        json!([[0, 0]]),
        json!([[9999, 9999]]),
        json!([u64::MAX]),
        json!({}),
        json!({"": 1}),
        json!(true),
    ])
}

/// Which field of an object, and what it becomes; nothing: it is left out.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Option<Value>)>> {
    prop::collection::vec((any::<prop::sample::Index>(), prop::option::weighted(0.9, odd())), 1..3)
}

#[test]
fn configurations_with_odd_values_are_refused_or_loaded() {
    let names: Vec<_> = TEXTS[..3].to_vec();
    each(15, (select(names), changes()), |(name, changes)| {
        let mut config: Value = serde_json::from_slice(&file(name)).unwrap();
        let fields = config.as_object_mut().unwrap();
        for (place, value) in changes {
            let keys: Vec<_> = fields.keys().cloned().collect();
            match value {
                Some(value) => drop(fields.insert(place.get(&keys).clone(), value)),
                None => drop(fields.remove(place.get(&keys))),
            }
        }
        load(name, config.to_string().as_bytes())
    });
}

#[test]
fn damaged_texts_are_refused_or_loaded() {
    each(10, (select(TEXTS.to_vec()), edits()), |(name, edits)| load(name, &edited(&file(name), &edits)));
}

/// Bytes that a model may take in the test below; those that could take more are not loaded.
const BUDGET: u64 = 256 << 20;

const LARK: &str = "tests/fixtures/lark/tiny";
/// Every number that sizes are computed from.
const WHISPER_SIZES: [&str; 11] = [
    "/d_model",
    "/encoder_layers",
    "/encoder_attention_heads",
    "/encoder_ffn_dim",
    "/decoder_layers",
    "/decoder_attention_heads",
    "/decoder_ffn_dim",
    "/num_mel_bins",
    "/max_source_positions",
    "/max_target_positions",
    "/vocab_size",
];
const LARK_SIZES: [&str; 11] = [
    "/text/width",
    "/text/hidden",
    "/text/kernel",
    "/prosody/width",
    "/decoder/hidden",
    "/letters/slots",
    "/letters/stack/width",
    "/signal/sample_rate",
    "/signal/window",
    "/signal/hop",
    "/signal/frames_per_step",
];

/// Powers of two and their neighbours, up to the largest number there is.
fn extreme() -> impl Strategy<Value = u64> {
    (0u32..64, 0u64..3).prop_map(|(power, beside)| (1u64 << power).wrapping_add(beside).wrapping_sub(1))
}

/// The model, with some of the numbers of its configuration changed.
fn with_sizes(folder: &str, changes: &[(&str, u64)]) -> (ModelFiles, TempDir) {
    let mut config: Value = serde_json::from_slice(&fs::read(checkout(folder).join("config.json")).unwrap()).unwrap();
    for (field, value) in changes {
        *config.pointer_mut(field).unwrap_or_else(|| panic!("no {field}")) = json!(value);
    }
    with_file(&checkout(folder), "config.json", config.to_string().as_bytes())
}

#[test]
fn sizes_of_any_number_are_counted_or_refused_by_file_and_field() {
    let number = (any::<prop::sample::Index>(), extreme());
    let batch = prop_oneof![Just(1usize), Just(8), any::<usize>()];
    let model = select(vec![("whisper", MODEL, WHISPER_SIZES), ("lark", LARK, LARK_SIZES)]);
    each(60, (model, prop::collection::vec(number, 1..4), batch), |((name, folder, fields), numbers, max_batch)| {
        let changes: Vec<_> = numbers.iter().map(|(place, number)| (*place.get(&fields), *number)).collect();
        let (files, _scratch) = with_sizes(folder, &changes);
        for dtype in [Precision::F32, Precision::F16] {
            let place = Placement { dtype, max_batch, ..place() };
            match family(name).footprint(&files, &place) {
                Ok(bytes) if bytes <= BUDGET => drop(family(name).load(&files, &place)),
                Ok(_) => {}
                Err(error) => {
                    let text = error.to_string();
                    let named = changes.iter().any(|(field, _)| text.contains(field.trim_start_matches('/')));
                    let named = named || text.contains("d_model");
                    prop_assert!(text.contains("config.json") && named, "{changes:?}: {text}");
                }
            }
        }
        Ok(())
    });
}

/// The header of the weights, and what follows it.
fn weights(bytes: &[u8]) -> (Value, Vec<u8>) {
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), bytes[8 + length..].to_vec())
}

#[test]
fn headers_of_weights_that_lie_are_refused_or_loaded() {
    let (header, data) = weights(&file(WEIGHTS));
    each(25, lies(), |lie| load(WEIGHTS, &lying(&header, &data, lie)));
}

/// Of which tensor, which field, and what it says.
type Lie = (prop::sample::Index, &'static str, Value);

fn lies() -> impl Strategy<Value = Lie> {
    let field = select(vec!["dtype", "shape", "data_offsets"]);
    let lie = prop_oneof![
        odd(),
        select(vec![json!("F16"), json!("F64"), json!("U8"), json!([384, 384]), json!([0, u64::MAX])])
    ];
    (any::<prop::sample::Index>(), field, lie)
}

fn lying(header: &Value, data: &[u8], (place, field, lie): Lie) -> Vec<u8> {
    let mut header = header.clone();
    let names: Vec<_> = header.as_object().unwrap().keys().cloned().collect();
    header[place.get(&names)][field] = lie;
    let text = header.to_string();
    [&(text.len() as u64).to_le_bytes(), text.as_bytes(), data].concat()
}

/// The sizes of a Voxtral stand one level deeper than those of a Whisper.
#[test]
fn a_voxtral_with_odd_values_or_damaged_files_is_refused_or_loaded() {
    let own = |name: &str| fs::read(checkout(VOXTRAL).join(name)).unwrap();
    let load = |name: &str, bytes: &[u8]| load_of(&checkout(VOXTRAL), name, bytes);
    each(15, (select(vec!["audio_config", "text_config"]), changes()), |(part, changes)| {
        let mut config: Value = serde_json::from_slice(&own("config.json")).unwrap();
        let fields = config[part].as_object_mut().unwrap();
        for (place, value) in changes {
            let keys: Vec<_> = fields.keys().cloned().collect();
            drop(fields.insert(place.get(&keys).clone(), value.unwrap_or_default()));
        }
        load("config.json", config.to_string().as_bytes())
    });
    each(15, (select(VOXTRAL_TEXTS.to_vec()), edits()), |(name, edits)| load(name, &edited(&own(name), &edits)));
    let (header, data) = weights(&own(WEIGHTS));
    each(15, lies(), |lie| load(WEIGHTS, &lying(&header, &data, lie)));
}

/// Several files of weights, in both forms.
#[test]
fn a_chatterbox_of_damaged_files_is_refused_or_loaded() {
    let (english, multilingual) = (chatterbox::english(), chatterbox::multilingual());
    let of = |folder: &TempDir, name: &str| fs::read(folder.path().join(name)).unwrap();
    for (folder, names) in [
        (
            &english,
            vec!["s3gen.safetensors", "t3_cfg.safetensors", "ve.safetensors", "conds.safetensors", "tokenizer.json"],
        ),
        (
            &multilingual,
            vec!["s3gen.pt", "t3_mtl23ls_v2.pt", "ve.pt", "conds.pt", "grapheme_mtl_merged_expanded_v1.json"],
        ),
    ] {
        let damaged = |name: &str, edits: &[Edit]| load_of(folder.path(), name, &edited(&of(folder, name), edits));
        each(15, (select(names), edits()), |(name, edits)| damaged(name, &edits));
    }
    let weighty = vec!["s3gen.safetensors", "t3_cfg.safetensors", "ve.safetensors", "conds.safetensors"];
    each(20, (select(weighty), lies()), |(name, lie)| {
        let (header, data) = weights(&of(&english, name));
        load_of(english.path(), name, &lying(&header, &data, lie))
    });
    // A pickle that calls what is no tensor: `os.system`.
    let hostile = b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.";
    for name in ["s3gen.pt", "conds.pt"] {
        let (files, _folder) = with_file(multilingual.path(), name, &torch::pickled(hostile));
        let message = family("chatterbox").load(&files, &place()).err().unwrap().to_string();
        assert!(message.contains("os.system"), "{name}: {message}");
    }
}

/// Loads a Higgs of these parts with one file in place of its own.
fn load_higgs(parts: &higgs::Parts, part: &str, name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    load_parts("higgs", [("model", parts.model.path()), ("codec", parts.codec.path())], (part, name), bytes)
}

/// Loads a model of several parts with one file in place of its own.
fn load_parts<'a>(
    kind: &str,
    parts: impl IntoIterator<Item = (&'a str, &'a Path)>,
    (part, name): (&str, &str),
    bytes: &[u8],
) -> Result<(), TestCaseError> {
    let mut files = ModelFiles::default();
    for (part, folder) in parts {
        for (_, name, location) in files_of(folder).iter() {
            files.insert(part, name, location.clone());
        }
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    files.insert(part, name, Location::Disk(path));
    let loaded = catch_unwind(AssertUnwindSafe(|| match family(kind).footprint(&files, &place()) {
        Ok(bytes) if bytes > BUDGET => Err("it is too large for this test".to_owned()),
        _ => family(kind).load(&files, &place()).map(drop).map_err(|error| error.to_string()),
    }));
    let Ok(outcome) = loaded else { return Err(TestCaseError::fail(format!("{part}, {name}: a panic"))) };
    let message = outcome.err().unwrap_or_default();
    prop_assert!(message.is_empty() || message.len() > 10, "{message}");
    prop_assert!(!message.contains(&folder.path().display().to_string()), "{message}");
    Ok(())
}

#[test]
fn a_higgs_with_odd_values_or_damaged_files_is_refused_or_loaded() {
    let parts = higgs::LAYOUTS.map(higgs::Parts::of);
    let of = |at: usize, part: &str, name: &str| {
        let folder = if part == "model" { &parts[at].model } else { &parts[at].codec };
        fs::read(folder.path().join(name)).unwrap()
    };
    let deep = ["", "rope_parameters", "acoustic_model_config", "semantic_model_config", "text_config"];
    let place = (select(vec![0usize, 1]), select(vec!["model", "codec"]), select(deep.to_vec()));
    each(40, (place, changes()), |((at, part, field), changes)| {
        let mut config: Value = serde_json::from_slice(&of(at, part, "config.json")).unwrap();
        let fields = if config[field].is_object() { &mut config[field] } else { &mut config };
        let fields = fields.as_object_mut().unwrap();
        for (place, value) in changes {
            let keys: Vec<_> = fields.keys().cloned().collect();
            drop(fields.insert(place.get(&keys).clone(), value.unwrap_or_default()));
        }
        load_higgs(&parts[at], part, "config.json", config.to_string().as_bytes())
    });
    let files = vec![
        (0, "model", "tokenizer.json"),
        (0, "model", "model.safetensors"),
        (1, "model", "model.safetensors.index.json"),
        (1, "model", "model-00001-of-00002.safetensors"),
        (0, "codec", "model.safetensors"),
        (1, "codec", "model.pth"),
    ];
    each(20, (select(files), edits()), |((at, part, name), edits)| {
        load_higgs(&parts[at], part, name, &edited(&of(at, part, name), &edits))
    });
    for part in ["model", "codec"] {
        let (header, data) = weights(&of(0, part, WEIGHTS));
        each(20, lies(), |lie| load_higgs(&parts[0], part, WEIGHTS, &lying(&header, &data, lie)));
    }
}

/// Loads a Zonos of these parts with one file in place of its own.
fn load_zonos(parts: &zonos::Parts, part: &str, name: &str, bytes: &[u8]) -> Result<String, TestCaseError> {
    let mut files = ModelFiles::default();
    for (part, folder) in [("model", &parts.model), ("codec", &parts.codec), ("speaker", &parts.speaker)] {
        for (_, name, location) in files_of(folder.path()).iter() {
            files.insert(part, name, location.clone());
        }
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    files.insert(part, name, Location::Disk(path));
    let programs = Programs { path: ["/usr/local/bin", "/usr/bin"].map(Into::into).to_vec(), ..Programs::default() };
    let place = Placement { programs, ..place() };
    let loaded = catch_unwind(AssertUnwindSafe(|| match family("zonos").footprint(&files, &place) {
        Ok(bytes) if bytes > BUDGET => Err("it is too large for this test".to_owned()),
        _ => family("zonos").load(&files, &place).map(drop).map_err(|error| error.to_string()),
    }));
    let Ok(outcome) = loaded else { return Err(TestCaseError::fail(format!("{part}, {name}: a panic"))) };
    let message = outcome.err().unwrap_or_default();
    prop_assert!(message.is_empty() || message.len() > 10, "{message}");
    prop_assert!(!message.contains(&folder.path().display().to_string()), "{message}");
    Ok(message)
}

/// Three parts, one of them in pickles.
#[test]
fn a_zonos_of_damaged_files_is_refused_or_loaded() {
    if espeak::program().is_none() {
        return;
    }
    for kind in zonos::KINDS {
        let parts = zonos::Parts::of(kind);
        let of = |part: &str, name: &str| {
            let folder = if part == "model" { &parts.model } else { &parts.codec };
            fs::read(folder.path().join(name)).unwrap()
        };
        assert_eq!(load_zonos(&parts, "model", "config.json", &of("model", "config.json")).unwrap(), "");
        each(10, (select(vec!["backbone", "prefix_conditioner"]), changes()), |(of_config, changes)| {
            let mut config: Value = serde_json::from_slice(&of("model", "config.json")).unwrap();
            let fields = config[of_config].as_object_mut().unwrap();
            for (place, value) in changes {
                let keys: Vec<_> = fields.keys().cloned().collect();
                drop(fields.insert(place.get(&keys).clone(), value.unwrap_or_default()));
            }
            load_zonos(&parts, "model", "config.json", config.to_string().as_bytes()).map(drop)
        });
        each(10, (select(vec!["model", "codec"]), lies()), |(part, lie)| {
            let (header, data) = weights(&of(part, WEIGHTS));
            load_zonos(&parts, part, WEIGHTS, &lying(&header, &data, lie)).map(drop)
        });
        let number = (any::<prop::sample::Index>(), extreme());
        let sizes = [
            "/backbone/d_model",
            "/backbone/n_layer",
            "/backbone/attn_cfg/num_heads",
            "/backbone/attn_cfg/num_heads_kv",
            "/backbone/attn_cfg/head_dim",
            "/eos_token_id",
            "/prefix_conditioner/conditioners/1/cond_dim",
            "/prefix_conditioner/conditioners/2/input_dim",
            "/prefix_conditioner/conditioners/6/max_val",
        ];
        each(20, prop::collection::vec(number, 1..3), |numbers| {
            let mut config: Value = serde_json::from_slice(&of("model", "config.json")).unwrap();
            for (place, number) in numbers {
                let size: &&str = place.get(&sizes);
                *config.pointer_mut(size).unwrap() = json!(number);
            }
            load_zonos(&parts, "model", "config.json", config.to_string().as_bytes()).map(drop)
        });
        // A pickle that calls what is no tensor: `os.system`.
        let hostile = b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.";
        for name in SPEAKER_FILES {
            let message = load_zonos(&parts, "speaker", name, &torch::pickled(hostile)).unwrap();
            assert!(message.contains("os.system"), "{name}: {message}");
        }
    }
}

#[test]
fn damaged_weights_are_refused_or_loaded() {
    let whole = file(WEIGHTS);
    each(5, edits(), |edits| load(WEIGHTS, &edited(&whole, &edits)));
    for length in [0, 7, 8, 9, 1000] {
        load(WEIGHTS, &whole[..length]).unwrap();
    }
    for length in [u64::MAX, i64::MAX as u64, 1 << 40, 0] {
        load(WEIGHTS, &[&length.to_le_bytes(), &whole[8..]].concat()).unwrap();
    }
}

/// The library that computes them is not ours, and in C++: what it is given was looked through before. What it takes is run once.
#[test]
fn networks_of_onnx_that_are_damaged_are_refused_or_run() {
    let Some(library) = onnx::library() else { return };
    let choices = [("onnxruntime", ProgramChoice::At(library.into()))].into();
    let path = ["/usr/local/bin", "/usr/bin"].map(Into::into).to_vec();
    let place = Placement { programs: Programs { path, choices, ..Programs::default() }, ..place() };
    let piper = onnx::folder(&[("piper/voice.onnx", "voice.onnx"), ("piper/letters.onnx.json", "voice.onnx.json")]);
    let kokoro = onnx::folder(&[
        ("kokoro/model.onnx", "model.onnx"),
        ("kokoro/af_anna.bin", "voices-anna.bin"),
        ("kokoro/bm_ben.bin", "voices-ben.bin"),
    ]);
    let vosk_tts = onnx::folder(&[
        ("vosk_tts/row.onnx", "model.onnx"),
        ("vosk_tts/blanks.json", "config.json"),
        ("vosk_tts/dictionary", "dictionary"),
        ("vosk_tts/vocab.txt", "bert/vocab.txt"),
        ("vosk_tts/bert.onnx", "bert/model.onnx"),
    ]);
    let of_vosk_tts = vec!["model.onnx", "config.json", "dictionary", "bert/vocab.txt", "bert/model.onnx"];
    let zipformer = onnx::folder(&[
        ("zipformer/encoder.chunks.onnx", "encoder.onnx"),
        ("zipformer/decoder.onnx", "decoder.onnx"),
        ("zipformer/joiner.onnx", "joiner.onnx"),
        ("zipformer/tokens.txt", "tokens.txt"),
    ]);
    let of_zipformer = vec!["encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt"];
    let mut of_each = vec![
        ("zipformer", &zipformer, of_zipformer),
        ("piper", &piper, vec!["voice.onnx", "voice.onnx.json"]),
        ("vosk-tts", &vosk_tts, of_vosk_tts),
    ];
    if espeak::program().is_some() {
        of_each.push(("kokoro", &kokoro, vec!["model.onnx", "voices-anna.bin"]));
    }
    for (name, folder, names) in of_each {
        let run = |files: &ModelFiles| {
            family(name).footprint(files, &place).and_then(|_| {
                let mut model = family(name).load(files, &place)?;
                // That it cannot be run is an answer as well.
                drop(model.warm_up());
                Ok(())
            })
        };
        run(&files_of(folder.path())).unwrap();
        let own = |name: &str| fs::read(folder.path().join(name)).unwrap();
        each(25, (select(names), edits()), |(file, edits)| {
            let (files, scratch) = with_file(folder.path(), file, &edited(&own(file), &edits));
            let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| run(&files).map_err(|error| error.to_string()))) else {
                return Err(TestCaseError::fail(format!("{file}: a panic")));
            };
            let message = outcome.err().unwrap_or_else(|| "it was run".to_owned());
            prop_assert!(message.len() > 9 && !message.contains(&scratch.path().display().to_string()), "{message}");
            Ok(())
        });
    }
}

/// The file that says how a program is run. Nothing is executed of what is not pinned, so a damaged one executes nothing.
#[test]
fn manifests_of_programs_that_are_damaged_are_refused() {
    let manifest = fs::read(checkout("examples/worker/echo/sconce-worker.toml")).unwrap();
    each(60, edits(), |edits| {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("sconce-worker.toml"), edited(&manifest, &edits)).unwrap();
        let files = files_of(folder.path());
        let described = catch_unwind(AssertUnwindSafe(|| {
            let described = family("worker").described("speaker", &files, &Programs::default());
            let loaded = family("worker").load(&files, &place()).map(drop).map_err(|error| error.to_string());
            (described.map(drop).map_err(|error| error.to_string()), loaded)
        }));
        let Ok((described, loaded)) = described else { return Err(TestCaseError::fail("a panic")) };
        prop_assert!(loaded.is_err(), "nothing allows it");
        for message in [described.err(), loaded.err()].into_iter().flatten() {
            prop_assert!(message.len() > 9 && !message.contains(&folder.path().display().to_string()), "{message}");
        }
        Ok(())
    });
}

/// The library that hears is not ours, and ends the process where it is given what it does not expect.
#[test]
fn a_model_of_vosk_that_is_damaged_is_refused_by_name_or_taken() {
    let Some(library) = vosk::library() else { return };
    let choices = [("vosk", ProgramChoice::At(library.into()))].into();
    let place = Placement { programs: Programs { choices, ..Programs::default() }, ..place() };
    let whole = vosk::files("");
    let load = |model: &[(&str, Vec<u8>)]| {
        let (folder, mut files) = (vosk::model_of(model), ModelFiles::default());
        for (name, _) in model {
            files.insert("model", name, Location::Disk(folder.path().join(name)));
        }
        let loaded = catch_unwind(AssertUnwindSafe(|| family("vosk").load(&files, &place).map(drop)));
        let Ok(outcome) = loaded else { return Err(TestCaseError::fail("a panic")) };
        let message = outcome.err().map(|error| error.to_string());
        if let Some(message) = &message {
            prop_assert!(message.len() > 9 && !message.contains(&folder.path().display().to_string()), "{message}");
        }
        Ok(message)
    };
    assert_eq!(load(&whole).unwrap(), None);
    each(100, (0..whole.len(), edits()), |(at, edits)| {
        let mut model = whole.clone();
        model[at].1 = edited(&model[at].1, &edits);
        load(&model).map(drop)
    });
    for at in 0..whole.len() {
        let mut model = whole.clone();
        let (name, _) = model.remove(at);
        let message = load(&model).unwrap();
        assert!(name == "README" || message.is_some_and(|message| message.ends_with("is missing")), "{name}");
    }
}

/// Loads a YuE of these parts with one file in place of its own.
fn load_yue(parts: &yue::Parts, part: &str, name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    load_parts("yue", parts.folders(), (part, name), bytes)
}

#[test]
fn a_yue_with_odd_values_or_damaged_files_is_refused_or_loaded() {
    let parts = yue::Parts::new();
    let of = |part: &str, name: &str| {
        let (_, folder) = parts.folders().into_iter().find(|(own, _)| *own == part).unwrap();
        fs::read(folder.join(name)).unwrap()
    };
    each(40, (select(vec!["model", "stage2"]), changes()), |(part, changes)| {
        let mut config: Value = serde_json::from_slice(&of(part, "config.json")).unwrap();
        let fields = config.as_object_mut().unwrap();
        for (place, value) in changes {
            let keys: Vec<_> = fields.keys().cloned().collect();
            drop(fields.insert(place.get(&keys).clone(), value.unwrap_or_default()));
        }
        load_yue(&parts, part, "config.json", config.to_string().as_bytes())
    });
    let files = vec![
        ("stage2", "tokenizer.model"),
        ("stage2", "model.safetensors"),
        ("model", "model.safetensors.index.json"),
        ("model", "model-00001-of-00002.safetensors"),
        ("codec", "decoders/decoder_131000.pth"),
        ("codec", "final_ckpt/ckpt_00360000.pth"),
    ];
    each(30, (select(files), edits()), |((part, name), edits)| {
        load_yue(&parts, part, name, &edited(&of(part, name), &edits))
    });
    let (header, data) = weights(&of("stage2", WEIGHTS));
    each(20, lies(), |lie| load_yue(&parts, "stage2", WEIGHTS, &lying(&header, &data, lie)));
}
