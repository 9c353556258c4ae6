//! The recording that an answer is of, where the model hears only parts of it.

use super::{diarization::Diarization, memory::MemoryShare};
use crate::{
    audio::{Pcm, Timeline, VoiceActivity},
    listening::VoiceDetection,
    speech::{Part, Segment, Summary, TranscriptEvent, Warning},
};

/// A recording as it was before anything was cut out.
pub(super) struct Original {
    pub seconds: f64,
    /// Which part of it this is, where each is heard by itself.
    pub part: Part,
    warnings: Vec<Warning>,
    /// Where in it the model listens, if not everywhere.
    timeline: Option<Timeline>,
    /// Who speaks in it, where that is asked for.
    pub diarization: Option<Diarization>,
    /// The memory of its sound, for as long as the answer is under way.
    _share: Option<MemoryShare>,
}

/// The sound of a recording, or of one of its parts, as a model hears it, and what it is of.
pub(super) type DecodedSound = (Pcm, Original);

// === impl Original ===

impl Original {
    /// None at all.
    pub fn silent() -> Self {
        Self { seconds: 0.0, part: Part::WHOLE, warnings: Vec::new(), timeline: None, diarization: None, _share: None }
    }

    /// What is to be heard of a recording, and the recording.
    pub fn cut(pcm: Pcm, voice: Option<(VoiceActivity, &VoiceDetection)>) -> (Pcm, Self) {
        let seconds = pcm.seconds();
        let (pcm, timeline) = match voice.map(|(activity, voices)| voices.excerpt(activity, &pcm)) {
            Some(excerpt) => (excerpt.pcm, Some(excerpt.timeline)),
            None => (pcm, None),
        };
        (pcm, Self { seconds, timeline, ..Self::silent() })
    }

    /// The same, as a part of it.
    pub fn on(self, part: Part) -> Self {
        Self { part, ..self }
    }

    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Has it keep the memory of its sound, and tell what was amiss with it and who speaks.
    pub fn hold(&mut self, share: MemoryShare, warnings: Vec<Warning>, diarization: Option<Diarization>) {
        (self._share, self.warnings, self.diarization) = (Some(share), warnings, diarization);
    }

    /// In the times of the recording, and on its part.
    pub fn place(&self, piece: TranscriptEvent) -> TranscriptEvent {
        match (piece, &self.timeline) {
            (TranscriptEvent::Segment(segment), None) => TranscriptEvent::Segment(self.label(segment)),
            (TranscriptEvent::Segment(segment), Some(timeline)) => {
                TranscriptEvent::Segment(self.label(self.place_segment(segment, timeline)))
            }
            (TranscriptEvent::Done(summary), None) => TranscriptEvent::Done(summary),
            (TranscriptEvent::Done(summary), Some(_)) => {
                TranscriptEvent::Done(Summary { duration: self.seconds, ..summary })
            }
            (piece @ TranscriptEvent::Partial(_), _) => piece,
        }
    }

    fn label(&self, mut segment: Segment) -> Segment {
        segment.part = self.part;
        segment.words.iter_mut().for_each(|word| word.part = self.part);
        segment
    }

    fn place_segment(&self, mut segment: Segment, timeline: &Timeline) -> Segment {
        let start = |seconds| hundredths(timeline.start(seconds)).min(self.seconds);
        let end = |seconds| hundredths(timeline.end(seconds)).min(self.seconds);
        // Counted in frames of 10 ms.
        segment.seek = (start(segment.seek as f64 / 100.0) * 100.0).round() as usize;
        (segment.start, segment.end) = (start(segment.start), end(segment.end));
        for word in &mut segment.words {
            (word.start, word.end) = (start(word.start), end(word.end));
        }
        segment
    }
}

/// As finely as models count.
fn hundredths(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::Word;

    fn segment(seek: usize, start: f64, end: f64) -> Segment {
        let word =
            |start, end| Word { word: "a".to_owned(), start, end, probability: 1.0, part: Part::WHOLE, speaker: None };
        Segment {
            id: 0,
            seek,
            start,
            end,
            text: "a a".to_owned(),
            tokens: vec![],
            temperature: 0.0,
            avg_logprob: 0.0,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            part: Part::WHOLE,
            speaker: None,
            words: vec![word(start, start + 0.2), word(end - 0.2, end)],
            logprobs: vec![],
            alternatives: Vec::new(),
        }
    }

    const RATE: u32 = 16_000;

    /// A hum that comes and goes at 5 to 6 s, in ten seconds of silence.
    fn hum() -> Pcm {
        let rate = RATE as usize;
        let sample = |n: usize| {
            let (seconds, loud) = (n as f64 / rate as f64, (5 * rate..6 * rate).contains(&n));
            let partials = (1..20).map(|partial| (std::f64::consts::TAU * 150.0 * f64::from(partial) * seconds).sin());
            if loud { partials.sum::<f64>() as f32 / 40.0 } else { 0.0 }
        };
        Pcm::new((0..10 * rate).map(sample).collect(), RATE)
    }

    #[test]
    fn pieces_get_the_times_of_the_recording_and_its_length() {
        let (heard, original) = Original::cut(hum(), Some((VoiceActivity::default(), &VoiceDetection::default())));
        assert!((heard.seconds() - 1.8).abs() < 0.1, "{}", heard.seconds());
        let TranscriptEvent::Segment(placed) = original.place(TranscriptEvent::Segment(segment(0, 0.3, 1.3))) else {
            panic!()
        };
        assert!((placed.start - 5.0).abs() < 0.1 && (placed.end - 6.0).abs() < 0.1, "{placed:?}");
        assert_eq!((placed.words[0].start, placed.words[1].end), (placed.start, placed.end));
        assert!((465..=475).contains(&placed.seek), "{placed:?}");
        let summary = Summary { language: "en".to_owned(), duration: heard.seconds(), tokens: 2 };
        let TranscriptEvent::Done(summary) = original.place(TranscriptEvent::Done(summary)) else { panic!() };
        assert_eq!(summary.duration, 10.0);
    }

    #[test]
    fn where_nothing_is_cut_pieces_stay_as_they_are() {
        let (heard, original) = Original::cut(hum(), None);
        assert_eq!((heard.seconds(), original.seconds), (10.0, 10.0));
        let TranscriptEvent::Segment(same) = original.place(TranscriptEvent::Segment(segment(70, 0.123, 1.0))) else {
            panic!()
        };
        assert_eq!(same, segment(70, 0.123, 1.0));
    }
}
