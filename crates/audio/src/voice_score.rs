//! How certain it is that somebody speaks: what those who know it have in common.

/// Tells how certain it is that somebody speaks, moment by moment, of sound that comes in piece by piece. How it is cut into
/// pieces makes no difference.
pub trait VoiceScore: Send {
    /// Listens to what follows. Tells of each moment that is whole by now, from 0, surely no speech, to 1, surely speech.
    fn push(&mut self, samples: &[f32], tell: &mut dyn FnMut(f32));

    /// Where a moment begins, counted from 0, in samples from the beginning.
    fn position(&self, moment: u64) -> u64;

    /// So many moments in a row are speech; fewer are a click.
    fn shortest(&self) -> u64;
}
