//! `config.json`: the sizes of a Lark, its alphabet, and its signal.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::LarkError;

/// Past any size that makes sense here: such a file is foreign or broken.
const MOST: usize = 1 << 14;

/// The file as it is; `training/lark/export.py` writes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub model_type: String,
    /// One character each; the first stands for silence at both ends, and for "nothing" in [`Letters`].
    pub symbols: Vec<char>,
    pub text: Stack,
    pub prosody: Stack,
    pub decoder: Stack,
    pub letters: Letters,
    pub pitch: Pitch,
    pub signal: Signal,
    /// What a letter is called, in symbols.
    pub letter_names: BTreeMap<char, String>,
    /// Words that sound otherwise before a vowel, in symbols.
    pub before_vowel: BTreeMap<String, String>,
    /// The symbols that are vowels.
    pub vowels: String,
}

/// The sizes of a stack of ConvNeXt blocks.
#[derive(Clone, Debug, Deserialize)]
pub struct Stack {
    pub width: usize,
    pub hidden: usize,
    /// Taps of the depthwise convolution: odd.
    pub kernel: usize,
    /// One a block.
    pub dilations: Vec<usize>,
}

/// The network from letters to symbols.
#[derive(Clone, Debug, Deserialize)]
pub struct Letters {
    /// The first stands for none.
    pub alphabet: Vec<char>,
    /// Symbols that a letter may become, at most.
    pub slots: usize,
    pub stack: Stack,
}

/// Log pitch in Hz is `centre + scale · x` for a network's `x`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Pitch {
    pub centre: f32,
    pub scale: f32,
}

/// The frames of the signal.
#[derive(Clone, Debug, Deserialize)]
pub struct Signal {
    pub sample_rate: usize,
    /// Samples of a frame's window.
    pub window: usize,
    /// Samples between frames; the window is a multiple of it.
    pub hop: usize,
    /// Frames that the networks make in one step.
    pub frames_per_step: usize,
    /// The middles of the bands in Hz, rising from 0 to half the rate. None where the networks say each bin by itself.
    pub band_centres: Vec<f32>,
    /// No harmonic lies above, in Hz.
    pub top: f32,
    /// Pitch below this is none, in Hz.
    pub voiced: f32,
}

// === impl Config ===

impl Config {
    /// Reads and checks the file.
    pub fn from_slice(json: &[u8]) -> Result<Self, LarkError> {
        let config: Self = serde_json::from_slice(json).map_err(|error| fault(&error.to_string()))?;
        if config.model_type != "lark" {
            return Err(fault(&format!("the model_type is {:?}, where \"lark\" is expected", config.model_type)));
        }
        for (name, stack) in [
            ("text", &config.text),
            ("prosody", &config.prosody),
            ("decoder", &config.decoder),
            ("letters", &config.letters.stack),
        ] {
            stack.check(name)?;
        }
        check(!config.symbols.is_empty() && config.symbols.len() <= 255, "1 to 255 symbols are expected")?;
        check((1..=8).contains(&config.letters.slots), "1 to 8 slots a letter are expected")?;
        config.signal.check()?;
        config.signal.check_bands()?;
        Ok(config)
    }
}

impl Stack {
    pub fn check(&self, name: &str) -> Result<(), LarkError> {
        let sizes = [self.width, self.hidden, self.kernel];
        let sane = sizes.iter().all(|size| (1..=MOST).contains(size)) && self.dilations.len() <= 64;
        let dilated = self.dilations.iter().all(|dilation| (1..=64).contains(dilation));
        check(sane && dilated && self.kernel % 2 == 1, &format!("the sizes of {name} are out of range: {self:?}"))
    }

    /// Steps to either side that a step's output depends on.
    pub fn reach(&self) -> usize {
        self.dilations.iter().map(|dilation| dilation * (self.kernel / 2)).sum()
    }
}

impl Signal {
    pub fn check(&self) -> Result<(), LarkError> {
        let whole = self.hop > 0 && self.window.is_multiple_of(2 * self.hop) && (2..=MOST).contains(&self.window);
        check(whole, "the window must be a multiple of two hops")?;
        check((8_000..=96_000).contains(&self.sample_rate), "a sample_rate of 8000 to 96000 is expected")?;
        check((1..=8).contains(&self.frames_per_step), "1 to 8 frames_per_step are expected")?;
        check(self.voiced >= 20.0 && self.top > self.voiced, "voiced must be at least 20 Hz, and top above it")
    }

    fn check_bands(&self) -> Result<(), LarkError> {
        let centres = &self.band_centres;
        let rising = centres.windows(2).all(|pair| pair[0] < pair[1]);
        check(
            (2..=MOST).contains(&centres.len()) && rising && centres[0] == 0.0,
            "band_centres must rise from 0, and be two or more",
        )
    }

    pub fn bins(&self) -> usize {
        self.window / 2 + 1
    }

    pub fn bands(&self) -> usize {
        self.band_centres.len()
    }
}

fn check(holds: bool, reason: &str) -> Result<(), LarkError> {
    if holds { Ok(()) } else { Err(fault(reason)) }
}

fn fault(reason: &str) -> LarkError {
    LarkError::Config(reason.to_owned())
}
