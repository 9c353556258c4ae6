//! With the networks of `tests/fixtures/yue/net`, of which `make.py` says what they sing.

use std::{collections::BTreeSet, fs};

use candle_core::{DType, Device, Result};
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::{
    families::{
        fixtures::folder,
        yue::{
            checkpoint,
            config::StageConfig,
            net::{SamplingOptions, repaired},
            tokens::Words,
        },
    },
    nn::{
        ComputeContext,
        llama::Llama,
        sampler::Chooser,
        weights::{Loader, Weights},
    },
    speech::SynthesizeOptions,
};

/// Frames of a block: few, so that a song of a few dozen has several.
const BLOCK: usize = 4;

#[derive(Deserialize)]
struct Expected {
    songs: Vec<Sung>,
}

#[derive(Deserialize)]
struct Sung {
    least: usize,
    most: usize,
    positions: usize,
    sections: Vec<Section>,
}

#[derive(Deserialize)]
struct Section {
    prompt: Vec<u32>,
    sung: Vec<u32>,
}

struct Stages(Stage1, Stage2);

/// How the stages went about a song.
#[derive(Default)]
struct Work {
    /// Whether both worked in one step.
    trailed: bool,
    /// Of the second.
    steps: usize,
    /// Tokens that were read before a section, and blocks that were refined at once, at most.
    read: usize,
    blocks: usize,
}

impl Stages {
    fn load() -> Self {
        let file = |name: &str| fs::read(folder("yue/net").join(name)).unwrap();
        let ids = Words::read(file("stage2/tokenizer.model").into()).unwrap().ids;
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let llama = |folder: &str, files: &[&str], logits| {
            let open = |name: &&str| ((*name).to_owned(), file(&format!("{folder}/{name}")).into());
            let mut weights = Weights::open(&files.iter().map(open).collect::<Vec<_>>(), "").unwrap();
            let config: Value = serde_json::from_slice(&file(&format!("{folder}/config.json"))).unwrap();
            let config = StageConfig::from_json(config).unwrap();
            let loader = &mut Loader { weights: &mut weights, context: &context };
            Llama::load(loader, &config.llama, logits).unwrap()
        };
        let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        let written = ids.written();
        let written = Some(written.start as usize..written.end as usize);
        Self(
            Stage1 { llama: llama("stage1", &shards, None), ids, chooser: Chooser::default() },
            Stage2 { llama: llama("stage2", &["model.safetensors"], written), ids, chooser: Chooser::default() },
        )
    }

    /// To the end, or to that of so many sections. Sections as they are finished.
    fn finish(&self, song: &mut Song, sections: usize) -> Result<(Vec<FinishedSection>, Work)> {
        let (mut finished, mut work) = (Vec::new(), Work::default());
        while finished.len() < sections && finished.last().is_none_or(|last: &FinishedSection| !last.over) {
            if song.has_to_sing() {
                work.read = work.read.max(song.read().len());
            }
            song.open(&self.0)?;
            self.0.step(&mut song.singing().into_iter().collect::<Vec<_>>())?;
            song.hear(&self.0.ids);
            song.begin_blocks(&self.1, 16)?;
            work.trailed |= song.singing().is_some() && song.blocks() > 0;
            work.steps += usize::from(song.blocks() > 0);
            work.blocks = work.blocks.max(song.blocks());
            self.1.step(&mut song.refining().collect::<Vec<_>>())?;
            finished.extend(song.finish_section());
        }
        Ok((finished, work))
    }
}

fn songs() -> Vec<Sung> {
    let expected = fs::read(folder("yue/net").join("expected.json")).unwrap();
    serde_json::from_slice::<Expected>(&expected).unwrap().songs
}

fn plan(sung: &Sung, temperature: f32, stage2_batch: usize) -> SongPlan {
    let asked =
        SynthesizeOptions { instructions: Some("pop".to_owned()), seed: Some(7), ..SynthesizeOptions::default() };
    let options = SongOptions {
        sampling: SamplingOptions { temperature, ..SamplingOptions::default() },
        max_new_tokens: sung.most,
        min_new_tokens: sung.least,
        stage2_batch,
        ..SongOptions::new(&asked, None).unwrap()
    };
    let prompts = sung.sections.iter().map(|section| section.prompt.clone()).collect();
    let identity = checkpoint::identity([&b"a song"[..]]);
    SongPlan { prompts, options, positions: sung.positions, block: BLOCK, identity, memory: 0 }
}

fn frames(song: &Song) -> [Vec<[u16; BOOKS]>; TRACKS] {
    song.codes(song.tracks.frames[0].len()).map(<[_]>::to_vec)
}

#[test]
fn a_song_is_that_of_the_reference_section_by_section() -> Result<()> {
    let stages = Stages::load();
    let mut clipped = 0;
    for sung in songs() {
        let mut song = Song::new(plan(&sung, 0.0, 16), None, &stages.0.ids);
        let (finished, work) = stages.finish(&mut song, usize::MAX)?;
        let [first, second] = song.plan.most_positions();
        assert!((work.read + 2 * sung.most..=sung.positions + sung.most).contains(&first), "{first}");
        assert!(work.blocks * block_positions(BLOCK) <= second, "{second}");
        let expected: Vec<_> = sung.sections.iter().map(|section| section.sung.clone()).collect();
        assert_eq!(song.sung, expected, "what is read before a section is what the reference reads");
        assert_eq!(finished.iter().map(|section| section.over).filter(|over| *over).count(), 1);
        assert_eq!(finished.len(), sung.sections.len());
        let all: usize = sung.sections.iter().map(|section| section.prompt.len() + section.sung.len()).sum();
        clipped += usize::from(all > sung.positions);
        // As if all of it were refined at the end, block by block.
        for track in 0..TRACKS {
            let first = &song.tracks.first[track];
            let mut all = Vec::new();
            for block in first.chunks(BLOCK) {
                let mut row = stages.1.admit(block)?;
                while !row.finished() {
                    stages.1.step(&mut [&mut row])?;
                }
                all.extend(row.codes());
            }
            let known: Vec<_> = all.iter().flatten().flatten().collect();
            assert!(known.len() > first.len(), "something besides the first book is a code");
            let found = &frames(&song)[track];
            assert_eq!(found.len(), first.len());
            for (found, all) in found.iter().zip(&all) {
                assert!(found.iter().zip(all).all(|(found, code)| code.is_none_or(|code| code == *found)));
            }
            if sung.sections.len() == 1 {
                assert_eq!(*found, repaired(&[], &all));
            }
        }
    }
    assert!(clipped > 0, "one song is longer than what is read");
    Ok(())
}

#[test]
fn how_blocks_are_gathered_changes_no_code() -> Result<()> {
    let stages = Stages::load();
    let sung = &songs()[1];
    let (mut made, mut steps) = (Vec::new(), Vec::new());
    for (batch, trails) in [(1, true), (2, true), (4, true), (16, false)] {
        let mut song = Song::new(plan(sung, 1.0, batch), None, &stages.0.ids);
        let (_, work) = stages.finish(&mut song, usize::MAX)?;
        steps.push(work.steps);
        assert_eq!(
            work.trailed, trails,
            "{batch}: the second stage trails the first as soon as so many blocks are whole"
        );
        made.push((song.sung.clone(), frames(&song)));
    }
    assert!(made.iter().all(|song| *song == made[0]));
    assert!(steps.is_sorted_by(|more, fewer| more > fewer), "the later it begins, the fewer steps it takes: {steps:?}");
    Ok(())
}

#[test]
fn a_song_goes_on_from_any_of_its_checkpoints() -> Result<()> {
    let stages = Stages::load();
    let ids = &stages.0.ids;
    let sung = &songs()[1];
    let plan = |temperature| plan(sung, temperature, 16);
    let mut whole = Song::new(plan(1.0), None, ids);
    let (sections, _) = stages.finish(&mut whole, usize::MAX)?;
    let ends: Vec<usize> = sections.iter().map(|section| section.frames).collect();
    let tokens: BTreeSet<_> = whole.sung.iter().collect();
    assert_eq!(tokens.len(), whole.sung.len(), "sections draw apart");
    for (at, section) in sections.iter().enumerate() {
        let written = section.checkpoint.as_ref().unwrap();
        let earlier = FinishedSections::read(written, &whole.plan.identity).unwrap();
        assert_eq!(earlier.sung.len(), at + 1);
        let mut song = Song::new(plan(1.0), Some(earlier.clone()), ids);
        let (again, _) = stages.finish(&mut song, usize::MAX)?;
        assert_eq!(again.iter().map(|section| section.frames).collect::<Vec<_>>(), ends);
        let anew = again.iter().filter(|section| section.checkpoint.is_some()).count();
        assert_eq!(anew, sections.len() - at - 1, "what was finished is not done again");
        assert_eq!((&song.sung, frames(&song), song.tokens()), (&whole.sung, frames(&whole), whole.tokens()));
        // What does not fit is left alone.
        let mut short = earlier.clone();
        short.frames[1].pop();
        let mut long = earlier.clone();
        long.sung.extend(whole.sung.clone());
        for odd in [short, long, FinishedSections { sung: vec![vec![]], ..FinishedSections::default() }] {
            assert!(Song::new(plan(1.0), Some(odd), ids).earlier.is_empty());
        }
    }
    Ok(())
}

#[test]
fn how_far_a_song_is_grows() -> Result<()> {
    let stages = Stages::load();
    let sung = &songs()[1];
    let mut song = Song::new(plan(sung, 1.0, 16), None, &stages.0.ids);
    let before = song.progress();
    assert_eq!((before.done, before.sections, before.seconds, before.remaining), (0, 3, 0.0, None));
    stages.finish(&mut song, 1)?;
    let between = song.progress();
    assert_eq!((between.done, between.seconds), (1, song.tracks.sung() as f64 / FRAMES));
    assert!(between.remaining.unwrap() > Duration::ZERO);
    stages.finish(&mut song, usize::MAX)?;
    let after = song.progress();
    assert_eq!((after.done, after.remaining), (3, Some(Duration::ZERO)));
    Ok(())
}
