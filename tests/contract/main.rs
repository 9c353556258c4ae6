//! The contract between the server and a family that makes sound, proven by the family of tones, through the real
//! service, lifecycle and runtime.

#[path = "../../examples/tone/family/mod.rs"]
mod family;

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod lengths;
mod live;
mod loudness;
mod misbehaviour;
mod page;
mod protocols;
mod songs;
mod speaking;
mod stage;
