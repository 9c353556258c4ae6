//! The machine in a world of its own: sentences first, then random orders of events with a checker of the promises, then
//! crowds of clients over time.

mod configuration;
mod fairness;
mod random;
mod sentences;
mod switches;
mod updates;
mod warmth;
mod world;
