//! A whole transcription, and the text formats that it is written in.

use std::fmt::Write;

use super::{Logprob, ModelName, Part, Parts, Segment, Summary, Warning, Word};

/// All that was heard in one recording.
#[derive(Clone, Debug)]
pub struct Transcript {
    pub model: ModelName,
    pub segments: Vec<Segment>,
    pub summary: Summary,
    /// How many were heard, each by itself.
    pub parts: Parts,
    pub warnings: Vec<Warning>,
}

/// The text of segments as they come. Where channels, tracks or speakers are told apart, each turn is a line that begins with
/// whose it is.
#[derive(Debug, Default)]
pub struct RunningText {
    text: String,
    label: String,
}

// === impl Transcript ===

impl Transcript {
    /// The text of all segments, without the space that the first one begins with.
    pub fn text(&self) -> String {
        let mut text = RunningText::default();
        for segment in &self.segments {
            text.push(segment);
        }
        text.whole().to_owned()
    }

    /// In order of time, also where people speak at once.
    pub fn words(&self) -> Vec<&Word> {
        let mut words: Vec<_> = self.segments.iter().flat_map(|segment| &segment.words).collect();
        if self.parts.count() > 1 {
            words.sort_by(|one, other| one.start.total_cmp(&other.start));
        }
        words
    }

    /// Seconds of sound that were heard, those of each channel or track.
    pub fn seconds(&self) -> f64 {
        self.summary.duration * self.parts.count() as f64
    }

    pub fn logprobs(&self) -> impl Iterator<Item = &Logprob> {
        self.segments.iter().flat_map(|segment| &segment.logprobs)
    }

    /// SubRip, as media players read it.
    pub fn srt(&self) -> String {
        let mut srt = String::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let (start, end) = (clock(segment.start, ','), clock(segment.end, ','));
            // Writing to a string cannot fail.
            let label = label(segment);
            let _ = write!(srt, "{}\n{start} --> {end}\n{label}{}\n\n", index + 1, cue(&segment.text));
        }
        srt
    }

    /// WebVTT, as browsers read it.
    pub fn vtt(&self) -> String {
        let mut vtt = "WEBVTT\n\n".to_owned();
        for segment in &self.segments {
            let (start, end) = (clock(segment.start, '.'), clock(segment.end, '.'));
            let voice = voice(segment);
            let _ = write!(vtt, "{start} --> {end}\n{voice}{}\n\n", cue(&segment.text));
        }
        vtt
    }

    /// Columns between tabs, as openai-whisper writes them: the start and the end in milliseconds, and the text.
    pub fn tsv(&self) -> String {
        let mut tsv = "start\tend\ttext\n".to_owned();
        for segment in &self.segments {
            let text = segment.text.trim().replace(['\t', '\n'], " ");
            let label = label(segment);
            let _ = writeln!(tsv, "{}\t{}\t{label}{text}", millis(segment.start), millis(segment.end));
        }
        tsv
    }
}

// === impl RunningText ===

impl RunningText {
    /// What a segment adds.
    pub fn push(&mut self, segment: &Segment) -> &str {
        let (before, label) = (self.text.len(), label(segment));
        if label != self.label {
            let line = if self.text.is_empty() { "" } else { "\n" };
            self.text.extend([line, &label, segment.text.trim_start()]);
            self.label = label;
        } else if self.text.is_empty() {
            self.text.push_str(segment.text.trim_start());
        } else {
            self.text.push_str(&segment.text);
        }
        &self.text[before..]
    }

    /// All of it, without spaces around it.
    pub fn whole(&self) -> &str {
        self.text.trim()
    }
}

/// Who speaks, in formats that have no field for it; of speakers as OpenAI's text has it.
fn label(segment: &Segment) -> String {
    match (&segment.speaker, segment.part.name()) {
        (Some(speaker), _) => format!("{speaker}: "),
        (None, Some(part)) => format!("[{part}] "),
        (None, None) => String::new(),
    }
}

/// The same in WebVTT.
fn voice(segment: &Segment) -> String {
    match (&segment.speaker, segment.part) {
        (Some(speaker), _) => format!("<v {speaker}>"),
        (None, Part { channel: Some(channel), .. }) => format!("<v Channel {channel}>"),
        (None, Part { track: Some(track), .. }) => format!("<v Track {track}>"),
        (None, Part::WHOLE) => String::new(),
    }
}

/// In whole milliseconds.
fn millis(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1000.0).round() as u64
}

/// `00:00:01,500`: both formats differ in the mark before the milliseconds alone.
fn clock(seconds: f64, mark: char) -> String {
    let millis = millis(seconds);
    let (seconds, minutes, hours) = (millis / 1000 % 60, millis / 60_000 % 60, millis / 3_600_000);
    format!("{hours:02}:{minutes:02}:{seconds:02}{mark}{:03}", millis % 1000)
}

/// An arrow inside a cue would start a new one, and an empty line would end it.
fn cue(text: &str) -> String {
    text.trim().replace("-->", "->").replace("\n\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(lines: &[(f64, f64, &str)]) -> Transcript {
        let segments = lines.iter().enumerate().map(|(id, &(start, end, text))| Segment {
            id,
            seek: 0,
            start,
            end,
            text: text.to_owned(),
            tokens: vec![],
            temperature: 0.0,
            avg_logprob: -0.1,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            part: Part::WHOLE,
            speaker: None,
            words: vec![],
            logprobs: vec![],
            alternatives: Vec::new(),
        });
        let summary = Summary { language: "en".into(), duration: 5.0, tokens: 9 };
        Transcript {
            model: ModelName::known("m"),
            segments: segments.collect(),
            summary,
            parts: Parts::default(),
            warnings: vec![],
        }
    }

    /// The same, where the channels were heard separately.
    fn call(lines: &[(usize, f64, f64, &str)]) -> Transcript {
        let mut call = transcript(&lines.iter().map(|&(_, start, end, text)| (start, end, text)).collect::<Vec<_>>());
        for (segment, (channel, ..)) in call.segments.iter_mut().zip(lines) {
            let word = |start| Word {
                word: "a".into(),
                start,
                end: start,
                probability: 1.0,
                part: Part::channel(*channel),
                speaker: None,
            };
            segment.words = vec![word(segment.start), word(segment.end)];
            segment.part = Part::channel(*channel);
        }
        Transcript { parts: Parts::of(Part::channel(0), 2), ..call }
    }

    #[test]
    fn srt_counts_from_one_and_writes_a_comma() {
        let heard = transcript(&[(0.0, 1.5, " hello"), (3661.0015, 3662.0, " there --> now")]);
        let want = "1\n00:00:00,000 --> 00:00:01,500\nhello\n\n2\n01:01:01,002 --> 01:01:02,000\nthere -> now\n\n";
        assert_eq!(heard.srt(), want);
    }

    #[test]
    fn vtt_has_a_header_and_writes_a_point() {
        assert_eq!(transcript(&[(0.0, 0.5, " hi")]).vtt(), "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nhi\n\n");
        assert_eq!(transcript(&[]).vtt(), "WEBVTT\n\n");
    }

    #[test]
    fn tsv_counts_milliseconds_and_keeps_its_columns() {
        let heard = transcript(&[(0.0, 1.5, " hello"), (61.0015, 62.0, " two\tlines\nof text")]);
        assert_eq!(heard.tsv(), "start\tend\ttext\n0\t1500\thello\n61002\t62000\ttwo lines of text\n");
    }

    #[test]
    fn whoever_speaks_is_named_where_channels_are_told_apart() {
        let call = call(&[(0, 0.0, 1.0, " hello"), (0, 1.0, 2.5, " there"), (1, 2.0, 3.0, " hi")]);
        assert_eq!(call.text(), "[channel 0] hello there\n[channel 1] hi");
        let srt = call.srt();
        assert!(srt.contains("\n[channel 0] there\n") && srt.contains("\n[channel 1] hi\n"), "{srt}");
        assert!(call.vtt().ends_with("00:00:02.000 --> 00:00:03.000\n<v Channel 1>hi\n\n"));
        assert!(call.tsv().ends_with("2000\t3000\t[channel 1] hi\n"));
        assert_eq!(call.seconds(), 10.0);
        let words: Vec<_> = call.words().iter().map(|word| (word.start, word.part.channel)).collect();
        let both = [(0.0, Some(0)), (1.0, Some(0)), (1.0, Some(0)), (2.0, Some(1)), (2.5, Some(0)), (3.0, Some(1))];
        assert_eq!(words, both);
    }

    #[test]
    fn what_segments_add_makes_the_text() {
        let call = call(&[(1, 0.0, 1.0, " hello "), (0, 1.0, 2.5, " there"), (0, 2.0, 3.0, " hi ")]);
        let mut text = RunningText::default();
        let added: String = call.segments.iter().map(|segment| text.push(segment).to_owned()).collect();
        assert_eq!((added.trim(), text.whole()), (&*call.text(), &*call.text()));
    }

    #[test]
    fn text_joins_segments_as_the_model_spaced_them() {
        assert_eq!(transcript(&[(0.0, 1.0, " one"), (1.0, 2.0, " two")]).text(), "one two");
    }

    #[test]
    fn speakers_are_named_as_openai_does_and_as_browsers_show_it() {
        let mut talk = transcript(&[(0.0, 1.0, " Good morning."), (1.0, 2.0, " How are you?"), (2.0, 3.0, " Fine.")]);
        for (segment, speaker) in talk.segments.iter_mut().zip(["Ann", "Ann", "B"]) {
            segment.speaker = Some(speaker.to_owned());
        }
        assert_eq!(talk.text(), "Ann: Good morning. How are you?\nB: Fine.");
        assert!(talk.vtt().contains("\n<v Ann>How are you?\n") && talk.srt().contains("\nB: Fine.\n"));
        assert!(talk.tsv().ends_with("2000\t3000\tB: Fine.\n"));
    }
}
