//! Codes to sound, all at once or as they come.

use candle_core::{DType, Result, Tensor};

use super::{super::dac::decoder::DecoderState, codec::XCodec};

/// A sound whose codes come bit by bit: what the layers of the decoder remember of it.
#[derive(Clone, Debug, Default)]
pub struct XCodecStream(Option<DecoderState>);

// === impl XCodec ===

impl XCodec {
    /// The samples of `[frames, books]`, [`Self::hop`] a frame.
    ///
    /// # Errors
    /// For codes that no book has, and a last frame that has too few.
    pub fn decode(&self, codes: &[u32]) -> Result<Vec<f32>> {
        let mut stream = XCodecStream::new();
        let mut sound = stream.push(self, codes)?;
        sound.extend(stream.finish(self)?);
        Ok(sound)
    }
}

// === impl XCodecStream ===

impl XCodecStream {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds whole frames, and gives what no further one can change: it lags by the frames after a frame that it depends on
    /// ([`XCodec::reach`]). Nothing is computed twice, however few frames come at once.
    ///
    /// # Errors
    /// As [`XCodec::decode`]; nothing is added then.
    pub fn push(&mut self, codec: &XCodec, codes: &[u32]) -> Result<Vec<f32>> {
        let frames = codec.quantizer.frames(codes)?;
        let mut sound = Vec::with_capacity(frames * codec.hop());
        for codes in codes.chunks(codec.step * codec.books()) {
            let vectors = codec.quantizer.decode(codes, &codec.context)?;
            self.extend(codec, Some(vectors), &mut sound)?;
        }
        Ok(sound)
    }

    /// The rest of the sound, after the last frame.
    pub fn finish(mut self, codec: &XCodec) -> Result<Vec<f32>> {
        let mut sound = Vec::new();
        self.extend(codec, None, &mut sound)?;
        Ok(sound)
    }

    /// `None`: there are no more.
    fn extend(&mut self, codec: &XCodec, vectors: Option<Tensor>, sound: &mut Vec<f32>) -> Result<()> {
        let state = self.0.get_or_insert_with(|| codec.decoder.begin());
        let last = vectors.is_none();
        if let Some(samples) = codec.decoder.extend(state, vectors, last)? {
            sound.extend(samples.to_dtype(DType::F32)?.to_vec1::<f32>()?);
        }
        Ok(())
    }
}
