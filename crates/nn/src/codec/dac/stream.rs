//! Codes to sound, all at once or as they come.

use candle_core::{DType, Result, Tensor};

use super::{codec::Dac, decoder::DecoderState};

/// A sound whose codes come bit by bit: what the layers of the decoder remember of it.
#[derive(Clone, Debug, Default)]
pub struct DacStream(Option<DecoderState>);

// === impl Dac ===

impl Dac {
    /// The samples of `[frames, books]`, [`Self::hop`] a frame. (Where a stage goes up by an odd number, as none of the
    /// published ones of 44.1 kHz does, a sound is a few samples shorter.)
    ///
    /// # Errors
    /// For codes that no book has, and a last frame that has too few.
    pub fn decode(&self, codes: &[u32]) -> Result<Vec<f32>> {
        let mut stream = DacStream::new();
        let mut sound = stream.push(self, codes)?;
        sound.extend(stream.finish(self)?);
        Ok(sound)
    }
}

// === impl DacStream ===

impl DacStream {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds whole frames, and gives what no further one can change: it lags by the frames after a frame that it depends on
    /// ([`Dac::reach`]). Nothing is computed twice, however few frames come at once; some at once are faster than each alone.
    ///
    /// # Errors
    /// As [`Dac::decode`]; nothing is added then.
    pub fn push(&mut self, dac: &Dac, codes: &[u32]) -> Result<Vec<f32>> {
        let frames = dac.quantizer.frames(codes)?;
        let mut sound = Vec::with_capacity(frames * dac.hop());
        for codes in codes.chunks(dac.step * dac.books()) {
            let vectors = dac.quantizer.decode(codes, &dac.context)?;
            self.extend(dac, Some(vectors), &mut sound)?;
        }
        Ok(sound)
    }

    /// The rest of the sound, after the last frame.
    pub fn finish(mut self, dac: &Dac) -> Result<Vec<f32>> {
        let mut sound = Vec::new();
        self.extend(dac, None, &mut sound)?;
        Ok(sound)
    }

    /// `None`: there are no more.
    fn extend(&mut self, dac: &Dac, vectors: Option<Tensor>, sound: &mut Vec<f32>) -> Result<()> {
        let state = self.0.get_or_insert_with(|| dac.decoder.begin());
        let last = vectors.is_none();
        if let Some(samples) = dac.decoder.extend(state, vectors, last)? {
            sound.extend(samples.to_dtype(DType::F32)?.to_vec1::<f32>()?);
        }
        Ok(())
    }
}
