//! How much a lossy format spends.

/// Bits per second that a lossy format spends on speech: about what the codec's own defaults are, and never so few that
/// the codec is what one hears.
pub(super) fn bit_rate(rate: u32, channels: usize) -> u32 {
    let first = if rate <= 12_000 {
        32_000
    } else if rate <= 24_000 {
        64_000
    } else {
        96_000
    };
    if channels == 1 { first } else { first * 3 / 2 }
}
