//! Models of a published shape with random weights: what they take says what the published ones take.

use std::{io, path::Path};

/// One of them. What it says means nothing.
pub trait RandomModel: Sync {
    /// Writes its files into an empty folder. Equal seeds write alike.
    fn write(&self, folder: &Path, seed: u64) -> io::Result<()>;

    /// What a request has to say beside what every one says, names and values, so that random weights have as much to do as
    /// trained ones.
    fn fields(&self) -> &'static [(&'static str, &'static str)];

    /// Seconds of a recording of which that is true.
    fn longest_sound(&self) -> f64;
}
