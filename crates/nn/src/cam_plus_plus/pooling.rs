//! Statistics over time.

use candle_core::{Result, Tensor};

/// How many times as many numbers come out as a frame has.
pub const WIDENS: usize = 2;

/// `[frames, channels]`, at least two frames → `[1, 2 * channels]`: means, then standard deviations of the sample.
pub fn mean_and_deviation(x: &Tensor) -> Result<Tensor> {
    Tensor::cat(&[x.mean_keepdim(0)?, x.var_keepdim(0)?.sqrt()?], 1)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() -> Result<()> {
        let x = Tensor::new(&[[1f32, 4.0], [2.0, 4.0], [6.0, 4.0]], &Device::Cpu)?;
        assert_eq!(mean_and_deviation(&x)?.to_vec2::<f32>()?, [[3.0, 4.0, 7f32.sqrt(), 0.0]]);
        Ok(())
    }
}
