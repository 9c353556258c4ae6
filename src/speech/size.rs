//! How much of something there is, for bounds.

use std::{
    ops::{AddAssign, SubAssign},
    time::Duration,
};

use crate::audio::Pcm;

/// What something takes in memory, and how long it sounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub bytes: usize,
    /// Zero for what is no sound.
    pub sound: Duration,
}

/// Something whose size is known.
pub trait Measured {
    fn size(&self) -> Size;
}

// === impl Size ===

impl Size {
    /// Of what has no sound in it.
    pub fn silent(bytes: usize) -> Self {
        Self { bytes, sound: Duration::ZERO }
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.sound += other.sound;
    }
}

impl SubAssign for Size {
    fn sub_assign(&mut self, other: Self) {
        self.bytes -= other.bytes;
        self.sound -= other.sound;
    }
}

// === impl Measured ===

impl Measured for Pcm {
    fn size(&self) -> Size {
        Size { bytes: size_of_val(self.samples()), sound: self.duration() }
    }
}

impl Measured for String {
    fn size(&self) -> Size {
        Size::silent(self.len())
    }
}

/// An error takes no room worth counting.
impl<M: Measured, E> Measured for Result<M, E> {
    fn size(&self) -> Size {
        self.as_ref().map_or(Size::default(), Measured::size)
    }
}
