//! The first stage: a section of a song, token by token.

use candle_core::{Result, Tensor};
use rand::{SeedableRng, rngs::StdRng};

use super::{
    super::tokens::SongIds,
    sampling::{Blocked, SamplingOptions},
};
use crate::{
    families::{
        code_speech::FinishReason,
        step::{Chooses, Row, choose, step},
    },
    nn::{
        llama::{Llama, Sequence},
        sampler::{Choice, Chooser, Chosen, Guidance, GuidanceRule, Pick, SampledToken},
    },
};

/// The weights. Songs share them.
#[derive(Debug)]
pub struct Stage1 {
    pub llama: Llama,
    pub ids: SongIds,
    pub chooser: Chooser,
}

/// How a section is to be sung.
#[derive(Clone, Copy, Debug)]
pub struct SectionRequest {
    pub sampling: SamplingOptions,
    /// How far to go from what would be sung without lyrics and genre to what is sung with them; 1 is no guidance, and half
    /// the work.
    pub guidance: f32,
    /// Tokens, two for each frame: one of each track. At least 1.
    pub max_new_tokens: usize,
    /// Before these a section does not end.
    pub min_new_tokens: usize,
    pub seed: u64,
}

/// A section on its way through the network. Its memory goes with it.
#[derive(Debug)]
pub struct Stage1Row {
    /// That which read everything, and with guidance the one that did not.
    sequences: Vec<Sequence>,
    request: SectionRequest,
    rng: StdRng,
    ids: SongIds,
    /// All that was read and sung.
    tokens: Vec<u32>,
    /// Of these.
    read: usize,
    finish: Option<FinishReason>,
}

/// Tokens that are read in one step, so that nobody waits long for it.
const READ_BLOCK: usize = 512;

// === impl Stage1 ===

impl Stage1 {
    /// A section, with what comes before it still to be read; there is at least one token of it.
    pub fn open(&self, read: &[u32], request: &SectionRequest) -> Result<Stage1Row> {
        // The last token is not fed.
        let mut sequences = vec![self.llama.sequence(read.len() + request.max_new_tokens - 1)?];
        if request.guidance != 1.0 {
            sequences.push(self.llama.sequence(request.max_new_tokens)?);
        }
        Ok(Stage1Row {
            sequences,
            request: *request,
            rng: StdRng::seed_from_u64(request.seed),
            ids: self.ids,
            tokens: read.to_vec(),
            read: read.len(),
            finish: None,
        })
    }

    /// A row that has more to read reads the next block of it, and draws its first token after the last; every other row that is
    /// not finished draws its next token, all in one pass. After an error the rows are of no use.
    pub fn step(&self, rows: &mut [&mut Stage1Row]) -> Result<()> {
        let (reading, mut singing): (Vec<_>, Vec<_>) =
            rows.iter_mut().map(|row| &mut **row).partition(|row| row.is_reading());
        for row in reading {
            self.read(row)?;
        }
        step(&mut singing, self.llama.has_kernels(), |rows| choose(&self.chooser, &self.feed(rows)?, rows))
    }

    fn read(&self, row: &mut Stage1Row) -> Result<()> {
        let [told, others @ ..] = row.sequences.as_mut_slice() else { candle_core::bail!("a row without a sequence") };
        let block = &row.tokens[told.len()..row.read];
        let block = &block[..block.len().min(READ_BLOCK)];
        let hidden = self.llama.read(block, told)?;
        if told.len() < row.read {
            return Ok(());
        }
        let mut logits = vec![self.llama.logits(&hidden)?];
        for untold in others {
            // Of all that was read it knows the last token alone.
            let last = &row.tokens[row.read - 1..row.read];
            logits.push(self.llama.logits(&self.llama.read(last, untold)?)?);
        }
        choose(&self.chooser, &Tensor::cat(&logits, 0)?, &mut [row])
    }

    /// Feeds each sequence of each row its last token, all in one pass. For each: the logits of the next.
    fn feed(&self, rows: &mut [&mut Stage1Row]) -> Result<Tensor> {
        let last = |row: &&mut Stage1Row| row.tokens.last().copied().into_iter().cycle().take(row.sequences.len());
        let tokens: Vec<u32> = rows.iter().flat_map(last).collect();
        let mut sequences = rows.iter_mut().flat_map(|row| row.sequences.iter_mut()).collect::<Vec<_>>();
        self.llama.next(&tokens, &mut sequences)
    }
}

// === impl Stage1Row ===

impl Stage1Row {
    /// What is sung so far. A section that ended by itself has its end as the last.
    pub fn sung(&self) -> &[u32] {
        &self.tokens[self.read..]
    }

    fn is_reading(&self) -> bool {
        self.sung().is_empty() && self.finish.is_none()
    }

    /// `None`: takes part in the next step.
    pub fn finish(&self) -> Option<FinishReason> {
        self.finish
    }
}

impl Row for Stage1Row {
    fn sequences(&self) -> usize {
        self.sequences.len()
    }

    fn is_over(&self) -> bool {
        self.finish.is_some()
    }
}

impl Chooses for Stage1Row {
    fn choices(&mut self, first: usize) -> Vec<Choice<'_>> {
        let SectionRequest { sampling, guidance, min_new_tokens, .. } = self.request;
        let blocked = Blocked { below: self.ids.end, next: self.sung().len() < min_new_tokens };
        let guidance = Guidance { untold: first + 1, scale: guidance, rule: GuidanceRule::OfLogprobs };
        // The scores were divided by the temperature.
        let pick = Pick::one(if sampling.temperature > 0.0 { 1.0 } else { 0.0 }, &mut self.rng);
        let choice = Choice::new(first, pick).with_guidance((self.sequences.len() > 1).then_some(guidance));
        vec![choice.with_edits(sampling.edits(&self.tokens, blocked))]
    }

    fn take(&mut self, chosen: Vec<Chosen>) -> bool {
        match chosen.into_iter().flatten().flatten().next() {
            None => self.finish = Some(FinishReason::Lost),
            Some(SampledToken { token, .. }) => {
                self.tokens.push(token);
                if token == self.ids.end {
                    self.finish = Some(FinishReason::Stopped);
                } else if self.sung().len() >= self.request.max_new_tokens {
                    self.finish = Some(FinishReason::Full);
                }
            }
        }
        false
    }
}
