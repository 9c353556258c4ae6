//! The machine in a world of its own: sentences first, then random orders of events with a checker of the promises.

mod random;
mod sentences;
mod world;
