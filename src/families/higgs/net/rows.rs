//! Rows of text and rows of sound among each other.

use candle_core::{Result, Tensor};

/// A stretch of what the network reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Tokens.
    Text(Vec<u32>),
    /// Columns of codes, each book later than the one before: `[columns, books]`.
    Audio(Vec<u32>),
}

/// Which rows are of sound.
#[derive(Debug)]
pub enum Rows {
    /// Every row: a step.
    Audio,
    Mixed {
        /// `[rows]` each: those of text, those of sound, and where each row lies when the latter follow the former.
        text: Tensor,
        audio: Tensor,
        back: Tensor,
    },
    Text,
}

// === impl Rows ===

impl Rows {
    /// `is_audio`: of each row.
    pub fn new(is_audio: &[bool], like: &Tensor) -> Result<Self> {
        let of = |audio: bool| -> Vec<u32> {
            let rows = is_audio.iter().enumerate().filter(|(_, is_audio)| **is_audio == audio);
            rows.map(|(at, _)| at as u32).collect()
        };
        let (text, audio) = (of(false), of(true));
        if text.is_empty() {
            return Ok(Self::Audio);
        }
        if audio.is_empty() {
            return Ok(Self::Text);
        }
        let mut back = vec![0u32; is_audio.len()];
        for (place, &row) in text.iter().chain(&audio).enumerate() {
            back[row as usize] = place as u32;
        }
        let tensor = |rows: Vec<u32>| Tensor::new(rows, like.device());
        Ok(Self::Mixed { text: tensor(text)?, audio: tensor(audio)?, back: tensor(back)? })
    }

    /// Has rows of text go one way and rows of sound the other, `[rows, width]`.
    pub fn apart(
        &self,
        x: &Tensor,
        of_text: impl FnOnce(&Tensor) -> Result<Tensor>,
        of_audio: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        match self {
            Self::Audio => of_audio(x),
            Self::Text => of_text(x),
            Self::Mixed { text, audio, back } => {
                let (text, audio) = (of_text(&x.index_select(text, 0)?)?, of_audio(&x.index_select(audio, 0)?)?);
                Tensor::cat(&[text, audio], 0)?.index_select(back, 0)
            }
        }
    }
}
