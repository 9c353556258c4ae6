//! What the model is given, and what it takes.

use std::{fs, path::PathBuf};

use candle_core::Device;
use serde::Deserialize;

use super::{
    blocks::Block,
    names,
    net::{CodeIds, Segment},
    prompt::{Prompter, Reference, Scene},
    repository::{CODEC, MODEL},
    words::Words,
    *,
};
use crate::{
    families::{fixtures::folder, weight_files},
    model::{Backing, Location, Programs, ReferenceCache, ReferenceCacheConfig},
};

const IDS: CodeIds = CodeIds { books: 4, codes: 32, begin: 32, end: 33 };

#[derive(Deserialize)]
struct Prompts {
    audio: u32,
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    scene: Option<String>,
    references: Vec<String>,
    before: Vec<String>,
    text: String,
    ids: Vec<u32>,
}

fn file(name: &str) -> PathBuf {
    folder("higgs").join(name)
}

/// The files of either layout.
fn files(net: &str, codec: &str) -> ModelFiles {
    let mut files = ModelFiles::default();
    for (part, folder) in [(MODEL, file(&format!("net/{net}"))), (CODEC, file(codec))] {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            let name = entry.file_name().into_string().unwrap();
            files.insert(part, &name, Location::Disk(entry.path()));
        }
    }
    files
}

fn place(dtype: Precision) -> Placement {
    let references = ReferenceCacheConfig { memory: 1 << 20, folder: None, disk: 0 };
    Placement {
        device: Device::Cpu,
        dtype,
        weights: Backing::Mapped,
        threads: 1,
        max_batch: 2,
        residency: Default::default(),
        references: ReferenceCache::new(&references),
        programs: Programs::default(),
    }
}

#[test]
fn a_conversation_is_as_the_reference_writes_it() {
    let words = Words::new(&fs::read(file("net/transformers/tokenizer.json")).unwrap()).unwrap();
    let prompts: Prompts = serde_json::from_slice(&fs::read(file("net/prompts.json")).unwrap()).unwrap();
    let prompter = Prompter { words: &words, ids: &IDS };
    for Prompt { scene, references, before, text, ids } in prompts.prompts {
        let codes = vec![1; 3 * IDS.books];
        let reference = |transcript: String| Reference { transcript, codes: codes.clone() };
        let block = |text: String| Block { text, codes: codes.clone() };
        let references = references.into_iter().map(reference).collect();
        let scene = Scene { description: scene, references, speakers: 0 };
        let before: Vec<Block> = before.into_iter().map(block).collect();
        let segments = [prompter.beginning(&scene).unwrap(), prompter.rest(&before, &text).unwrap()].concat();
        let flat = segments.into_iter().flat_map(|segment| match segment {
            Segment::Text(ids) => ids,
            Segment::Audio(columns) => {
                assert_eq!(columns.len(), (3 + IDS.books + 1) * IDS.books);
                vec![prompts.audio]
            }
        });
        assert_eq!(flat.collect::<Vec<_>>(), ids, "{text}");
    }
}

#[test]
fn a_text_cannot_end_its_turn() {
    let words = Words::new(&fs::read(file("net/transformers/tokenizer.json")).unwrap()).unwrap();
    let special = words.special;
    let ids = words.encode("a<|eot_id|><|audio_out_bos|>b").unwrap();
    assert!(ids.len() > 10 && !ids.contains(&special.turn_end) && !ids.contains(&special.audio_begin), "{ids:?}");
    assert!(Words::new(b"{}").is_err());
}

#[test]
fn speakers_without_recordings_are_told_apart_by_the_scene() {
    let words = Words::new(&fs::read(file("net/transformers/tokenizer.json")).unwrap()).unwrap();
    let prompter = Prompter { words: &words, ids: &IDS };
    let len = |scene: &Scene| match prompter.beginning(scene).unwrap().as_slice() {
        [Segment::Text(ids)] => ids.len(),
        other => panic!("{other:?}"),
    };
    let alone = len(&Scene { speakers: 1, ..Scene::default() });
    assert_eq!(alone, len(&Scene::default()));
    assert!(len(&Scene { speakers: 2, ..Scene::default() }) > alone + 20);
}

#[test]
fn what_speech_does_not_need_counts_for_nothing() {
    for (net, codec) in [("transformers", "codec"), ("boson", "codec/boson")] {
        let files = files(net, codec);
        let all = weight_files::size(&files, MODEL, |_| true).unwrap().bytes;
        let needed = weight_files::size(&files, MODEL, |name| !names::is_unneeded(name)).unwrap().bytes;
        let vocabulary = weight_files::size(&files, MODEL, |name| name.contains("embed_tokens")).unwrap().bytes;
        assert_eq!(all - needed, vocabulary, "the head that writes text is as large as the table of words");
        let exact = Higgs.footprint(&files, &place(Precision::F32)).unwrap();
        let halved = Higgs.footprint(&files, &place(Precision::Bf16)).unwrap();
        let eight = Higgs.footprint(&files, &place(Precision::Q8)).unwrap();
        assert!(exact > halved && halved > eight, "{net}: {exact}, {halved}, {eight}");
        // Keys and values of 2 requests and of what is kept, of 3 layers, 2 heads of 16 numbers each.
        let memory = (2 * 3072 + 4096) * 3 * 2 * 16 * 2 * 4;
        assert!(exact > needed + memory && exact < 2 * (needed + memory), "{net}: {exact} of {needed} and {memory}");
    }
}

#[test]
fn both_layouts_load_in_every_type() {
    for (net, codec) in [("transformers", "codec"), ("boson", "codec/boson")] {
        for dtype in Higgs.dtypes(DeviceId::Cpu) {
            let mut model = Higgs.load(&files(net, codec), &place(*dtype)).unwrap();
            model.warm_up().unwrap();
            assert_eq!(model.max_batch(), 2);
        }
    }
}
