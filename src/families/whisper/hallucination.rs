//! Text that a window has where nothing was said: words that are improbable, too short or too long, between silences. Rules
//! of openai-whisper's `hallucination_silence_threshold`, `transcribe.py`.

#[cfg(test)]
mod tests;

use crate::speech::{Segment, Word};

/// Words by which a segment is judged.
const FIRST_WORDS: usize = 8;
/// Seconds of an edge of a window: what is nearer to it has silence there.
const EDGE: f64 = 2.0;
/// Marks that make no word.
const MARKS: &str = "\"'“¿([{-\"'.。,，!！?？:：”)]}、";

/// A window with the words of its segments; seconds of the recording throughout.
pub struct WindowWords<'a> {
    pub segments: &'a [Segment],
    pub start: f64,
    /// Where the window ends, whether or not there is sound up to there.
    pub end: f64,
    /// Where its sound ends.
    pub sound_end: f64,
    /// Where the recording ends.
    pub recording_end: f64,
    /// The end of the last word before it.
    pub last_speech: f64,
    /// No segment was cut off.
    pub complete: bool,
}

/// What is to become of a window.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    /// Segments that are kept, from the first on.
    pub kept: usize,
    /// Where the next window starts, if not where it would without this.
    pub next: Option<f64>,
}

// === impl WindowWords ===

impl WindowWords<'_> {
    /// Leaves out what stands between silences of more than `threshold` seconds and is no speech.
    pub fn judge(&self, threshold: f64) -> Verdict {
        let first = self.segments.iter().find(|segment| !segment.words.is_empty());
        if let Some(gap) = first.filter(|first| is_anomaly(first)).map(|first| first.start - self.start)
            && gap > threshold
        {
            // Once more, without the silence that leads the model astray.
            return Verdict { kept: 0, next: Some(self.start + gap) };
        }
        let mut before = self.last_speech;
        for (at, segment) in self.segments.iter().enumerate().filter(|(_, segment)| !segment.words.is_empty()) {
            if is_anomaly(segment) && self.is_alone(at, before, threshold) {
                let rest_is_short = self.recording_end - segment.end < threshold;
                let next = if rest_is_short { self.recording_end } else { segment.start.max(self.start + 1.0) };
                return Verdict { kept: at, next: Some(next) };
            }
            before = segment.end;
        }
        Verdict { kept: self.segments.len(), next: self.after_the_last_word(threshold) }
    }

    /// Behind the last word, if there is enough silence for more words to be believed; else behind the window.
    fn after_the_last_word(&self, threshold: f64) -> Option<f64> {
        let last = self.segments.iter().flat_map(|segment| &segment.words).last()?.end;
        let cut_off = !self.complete && last > self.start;
        let next = if self.end - last > threshold { last } else { self.sound_end };
        cut_off.then_some(next)
    }

    /// Whether there is silence, or more of the kind, on both sides of a segment.
    fn is_alone(&self, at: usize, before: f64, threshold: f64) -> bool {
        let segment = &self.segments[at];
        let next = self.segments[at + 1..].iter().find(|next| !next.words.is_empty());
        let next_start = next.map_or(self.sound_end, |next| next.words[0].start);
        let silence_before =
            segment.start - before > threshold || segment.start < threshold || segment.start - self.start < EDGE;
        let silence_after =
            next_start - segment.end > threshold || next.is_some_and(is_anomaly) || self.end - segment.end < EDGE;
        silence_before && silence_after
    }
}

/// Whether most words of a segment are none that somebody would say.
fn is_anomaly(segment: &Segment) -> bool {
    let words: Vec<&Word> =
        segment.words.iter().filter(|word| !MARKS.contains(word.word.as_str())).take(FIRST_WORDS).collect();
    let score: f64 = words.iter().map(|word| strangeness(word)).sum();
    !segment.words.is_empty() && (score >= 3.0 || score + 0.01 >= words.len() as f64)
}

/// Of a word: 0 for one that is probable and lasts as long as words do.
fn strangeness(word: &Word) -> f64 {
    let seconds = word.end - word.start;
    let improbable = if word.probability < 0.15 { 1.0 } else { 0.0 };
    improbable + (0.133 - seconds).max(0.0) * 15.0 + (seconds - 2.0).max(0.0)
}
