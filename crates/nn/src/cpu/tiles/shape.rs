//! The sizes of tiles, and of what is multiplied at once.

/// Numbers along the depth of a tile.
pub const CHUNK: usize = 32;

/// Rows of a tile.
pub const TILE: usize = 16;

/// Rows that are multiplied at once.
pub const BLOCK: usize = 2 * TILE;

/// Pairs of numbers, aligned to a line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Tile(pub [u32; TILE * TILE]);

pub const NO_TILE: Tile = Tile([0; TILE * TILE]);
