//! Short-time Fourier transforms, and back, as products with matrices: for windows so short that a fast transform would
//! save nothing, or beside networks that take longer, on whatever device they are.
//!
//! Conventions are those of `torch.stft(center=True, pad_mode="reflect")` and `torch.istft`: frame `t` is centred on sample
//! `t × hop`, and what lies beyond the ends is the mirror image of what lies inside.

use std::f64::consts::TAU;

use candle_core::{Result, Tensor};

use super::{
    context::ComputeContext,
    linear::{Epilogue, Linear},
};

/// Transforms with one window.
#[derive(Debug)]
pub struct MatrixStft {
    /// Samples of a frame to its spectrum, with the window.
    analysis: Linear,
    inverse: InverseMatrixStft,
}

/// The way back alone.
#[derive(Debug)]
pub struct InverseMatrixStft {
    /// A spectrum to the samples of its frame, with the window.
    synthesis: Linear,
    window: Vec<f32>,
    hop: usize,
    context: ComputeContext,
}

// === impl MatrixStft ===

impl MatrixStft {
    /// With a periodic Hann window of `size` samples, an even multiple of `hop`.
    pub fn hann(size: usize, hop: usize, context: &ComputeContext) -> Result<Self> {
        Self::new((0..size).map(|n| (0.5 - 0.5 * (TAU * n as f64 / size as f64).cos()) as f32).collect(), hop, context)
    }

    /// `hop` divides half of the window's length.
    pub fn new(window: Vec<f32>, hop: usize, context: &ComputeContext) -> Result<Self> {
        let (size, analysed) = (window.len(), analysis(&window));
        let inverse = InverseMatrixStft::new(window, hop, context)?;
        Ok(Self { analysis: Linear::new(&[analysed.into()], None, size, context)?, inverse })
    }

    /// `[samples]`, more than half a window → `[1 + samples / hop, size + 2]`: in each row the real parts of all bins, then
    /// the imaginary ones.
    pub fn forward(&self, samples: &Tensor) -> Result<Tensor> {
        let InverseMatrixStft { window, hop, .. } = &self.inverse;
        let frames = 1 + samples.dim(0)? / hop;
        let padded = mirrored(samples, window.len() / 2)?;
        let part = |at| padded.narrow(0, at * hop, frames * hop)?.reshape((frames, *hop));
        let parts = (0..self.inverse.hops()).map(part).collect::<Result<Vec<_>>>()?;
        self.analysis.forward(&Tensor::cat(&parts, 1)?, Epilogue::None)
    }

    /// The reverse: `[frames, size + 2]`, two or more → `[(frames - 1) * hop]`.
    pub fn inverse(&self, spectrum: &Tensor) -> Result<Tensor> {
        self.inverse.centred(spectrum)
    }
}

// === impl InverseMatrixStft ===

impl InverseMatrixStft {
    /// `hop` divides half of the window's length.
    pub fn new(window: Vec<f32>, hop: usize, context: &ComputeContext) -> Result<Self> {
        let size = window.len();
        if hop == 0 || size == 0 || !size.is_multiple_of(2 * hop) {
            candle_core::bail!("a window of {size} samples is not an even multiple of {hop} samples");
        }
        let synthesis = Linear::new(&[synthesis(&window).into()], None, size + 2, context)?;
        Ok(Self { synthesis, window, hop, context: context.clone() })
    }

    pub fn hop(&self) -> usize {
        self.hop
    }

    /// `[frames, size + 2]`, two or more → `[(frames - 1) * hop]`: frame `t` is centred on sample `t × hop`.
    pub fn centred(&self, spectrum: &Tensor) -> Result<Tensor> {
        let hops = spectrum.dim(0)?.saturating_sub(1);
        self.samples(spectrum, self.window.len() / 2, hops * self.hop)
    }

    /// `[frames, size + 2]` → `[frames * hop]`: a hop for each frame, in its middle.
    pub fn same(&self, spectrum: &Tensor) -> Result<Tensor> {
        self.samples(spectrum, (self.window.len() - self.hop) / 2, spectrum.dim(0)? * self.hop)
    }

    /// `count` samples from `start` on, where 0 is the first of the first frame.
    fn samples(&self, spectrum: &Tensor, start: usize, count: usize) -> Result<Tensor> {
        let (frames, hops) = (spectrum.dim(0)?, self.hops());
        let parts = self.synthesis.forward(spectrum, Epilogue::None)?;
        // Hop `k` of frame `t` falls on hop `t + k` of the sum.
        let mut sum = parts.narrow(1, 0, self.hop)?.pad_with_zeros(0, 0, hops - 1)?;
        for at in 1..hops {
            let part = parts.narrow(1, at * self.hop, self.hop)?;
            sum = (sum + part.pad_with_zeros(0, at, hops - 1 - at)?)?;
        }
        let sum = sum.flatten_all()?.narrow(0, start, count)?;
        sum * self.context.tensor(self.scales(frames, start, count), &[count])?
    }

    fn hops(&self) -> usize {
        self.window.len() / self.hop
    }

    /// One over the sum of the squares of all windows that fall on a sample.
    fn scales(&self, frames: usize, start: usize, count: usize) -> Vec<f32> {
        let hops = self.hops();
        let scale = |sample: usize| {
            let windows = (sample / self.hop).saturating_sub(hops - 1)..frames.min(sample / self.hop + 1);
            1.0 / windows.map(|frame| self.window[sample - frame * self.hop].powi(2)).sum::<f32>()
        };
        (start..start + count).map(scale).collect()
    }
}

/// `[size + 2, size]`: cosines, then sines turned round.
fn analysis(window: &[f32]) -> Vec<f32> {
    let size = window.len();
    let row = |(bin, turn): (usize, f64)| {
        window.iter().enumerate().map(move |(n, weight)| {
            let angle = TAU * ((bin * n) % size) as f64 / size as f64 + turn;
            (angle.cos() * f64::from(*weight)) as f32
        })
    };
    let bins = 0..size / 2 + 1;
    // cos(angle + TAU / 4) = -sin(angle)
    bins.clone().map(|bin| (bin, 0.0)).chain(bins.map(|bin| (bin, TAU / 4.0))).flat_map(row).collect()
}

/// `[size, size + 2]`: the reverse, where all bins but the first and the last stand for two.
fn synthesis(window: &[f32]) -> Vec<f32> {
    let (size, last) = (window.len(), window.len() / 2);
    let row = |(n, weight): (usize, &f32)| {
        let weight = f64::from(*weight) / size as f64;
        (0..size + 2).map(move |column| {
            let (bin, turn) = if column > last { (column - last - 1, TAU / 4.0) } else { (column, 0.0) };
            let twice = if bin == 0 || bin == last { 1.0 } else { 2.0 };
            // What is imaginary at both ends is nothing in a real signal.
            let counts = if twice == 1.0 && turn > 0.0 { 0.0 } else { twice };
            let angle = TAU * ((bin * n) % size) as f64 / size as f64 + turn;
            (angle.cos() * weight * counts) as f32
        })
    };
    window.iter().enumerate().flat_map(row).collect()
}

/// With the mirror images of `margin` samples at either end; the end samples themselves are not repeated.
fn mirrored(samples: &Tensor, margin: usize) -> Result<Tensor> {
    let count = samples.dim(0)?;
    if count <= margin {
        candle_core::bail!("{count} samples are too few for a window of {}", 2 * margin);
    }
    let indices = |of: Vec<u32>| Tensor::from_vec(of, margin, samples.device());
    let before = indices((1..=margin as u32).rev().collect())?;
    let after = indices(((count - 1 - margin) as u32..count as u32 - 1).rev().collect())?;
    Tensor::cat(&[&samples.index_select(&before, 0)?, samples, &samples.index_select(&after, 0)?], 0)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn signal(count: usize) -> Vec<f32> {
        (0..count).map(|n| ((n * n * 37 % 101) as f32 / 50.0) - 1.0).collect()
    }

    fn context(kernels: bool) -> ComputeContext {
        let own = ComputeContext::new(&Device::Cpu, DType::F32);
        if kernels { own } else { ComputeContext { kernels: None, ..own } }
    }

    #[test]
    fn a_spectrum_is_the_definition() -> Result<()> {
        let (size, hop, samples) = (16, 4, signal(41));
        let mirror = |at: isize| samples[if at < 0 { -at } else { at.min(80 - at) } as usize];
        for kernels in [true, false] {
            let stft = MatrixStft::hann(size, hop, &context(kernels))?;
            let spectrum = stft.forward(&Tensor::new(samples.as_slice(), &Device::Cpu)?)?.to_vec2::<f32>()?;
            assert_eq!((spectrum.len(), spectrum[0].len()), (11, 18));
            for (t, row) in spectrum.iter().enumerate() {
                for bin in 0..9 {
                    let (mut re, mut im) = (0.0, 0.0);
                    for n in 0..size {
                        let angle = TAU * n as f64 / size as f64;
                        let x = f64::from(mirror((t * hop + n) as isize - 8)) * (0.5 - 0.5 * angle.cos());
                        re += x * (angle * bin as f64).cos();
                        im -= x * (angle * bin as f64).sin();
                    }
                    let found = (f64::from(row[bin]), f64::from(row[9 + bin]));
                    assert!(
                        (found.0 - re).abs() < 1e-3 && (found.1 - im).abs() < 1e-3,
                        "{t}, {bin}: {found:?}, not {re} {im}"
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn there_and_back_is_the_signal() -> Result<()> {
        for (size, hop, count) in [(16, 4, 400), (8, 2, 6), (12, 6, 60), (4, 2, 4)] {
            for kernels in [true, false] {
                let stft = MatrixStft::hann(size, hop, &context(kernels))?;
                let samples = Tensor::new(signal(count), &Device::Cpu)?;
                let back = stft.inverse(&stft.forward(&samples)?)?;
                let difference = (back - samples)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-3, "{size}, {hop}, {count}: {difference}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() -> Result<()> {
        assert!(MatrixStft::hann(16, 5, &context(true)).is_err());
        assert!(MatrixStft::hann(16, 0, &context(true)).is_err());
        let stft = MatrixStft::hann(16, 4, &context(true))?;
        assert!(stft.forward(&Tensor::new(signal(8), &Device::Cpu)?).is_err());
        assert_eq!(stft.inverse(&Tensor::zeros((1, 18), DType::F32, &Device::Cpu)?)?.dims(), [0]);
        Ok(())
    }
}
