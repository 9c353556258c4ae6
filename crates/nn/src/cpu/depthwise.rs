//! Frames weighed channel by channel and added up.

use super::simd::{Lanes, vectorised};

vectorised! {
    /// Adds to each frame of `out` the `taps` frames from the same place on, each weighed channel by channel. `weights`:
    /// `[taps, channels]`.
    pub fn weigh_frames(frames: &[f32], weights: &[f32], channels: usize, out: &mut [f32]) = weigh_frames_there
}

#[inline(always)]
unsafe fn weigh_frames_there<V: Lanes>(frames: &[f32], weights: &[f32], channels: usize, out: &mut [f32]) {
    let (count, taps) = (out.len() / channels, weights.len() / channels);
    assert!(count == 0 || (count + taps - 1) * channels <= frames.len(), "there are too few frames");
    let whole = channels - channels % V::WIDTH;
    for (frame, out) in out.chunks_exact_mut(channels).enumerate() {
        let frames = &frames[frame * channels..];
        for channel in (0..whole).step_by(V::WIDTH) {
            // SAFETY: as the caller's; every row has a whole vector from here on.
            unsafe {
                let mut sum = V::load(out.as_ptr().add(channel));
                for tap in 0..taps {
                    let at = tap * channels + channel;
                    sum = V::fma(V::load(weights.as_ptr().add(at)), V::load(frames.as_ptr().add(at)), sum);
                }
                V::store(sum, out.as_mut_ptr().add(channel));
            }
        }
        for (channel, out) in out.iter_mut().enumerate().skip(whole) {
            let at = |tap: usize| tap * channels + channel;
            *out += (0..taps).map(|tap| weights[at(tap)] * frames[at(tap)]).sum::<f32>();
        }
    }
}
