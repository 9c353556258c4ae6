//! `preprocessor_config.json`: whether the checkpoint hears as Whisper does.

use serde::Deserialize;

use super::{config::Config, segments::FRAMES_PER_STEP, transcription_options::SAMPLE_RATE};
use crate::model::{LoadError, ModelFiles};

const FILE: &str = "preprocessor_config.json";

/// Of what spectra are made, which a checkpoint has learned to hear.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SpectrumOf {
    /// Of the whole recording, as openai-whisper and faster-whisper make them: windows are cut out of it, scaled by its
    /// loudest value, and hear what lies around them. After its end the spectrum is 0.
    #[default]
    Recording,
    /// Of each window by itself, with silence after the recording's end, as transformers makes them.
    Window,
}

/// Fields of `WhisperFeatureExtractor` that change what is heard; absent ones are as in Whisper.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Preprocessor {
    feature_size: Option<usize>,
    sampling_rate: Option<usize>,
    n_fft: Option<usize>,
    hop_length: Option<usize>,
    /// Seconds.
    chunk_length: Option<f64>,
    padding_value: Option<f64>,
    do_normalize: Option<bool>,
    /// Not transformers': what it does by itself stands in no file.
    spectrum_of: Option<SpectrumOf>,
}

/// Refuses a checkpoint that wants other spectra than those that are made here.
pub fn check(files: &ModelFiles, part: &str, config: &Config) -> Result<SpectrumOf, LoadError> {
    let Some(preprocessor) = files.optional_json::<Preprocessor>(part, FILE)? else { return Ok(SpectrumOf::default()) };
    preprocessor.check(config)?;
    Ok(preprocessor.spectrum_of.unwrap_or_default())
}

// === impl Preprocessor ===

impl Preprocessor {
    fn check(&self, config: &Config) -> Result<(), LoadError> {
        let window = (config.max_source_positions * FRAMES_PER_STEP) as f64 / 100.0;
        same("feature_size", self.feature_size, config.num_mel_bins)?;
        same("sampling_rate", self.sampling_rate, SAMPLE_RATE as usize)?;
        same("n_fft", self.n_fft, 400)?;
        same("hop_length", self.hop_length, 160)?;
        same("chunk_length", self.chunk_length, window)?;
        same("padding_value", self.padding_value, 0.0)?;
        same("do_normalize", self.do_normalize, false)
    }
}

fn same<T: PartialEq + std::fmt::Display>(field: &str, given: Option<T>, needed: T) -> Result<(), LoadError> {
    match given {
        Some(given) if given != needed => Err(LoadError::Malformed {
            file: FILE.to_owned(),
            reason: format!("{field} is {given}, and this model needs {needed}"),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Location;

    fn checked(json: &'static str) -> Result<SpectrumOf, LoadError> {
        let mut files = ModelFiles::default();
        files.insert("model", FILE, Location::Embedded(json.as_bytes()));
        check(&files, "model", &super::super::fixtures::config())
    }

    #[test]
    fn whispers_own_numbers_pass_and_so_does_silence_about_them() {
        checked(r#"{"feature_size": 80, "hop_length": 160, "n_fft": 400, "sampling_rate": 16000, "chunk_length": 2}"#)
            .unwrap();
        let silent = checked(r#"{"padding_side": "right", "feature_size": null}"#).unwrap();
        assert_eq!(silent, SpectrumOf::Recording);
        assert_eq!(checked(r#"{"spectrum_of": "window"}"#).unwrap(), SpectrumOf::Window);
        check(&ModelFiles::default(), "model", &super::super::fixtures::config()).unwrap();
    }

    #[test]
    fn another_configuration_is_refused_by_field_and_value() {
        for (json, said) in [
            (r#"{"feature_size": 128}"#, "feature_size is 128, and this model needs 80"),
            (r#"{"hop_length": 200}"#, "hop_length is 200, and this model needs 160"),
            (r#"{"chunk_length": 30}"#, "chunk_length is 30, and this model needs 2"),
            (r#"{"do_normalize": true}"#, "do_normalize is true, and this model needs false"),
            (r#"{"spectrum_of": "sound"}"#, "`recording` or `window`"),
        ] {
            let error = checked(json).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(FILE), "{error}");
        }
    }
}
