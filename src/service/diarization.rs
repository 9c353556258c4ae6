//! Who says what in a recording: found out beside the model that writes it down, and put together with its text.

use std::{sync::Arc, time::Instant};

use tokio::{sync::oneshot, task::spawn_blocking};

use super::{
    ServiceError,
    memory::{MemoryBudget, OutOfMemory},
};
use crate::{
    audio::Pcm,
    listening::{DiarizationError, Diarizer, KnownSpeaker, SpeakerTurns},
    speech::{Segment, Word},
};

/// Whose turns are to be found in a recording.
#[derive(Clone)]
pub(super) struct DiarizationAsk {
    pub diarizer: Arc<Diarizer>,
    pub known: Vec<KnownSpeaker>,
    pub seconds: prometheus::Histogram,
}

/// Turns that are being found. Dropping it ends the work.
pub(super) struct Diarization {
    outcome: oneshot::Receiver<Result<SpeakerTurns, DiarizationError>>,
    turns: Option<SpeakerTurns>,
}

// === impl DiarizationAsk ===

impl std::fmt::Debug for DiarizationAsk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DiarizationAsk").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl DiarizationAsk {
    /// Begins with the sound of a recording, of which it keeps a copy.
    pub fn start(self, pcm: &Pcm, memory: &MemoryBudget) -> Result<Diarization, OutOfMemory> {
        let share = memory.share(size_of_val(pcm.samples()) + self.diarizer.bytes(pcm.seconds()))?;
        let (pcm, (tell, outcome)) = (pcm.clone(), oneshot::channel());
        let work = move || {
            let start = Instant::now();
            let turns = self.diarizer.turns(&pcm, &self.known, || tell.is_closed());
            drop((pcm, share));
            match &turns {
                Ok(_) => self.seconds.observe(start.elapsed().as_secs_f64()),
                Err(DiarizationError::Stopped) => {}
                Err(error) => {
                    tracing::warn!(%error, source = ?std::error::Error::source(error), "nobody was told apart")
                }
            }
            // Nobody may be there any more.
            let _ = tell.send(turns);
        };
        drop(spawn_blocking(work));
        Ok(Diarization { outcome, turns: None })
    }
}

// === impl Diarization ===

impl Diarization {
    /// Who speaks when, as soon as it is known. May be dropped and called again at any time.
    pub async fn turns(&mut self) -> Result<&SpeakerTurns, ServiceError> {
        let turns = match self.turns.take() {
            Some(turns) => turns,
            None => {
                (&mut self.outcome).await.map_err(|_| ServiceError::Internal("the speakers were not told apart"))??
            }
        };
        Ok(self.turns.insert(turns))
    }
}

/// A segment as one or several, each of one speaker: by its words, where it has any. A part of several has no tokens, since
/// nobody knows which are whose; log-probabilities stay with the first.
pub(super) fn by_speaker(mut segment: Segment, turns: &SpeakerTurns) -> Vec<Segment> {
    for word in &mut segment.words {
        word.speaker = turns.speaker(word.start, word.end).map(str::to_owned);
    }
    let parts: Vec<&[Word]> = segment.words.chunk_by(|one, other| one.speaker == other.speaker).collect();
    match parts.as_slice() {
        [] => segment.speaker = turns.speaker(segment.start, segment.end).map(str::to_owned),
        [part] => segment.speaker = part[0].speaker.clone(),
        [first, .., last] => {
            let (beginning, end) =
                (segment.start.min(first[0].start), last.last().map_or(segment.end, |word| word.end));
            let part = |(at, words): (usize, &&[Word])| Segment {
                start: if at == 0 { beginning } else { words[0].start },
                end: if at + 1 == parts.len() { segment.end.max(end) } else { words[words.len() - 1].end },
                text: words.iter().map(|word| word.word.as_str()).collect(),
                speaker: words[0].speaker.clone(),
                words: words.to_vec(),
                tokens: Vec::new(),
                logprobs: if at == 0 { segment.logprobs.clone() } else { Vec::new() },
                alternatives: Vec::new(),
                ..segment.clone()
            };
            return parts.iter().enumerate().map(part).collect();
        }
    }
    vec![segment]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::Part;

    fn word(word: &str, start: f64) -> Word {
        let end = start + 0.5;
        Word { word: word.to_owned(), start, end, probability: 1.0, part: Part::WHOLE, speaker: None }
    }

    fn segment(words: Vec<Word>) -> Segment {
        Segment {
            id: 0,
            seek: 0,
            start: 0.9,
            end: 4.2,
            text: " Hello there. Hi.".to_owned(),
            tokens: vec![1, 2, 3],
            temperature: 0.0,
            avg_logprob: -0.1,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            part: Part::WHOLE,
            speaker: None,
            words,
            logprobs: Vec::new(),
            alternatives: Vec::new(),
        }
    }

    fn parts(segment: Segment, turns: &[(f64, f64, &str)]) -> Vec<(String, f64, f64, String)> {
        let turns = SpeakerTurns::of(turns);
        let parts = by_speaker(segment, &turns).into_iter();
        parts.map(|part| (part.speaker.unwrap_or_default(), part.start, part.end, part.text)).collect()
    }

    #[test]
    fn a_segment_in_which_speakers_change_is_one_for_each() {
        let words = vec![word(" Hello", 1.0), word(" there.", 1.5), word(" Hi.", 3.5)];
        let turns = [(1.0, 2.2, "A"), (3.4, 4.0, "Bob")];
        let expected = [("A", 0.9, 2.0, " Hello there."), ("Bob", 3.5, 4.2, " Hi.")];
        let expected = expected.map(|(who, start, end, text)| (who.to_owned(), start, end, text.to_owned()));
        assert_eq!(parts(segment(words.clone()), &turns), expected);
        assert!(
            by_speaker(segment(words.clone()), &SpeakerTurns::of(&turns)).iter().all(|part| part.tokens.is_empty())
        );
        // Of one speaker it stays as it is.
        let one = by_speaker(segment(words), &SpeakerTurns::of(&[(1.0, 4.0, "A")]));
        assert_eq!((one.len(), one[0].tokens.len(), one[0].speaker.as_deref()), (1, 3, Some("A")));
    }

    #[test]
    fn without_words_who_speaks_for_most_of_it_says_all() {
        let turns = [(1.0, 1.5, "A"), (1.5, 4.0, "B")];
        let whole = ("B".to_owned(), 0.9, 4.2, " Hello there. Hi.".to_owned());
        assert_eq!(parts(segment(Vec::new()), &turns), [whole]);
        // Nobody was heard to speak.
        assert_eq!(parts(segment(Vec::new()), &[])[0].0, "");
    }
}
