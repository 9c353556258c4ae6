//! When each word was said, from where the decoder looked while it wrote it. Rules of openai-whisper, `timing.py`.

mod attention;
mod dtw;
mod place;
mod split;
mod timing;

#[cfg(test)]
mod tests;

pub use attention::{Attention, token_starts};
pub use place::place;
pub use timing::WordTiming;

use super::tokens::Tokens;

const STEPS_PER_SECOND: f64 = 50.0;

/// The words of `text`, which holds no timestamps. `starts` `[text + 1]` are the steps at which each token and the end
/// begin, `probabilities` `[text]` those of each token.
pub fn timings(
    tokens: &Tokens,
    language: &str,
    text: &[u32],
    starts: &[usize],
    probabilities: &[f32],
) -> Vec<WordTiming> {
    let mut words = split::words(tokens, language, &[text, &[tokens.eot]].concat());
    words.pop(); // the end
    let mut first = 0;
    let mut timing = |(word, count): (String, usize)| {
        let range = first..first + count;
        first = range.end;
        let probability = mean(probabilities.get(range.clone())?);
        let (start, end) = (*starts.get(range.start)?, *starts.get(range.end)?);
        Some(WordTiming {
            word,
            tokens: count,
            start: start as f64 / STEPS_PER_SECOND,
            end: end as f64 / STEPS_PER_SECOND,
            probability,
        })
    };
    words.into_iter().map_while(&mut timing).collect()
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}
