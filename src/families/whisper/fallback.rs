//! When a text looks wrong, and how to try again: repetitive or improbable texts are decoded anew, each time with a
//! higher temperature.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

/// Tried in turn.
const TEMPERATURES: [f32; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];

/// Beyond which a text is not believed; `None` believes it whatever the value.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// More repetitive than this: decoded anew.
    pub compression_ratio: Option<f32>,
    /// Less probable than this: decoded anew, or taken for silence.
    pub logprob: Option<f32>,
    /// More likely silent than this, and improbable: nothing was said.
    pub no_speech: Option<f32>,
}

/// How far the text of a window can be believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Bytes of the text over bytes of it compressed.
    pub compression_ratio: f32,
    /// Mean over the tokens and the end, natural logarithm.
    pub avg_logprob: f32,
    /// 0 where the model does not say.
    pub no_speech_prob: f32,
}

// === impl Thresholds ===

impl Thresholds {
    pub fn believable(&self, quality: &Quality) -> bool {
        let improbable = self.improbable(quality);
        let repetitive = self.compression_ratio.is_some_and(|most| quality.compression_ratio > most);
        (!repetitive && !improbable) || (improbable && self.no_speech_likely(quality))
    }

    /// Whether the window is to be passed over.
    pub fn silent(&self, quality: &Quality) -> bool {
        self.no_speech_likely(quality) && self.logprob.is_none_or(|least| quality.avg_logprob <= least)
    }

    fn improbable(&self, quality: &Quality) -> bool {
        self.logprob.is_some_and(|least| quality.avg_logprob < least)
    }

    fn no_speech_likely(&self, quality: &Quality) -> bool {
        self.no_speech.is_some_and(|most| quality.no_speech_prob > most)
    }
}

/// The temperatures to try. A temperature above 0 that the caller chose is the only one: OpenAI's API says that only at
/// 0 does the model raise it by itself.
pub fn temperatures(chosen: Option<f32>) -> Vec<f32> {
    match chosen {
        Some(temperature) if temperature > 0.0 => vec![temperature],
        _ => TEMPERATURES.to_vec(),
    }
}

/// How much shorter a text gets by zlib at its default level: a text that goes in circles has a high ratio.
pub fn compression_ratio(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    let compressed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    compressed.map_or(0.0, |compressed| (text.len() as f64 / compressed.len() as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Thresholds = Thresholds { compression_ratio: Some(2.4), logprob: Some(-1.0), no_speech: Some(0.6) };

    fn quality(compression_ratio: f32, avg_logprob: f32, no_speech_prob: f32) -> Quality {
        Quality { compression_ratio, avg_logprob, no_speech_prob }
    }

    #[test]
    fn repetitive_and_improbable_texts_are_tried_again_unless_nothing_was_said() {
        for (given, believable, silent) in [
            (quality(1.5, -0.3, 0.0), true, false),
            (quality(2.5, -0.3, 0.0), false, false),
            (quality(1.5, -1.2, 0.0), false, false),
            (quality(1.5, -1.2, 0.7), true, true),
            (quality(2.5, -1.2, 0.7), true, true),
            (quality(2.5, -0.3, 0.7), false, false),
            (quality(1.5, -0.3, 0.9), true, false),
        ] {
            assert_eq!(DEFAULT.believable(&given), believable, "{given:?}");
            assert_eq!(DEFAULT.silent(&given), silent, "{given:?}");
        }
    }

    #[test]
    fn thresholds_can_be_left_out() {
        let none = Thresholds { compression_ratio: None, logprob: None, no_speech: None };
        assert!(none.believable(&quality(9.0, -9.0, 1.0)));
        assert!(!none.silent(&quality(9.0, -9.0, 1.0)));
        let only_silence = Thresholds { no_speech: Some(0.6), ..none };
        assert!(only_silence.silent(&quality(1.0, -0.1, 0.7)));
    }

    #[test]
    fn ratios_are_those_of_python() {
        #[derive(serde::Deserialize)]
        struct Case {
            text: String,
            bytes: usize,
            compressed: usize,
        }
        for case in super::super::fixtures::read::<Vec<Case>>("compression.json") {
            let expected = case.bytes as f32 / case.compressed as f32;
            assert_eq!(compression_ratio(&case.text), expected, "{:?}", case.text);
        }
    }

    #[test]
    fn a_chosen_temperature_is_the_only_one() {
        assert_eq!(temperatures(Some(0.3)), [0.3]);
        assert_eq!(temperatures(Some(0.0)), TEMPERATURES);
        assert_eq!(temperatures(None), TEMPERATURES);
    }
}
