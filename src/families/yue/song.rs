//! A song that is being sung: its sections, one after another, and what was made of them.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use candle_core::Result;

use super::{
    checkpoint::{FinishedSections, SongIdentity},
    net::{SectionRequest, Stage1, Stage1Row, Stage2, Stage2Row},
    options::SongOptions,
    prompt::TRACKS,
    tokens::{BOOKS, SongIds},
    track::{Block, Tracks, block_positions},
};
use crate::{
    families::code_speech::FinishReason,
    speech::{Checkpoint, SpeechProgress},
};

/// Frames of a second.
const FRAMES: f64 = 50.0;
/// Share of a section's time that the first stage takes: it reads three times as many weights, a little more often.
const SINGING: f64 = 0.75;

/// A block, and its codes.
type RefinedBlock = (Block, Vec<[Option<u16>; BOOKS]>);

/// What is to be sung.
#[derive(Clone, Debug)]
pub struct SongPlan {
    /// What is read before the sound of each section, the first with all that comes before it.
    pub prompts: Vec<Vec<u32>>,
    pub options: SongOptions,
    /// Positions of the first stage.
    pub positions: usize,
    /// Frames that are refined together.
    pub block: usize,
    pub identity: SongIdentity,
    /// Bytes of keys and values that it takes at most.
    pub memory: u64,
}

/// A song in hand. Its memory goes with it.
#[derive(Debug)]
pub struct Song {
    pub plan: SongPlan,
    /// Tokens of each section that is sung, with their ends.
    sung: Vec<Vec<u32>>,
    tracks: Tracks,
    /// Of each section that an earlier try had finished: frames of the song that were refined by then.
    earlier: Vec<usize>,
    /// Sections of which everything is there.
    done: usize,
    /// The section at hand, until all of it is sung.
    singing: Option<Stage1Row>,
    /// Tokens of it that are in the tracks.
    heard: usize,
    waiting: VecDeque<Block>,
    refining: Vec<(Block, Stage2Row)>,
    refined: Vec<RefinedBlock>,
    begun: Instant,
    lost: bool,
}

/// A section of which everything is there.
#[derive(Debug)]
pub struct FinishedSection {
    /// Frames of the song that have all their codes.
    pub frames: usize,
    /// It is the last.
    pub over: bool,
    /// `None`: an earlier try had finished it.
    pub checkpoint: Option<Checkpoint>,
}

// === impl Song ===

impl Song {
    /// `earlier`: what another try had finished.
    pub fn new(plan: SongPlan, earlier: Option<FinishedSections>, ids: &SongIds) -> Self {
        let block = plan.block;
        let mut song = Self {
            plan,
            sung: Vec::new(),
            tracks: Tracks::new(block),
            earlier: Vec::new(),
            done: 0,
            singing: None,
            heard: 0,
            waiting: VecDeque::new(),
            refining: Vec::new(),
            refined: Vec::new(),
            begun: Instant::now(),
            lost: false,
        };
        if let Some((tracks, ends, sung)) = earlier.and_then(|earlier| song.restored(earlier, ids)) {
            (song.tracks, song.earlier, song.sung) = (tracks, ends, sung);
        }
        song
    }

    /// `None`: it does not fit this song.
    fn restored(&self, earlier: FinishedSections, ids: &SongIds) -> Option<(Tracks, Vec<usize>, Vec<Vec<u32>>)> {
        let (sections, mut tracks, mut ends) = (self.plan.prompts.len(), Tracks::new(self.plan.block), Vec::new());
        for (at, sung) in earlier.sung.iter().enumerate() {
            let (_, codes) = sung.split_last()?;
            tracks.push(codes, ids);
            tracks.hand_out(at + 1 == sections);
            ends.push(tracks.refinable(at + 1 == sections));
        }
        let whole = earlier.frames.iter().all(|track| Some(&track.len()) == ends.last());
        tracks.frames = earlier.frames;
        (whole && ends.len() <= sections).then_some((tracks, ends, earlier.sung))
    }

    /// Codes of both tracks, of so many frames.
    pub fn codes(&self, frames: usize) -> [&[[u16; BOOKS]]; TRACKS] {
        std::array::from_fn(|track| &self.tracks.frames[track][..frames])
    }

    /// Tokens that both stages made.
    pub fn tokens(&self) -> usize {
        let sung: usize = self.sung.iter().map(Vec::len).sum();
        sung + (BOOKS - 1) * self.tracks.frames.iter().map(Vec::len).sum::<usize>()
    }

    /// The network's numbers were none.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// What the first stage is to work on.
    pub fn singing(&mut self) -> Option<&mut Stage1Row> {
        self.singing.as_mut()
    }

    /// What the second stage is to work on.
    pub fn refining(&mut self) -> impl Iterator<Item = &mut Stage2Row> {
        self.refining.iter_mut().map(|(_, row)| row)
    }

    /// Blocks in the hands of the second stage.
    pub fn blocks(&self) -> usize {
        self.refining.len()
    }

    /// Whether the first stage has something to do: a section is at hand, or the next one is to be begun.
    pub fn has_to_sing(&self) -> bool {
        self.singing.is_some() || (self.sung.len() == self.done && self.done < self.plan.prompts.len())
    }

    /// Whether the second stage has, by now.
    pub fn has_to_refine(&self) -> bool {
        !self.waiting.is_empty() || !self.refining.is_empty()
    }

    /// Whether a section or blocks of it are in the memory of a stage.
    pub fn is_midway(&self) -> bool {
        self.singing.is_some() || !self.refining.is_empty()
    }

    fn is_last(&self) -> bool {
        self.done + 1 == self.plan.prompts.len()
    }

    /// Begins the next section, if none is at hand and one is left.
    pub fn open(&mut self, stage: &Stage1) -> Result<()> {
        if self.singing.is_some() || !self.has_to_sing() {
            return Ok(());
        }
        let (section, options) = (self.done, &self.plan.options);
        let request = SectionRequest {
            sampling: options.sampling,
            guidance: options.guidance(section),
            max_new_tokens: options.max_new_tokens,
            min_new_tokens: options.min_new_tokens,
            seed: section_seed(options.seed, section),
        };
        self.heard = 0;
        self.singing = Some(stage.open(&self.read(), &request)?);
        Ok(())
    }

    /// What is read before the section at hand is sung: all that was read and sung before, as far back as there is room for it.
    /// It is read anew for each section, so that it is the same after a restart.
    fn read(&self) -> Vec<u32> {
        let before = self.plan.prompts.iter().zip(&self.sung).flat_map(|(prompt, sung)| prompt.iter().chain(sung));
        let mut read: Vec<u32> = before.chain(&self.plan.prompts[self.done]).copied().collect();
        read.drain(..read.len().saturating_sub(self.plan.room()));
        read
    }

    /// Takes what was sung since into the tracks, and ends a section that is sung.
    pub fn hear(&mut self, ids: &SongIds) {
        let Some(row) = &self.singing else { return };
        let (sung, finish) = (row.sung(), row.finish());
        let codes = sung.len() - usize::from(finish == Some(FinishReason::Stopped));
        let whole = codes / TRACKS * TRACKS;
        self.tracks.push(&sung[self.heard..whole], ids);
        self.heard = whole;
        if let Some(finish) = finish {
            self.lost |= finish == FinishReason::Lost;
            let mut sung = sung.to_vec();
            if finish != FinishReason::Stopped {
                sung.push(ids.end);
            }
            self.sung.push(sung);
            self.singing = None;
        }
        let over = self.singing.is_none() && self.is_last();
        self.waiting.extend(self.tracks.hand_out(over));
    }

    /// Gives the second stage up to `room` blocks: as soon as so many are whole as it is to work on at once, or the section is
    /// sung. Before that nothing is gained, since a step of one block takes almost as long as one of many.
    pub fn begin_blocks(&mut self, stage: &Stage2, room: usize) -> Result<()> {
        let most = self.plan.options.stage2_batch;
        let due = self.singing.is_none() || !self.refining.is_empty() || self.waiting.len() >= most;
        let count = most.saturating_sub(self.refining.len()).min(room).min(self.waiting.len());
        for block in self.waiting.drain(..if due { count } else { 0 }) {
            let row = stage.admit(self.tracks.first_book(&block))?;
            self.refining.push((block, row));
        }
        Ok(())
    }

    /// Takes back blocks that are refined. The section at hand, if all of it is there by then; one that an earlier try had
    /// finished is there at once.
    pub fn finish_section(&mut self) -> Option<FinishedSection> {
        let over = self.is_last();
        if let Some(&frames) = self.earlier.get(self.done) {
            self.done += 1;
            return Some(FinishedSection { frames, over, checkpoint: None });
        }
        for (block, row) in self.refining.extract_if(.., |(_, row)| row.finished()) {
            self.lost |= row.lost();
            self.refined.push((block, row.codes()));
        }
        let sung = self.sung.len() > self.done;
        if !sung || self.lost || !self.waiting.is_empty() || !self.refining.is_empty() {
            return None;
        }
        self.tracks.refine(std::mem::take(&mut self.refined));
        self.done += 1;
        let finished = FinishedSections { sung: self.sung.clone(), frames: self.tracks.frames.clone() };
        let checkpoint = Some(finished.write(&self.plan.identity));
        Some(FinishedSection { frames: finished.frames[0].len(), over, checkpoint })
    }

    /// How far it is, and how long the rest will take at the pace so far.
    pub fn progress(&self) -> SpeechProgress {
        let (done, sections) = (self.done, self.plan.prompts.len());
        let part = self.part();
        // What an earlier try had finished takes no time of this one.
        let work = done.saturating_sub(self.earlier.len()) as f64 + part;
        let left = (sections - done.max(self.earlier.len())) as f64 - part;
        let pace = (work > 0.0).then(|| self.begun.elapsed().as_secs_f64() / work);
        let remaining = pace.and_then(|pace| Duration::try_from_secs_f64((pace * left).max(0.0)).ok());
        let (seconds, memory) = (self.tracks.sung() as f64 / FRAMES, Some(self.plan.memory));
        SpeechProgress { done, sections, seconds, remaining, memory }
    }

    /// Of the section at hand, as a share of its time.
    fn part(&self) -> f64 {
        let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
        match &self.singing {
            Some(row) => SINGING * share(row.sung().len(), self.plan.options.max_new_tokens),
            None if self.sung.len() > self.done => {
                let refined = self.refining.iter().map(|(_, row)| row.tokens().len()).sum::<usize>();
                let of = self.refining.iter().map(|(block, _)| block.len * BOOKS).sum::<usize>();
                SINGING + (1.0 - SINGING) * share(refined, of)
            }
            None => 0.0,
        }
    }
}

// === impl SongPlan ===

impl SongPlan {
    /// Tokens that may be read before a section is sung.
    pub fn room(&self) -> usize {
        self.positions.saturating_sub(self.options.max_new_tokens + 1)
    }

    /// Positions that it takes of either stage, at most: what is read and sung, with guidance once more what is sung alone, and
    /// the blocks that are refined together.
    pub fn most_positions(&self) -> [usize; 2] {
        let (options, most, sections) = (&self.options, self.options.max_new_tokens, self.prompts.len());
        let read = self.prompts.iter().map(Vec::len).sum::<usize>() + sections.saturating_sub(1) * (most + 1);
        let guided = (0..sections).any(|section| options.guidance(section) != 1.0);
        let sung = most * if guided { 2 } else { 1 };
        let blocks = TRACKS * (sections * most).div_ceil(TRACKS * self.block);
        [read.min(self.room()) + sung, blocks.min(options.stage2_batch) * block_positions(self.block)]
    }
}

/// Sections draw apart, so that one can be sung again without those before it.
fn section_seed(seed: u64, section: usize) -> u64 {
    // The golden ratio's odd fraction, as SplitMix64 steps by.
    seed.wrapping_add((section as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
