//! A whole transcription, and the text formats that it is written in.

use std::fmt::Write;

use super::{Logprob, ModelName, Segment, Summary, Warning, Word};

/// All that was heard in one recording.
#[derive(Clone, Debug)]
pub struct Transcript {
    pub model: ModelName,
    pub segments: Vec<Segment>,
    pub summary: Summary,
    pub warnings: Vec<Warning>,
}

impl Transcript {
    /// The text of all segments, without the space that the first one begins with.
    pub fn text(&self) -> String {
        let text: String = self.segments.iter().map(|segment| segment.text.as_str()).collect();
        text.trim().to_owned()
    }

    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.segments.iter().flat_map(|segment| &segment.words)
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
            let _ = write!(srt, "{}\n{start} --> {end}\n{}\n\n", index + 1, cue(&segment.text));
        }
        srt
    }

    /// WebVTT, as browsers read it.
    pub fn vtt(&self) -> String {
        let mut vtt = "WEBVTT\n\n".to_owned();
        for segment in &self.segments {
            let (start, end) = (clock(segment.start, '.'), clock(segment.end, '.'));
            let _ = write!(vtt, "{start} --> {end}\n{}\n\n", cue(&segment.text));
        }
        vtt
    }

    /// Columns between tabs, as openai-whisper writes them: the start and the end in milliseconds, and the text.
    pub fn tsv(&self) -> String {
        let mut tsv = "start\tend\ttext\n".to_owned();
        for segment in &self.segments {
            let text = segment.text.trim().replace(['\t', '\n'], " ");
            let _ = writeln!(tsv, "{}\t{}\t{text}", millis(segment.start), millis(segment.end));
        }
        tsv
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
            words: vec![],
            logprobs: vec![],
            alternatives: Vec::new(),
        });
        let summary = Summary { language: "en".into(), duration: 5.0, tokens: 9 };
        Transcript { model: ModelName::known("m"), segments: segments.collect(), summary, warnings: vec![] }
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
    fn text_joins_segments_as_the_model_spaced_them() {
        assert_eq!(transcript(&[(0.0, 1.0, " one"), (1.0, 2.0, " two")]).text(), "one two");
    }
}
