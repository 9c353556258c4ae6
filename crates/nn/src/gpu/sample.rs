//! The kernel of `kernels/sample.cu`: tokens are chosen where their logits are.

use super::{
    decode::compiled,
    number::{Number, kernel_of, with_numbers, with_type},
};
use crate::sampler::{Choice, Chosen, Filters, Guidance, GuidanceRule, Pick, Repetition, SampledToken, Shape};
use candle_core::{
    CudaDevice, Result, Tensor,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaSlice, DeviceRepr, LaunchConfig, PushKernelArg},
    },
};

#[cfg(test)]
mod tests;

const MODULE: &str = "sconce_sample";
/// `THREADS` of the kernel.
const THREADS: u32 = 512;
/// `NONE` of the kernel.
const NONE: u32 = u32::MAX;
/// Words of its `Choice`.
const CHOICE: usize = 34;

/// Memory of the device for choices; it grows with them.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// The choices.
    words: Option<CudaSlice<u32>>,
    /// `[choices, vocabulary]`
    scores: Option<CudaSlice<f32>>,
    /// A token and the bits of its log-probability, as often as there may be one.
    chosen: Option<CudaSlice<u32>>,
}

// === impl Workspace ===

impl Workspace {
    /// For each of `choices`, from `logits` `[rows, vocabulary]`. `None`: the kernel does not do that.
    pub fn choose(&mut self, logits: &Tensor, choices: &[Choice<'_>]) -> Result<Option<Vec<Chosen>>> {
        let tokens: usize = choices.iter().map(|choice| choice.pick.count()).sum();
        if !logits.device().is_cuda() || logits.stride()[1] != 1 || tokens == 0 {
            return Ok(None);
        }
        let chosen = with_type!(logits.dtype(), T => self.chosen::<T>(logits, choices, tokens)).transpose()?;
        Ok(chosen.map(|words| {
            let mut records = words.as_chunks::<2>().0;
            let own = |choice: &Choice<'_>| {
                let (own, others) = records.split_at(choice.pick.count());
                records = others;
                chosen_of(own)
            };
            choices.iter().map(own).collect()
        }))
    }

    fn chosen<T: Number>(&mut self, logits: &Tensor, choices: &[Choice<'_>], tokens: usize) -> Result<Vec<u32>> {
        let device = logits.device().as_cuda_device()?;
        let (stride, vocabulary) = (logits.stride()[0] as u32, logits.dims2()?.1);
        let table = Words::of(choices);
        let words = room(&mut self.words, device, table.len().next_power_of_two())?;
        let scores = room(&mut self.scores, device, choices.len() * vocabulary)?;
        let chosen = room(&mut self.chosen, device, 2 * tokens)?;
        device.memcpy_htod(&table, &mut words.slice_mut(..table.len()))?;
        with_numbers::<T, _>(logits, |numbers| {
            let function =
                device.get_or_load_custom_func(&kernel_of("choose", logits.dtype())?, MODULE, compiled::SAMPLE)?;
            let vocabulary = vocabulary as u32;
            let mut launch = function.builder();
            launch.arg(&numbers).arg(&stride).arg(&vocabulary).arg(&*words).arg(&mut *scores).arg(&mut *chosen);
            // SAFETY: the arguments are those of `choose`; the words name rows and places that are there, and are in the stream
            // before it.
            unsafe {
                launch.launch(LaunchConfig {
                    grid_dim: (choices.len() as u32, 1, 1),
                    block_dim: (THREADS, 1, 1),
                    shared_mem_bytes: 0,
                })
            }
            .w()?;
            Ok(())
        })?;
        device.clone_dtoh(&chosen.slice(..2 * tokens))
    }
}

/// At least so many numbers.
fn room<'a, T: DeviceRepr>(
    kept: &'a mut Option<CudaSlice<T>>,
    device: &CudaDevice,
    count: usize,
) -> Result<&'a mut CudaSlice<T>> {
    let enough = kept.take().filter(|kept| kept.len() >= count);
    let made = match enough {
        Some(kept) => kept,
        // SAFETY: the kernel reads nothing of it that was not written before.
        None => unsafe { device.alloc::<T>(count) }?,
    };
    Ok(kept.insert(made))
}

/// From what the kernel left. Its first token is missing where there is none that may be said; the number beside it then tells
/// whether the logits were a distribution.
fn chosen_of(records: &[[u32; 2]]) -> Chosen {
    let told = records.iter().map(|[token, logprob]| SampledToken { token: *token, logprob: f32::from_bits(*logprob) });
    let lost = told.clone().any(|told| told.token == NONE && !told.logprob.is_finite());
    (!lost).then(|| told.filter(|told| told.token != NONE).collect())
}

/// `Choice` of the kernel, and what such ones share: 32-bit words, in which spans are named.
#[derive(Default)]
struct Words {
    words: Vec<u32>,
    /// Lists that are there already, by where they lie here.
    lists: Vec<(*const u32, Span)>,
}

/// The first word, and how many of what is there.
type Span = [u32; 2];

// === impl Words ===

impl Words {
    fn of(choices: &[Choice<'_>]) -> Vec<u32> {
        let mut words = Self { words: vec![0; choices.len() * CHOICE], lists: Vec::new() };
        let mut first = 0;
        for (at, choice) in choices.iter().enumerate() {
            let count = choice.pick.count() as u32;
            let choice = words.choice(choice, [first, count]);
            words.words[at * CHOICE..(at + 1) * CHOICE].copy_from_slice(&choice);
            first += count;
        }
        words.words
    }

    fn choice(&mut self, choice: &Choice<'_>, chosen: Span) -> Vec<u32> {
        let edits = &choice.edits;
        let [untold, rule, scale] = guidance(choice);
        let [first, count, factor] = self.penalty(edits.repetition.as_ref());
        let [late_first, late_count, late_factor] = self.penalty(edits.late_repetition.as_ref());
        let lists =
            edits.masked.iter().filter(|ids| !ids.is_empty()).flat_map(|ids| self.list(ids)).collect::<Vec<_>>();
        let masked = self.pairs(&lists);
        let ranges = edits.masked_ranges.iter().flat_map(|ids| [ids.start, ids.end]).collect::<Vec<_>>();
        let ranges = self.pairs(&ranges);
        let [temperature, top_k, least, top_p] = filters(edits.filters.as_ref());
        let (pick, at, flattened, token) = match &choice.pick {
            Pick::Likeliest(_) => (0, [0; 2], 1.0, 0),
            Pick::Drawn { temperature, at } => {
                (1, self.pairs(&at.iter().flat_map(|at| number(*at)).collect::<Vec<_>>()), *temperature, 0)
            }
            Pick::Token(token) => (2, [0; 2], 1.0, *token),
            Pick::Shaped { at, .. } => (3, self.pairs(&number(*at)), 1.0, 0),
        };
        let own = [
            choice.row as u32,
            untold,
            rule,
            scale,
            first,
            count,
            factor,
            late_first,
            late_count,
            late_factor,
            masked[0],
            masked[1],
            ranges[0],
            ranges[1],
            edits.times_from.unwrap_or(NONE),
            temperature,
            top_k,
            least,
            top_p,
            pick,
            at[0],
            at[1],
            f32::to_bits(flattened),
            token,
        ];
        [&own[..], &shape(&choice.pick), &chosen].concat()
    }

    /// Tokens in order, each as often as it is penalised, and the bits of the factor.
    fn penalty(&mut self, repetition: Option<&Repetition<'_>>) -> [u32; 3] {
        let Some(repetition) = repetition else { return [0; 3] };
        let mut tokens = repetition.tokens.to_vec();
        tokens.sort_unstable();
        if !repetition.each_time {
            tokens.dedup();
        }
        let [first, count] = self.add(&tokens);
        [first, count, repetition.penalty.to_bits()]
    }

    /// One that several choices share is there once.
    fn list(&mut self, ids: &[u32]) -> Span {
        let known = self.lists.iter().find(|(at, [_, count])| *at == ids.as_ptr() && *count == ids.len() as u32);
        if let Some((_, span)) = known {
            return *span;
        }
        let span = self.add(ids);
        self.lists.push((ids.as_ptr(), span));
        span
    }

    /// Counted in pairs.
    fn pairs(&mut self, words: &[u32]) -> Span {
        let [first, count] = self.add(words);
        [first, count / 2]
    }

    fn add(&mut self, words: &[u32]) -> Span {
        let first = self.words.len() as u32;
        self.words.extend(words);
        [first, words.len() as u32]
    }
}

/// The other row, the rule and the bits of the scale.
fn guidance(choice: &Choice<'_>) -> [u32; 3] {
    let Some(Guidance { untold, scale, rule }) = choice.guidance else { return [choice.row as u32, 0, 0] };
    let rule = match rule {
        GuidanceRule::FromTold => 1,
        GuidanceRule::FromUntold => 2,
        GuidanceRule::OfLogprobs => 3,
    };
    [untold as u32, rule, scale.to_bits()]
}

/// Temperature, how many, the logarithm of the least share of the likeliest, and the share of all.
fn filters(filters: Option<&Filters>) -> [u32; 4] {
    let all = Filters { temperature: 0.0, top_k: 0, min_p: 0.0, top_p: 1.0 };
    let Filters { temperature, top_k, min_p, top_p } = filters.copied().unwrap_or(all);
    [temperature.to_bits(), count(top_k), least(min_p), top_p.to_bits()]
}

/// `Shape` of the kernel.
fn shape(pick: &Pick) -> [u32; 8] {
    let Pick::Shaped { shape: Shape { temperature, unified, top_p, top_k, min_p }, .. } = *pick else { return [0; 8] };
    let numbers = unified.map_or([0.0; 3], |unified| [unified.linear, unified.confidence, unified.quadratic]);
    let [linear, confidence, quadratic] = numbers.map(f32::to_bits);
    let unified = u32::from(unified.is_some());
    [temperature.to_bits(), unified, linear, confidence, quadratic, top_p.to_bits(), count(top_k), least(min_p)]
}

/// All, if they are more than there can be.
fn count(top_k: usize) -> u32 {
    u32::try_from(top_k).unwrap_or(0)
}

/// The bits of the logarithm of a share of the likeliest's probability.
fn least(min_p: f32) -> u32 {
    let least = if min_p > 0.0 { min_p.min(1.0).ln() } else { f32::NEG_INFINITY };
    least.to_bits()
}

fn number(number: f64) -> [u32; 2] {
    let bits = number.to_bits();
    [bits as u32, (bits >> 32) as u32]
}
