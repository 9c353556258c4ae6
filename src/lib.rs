//! Sconce: one container that serves speech and music models, and loads them the way production asks.
//!
//! The modules form layers, lowest first; a request flows down and its answer flows back up, and nobody imports
//! upwards (`tests/architecture` holds the table). `docs/ARCHITECTURE.md` is the map.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]
#![deny(unsafe_code)] // what needs it says `allow` and why; `tests/architecture` lists the homes
#![warn(clippy::print_stdout, clippy::print_stderr)] // the log is for the server, the command line for people

pub mod app;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod families;
pub mod http;
pub mod jobs;
pub mod lifecycle;
pub mod listening;
pub mod model;
pub mod process;
pub mod remote;
pub mod runtime;
pub mod service;
pub mod speech;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod wyoming;

// Crates of their own, so that what computes is built optimised in tests too, and seldom.
pub use sconce_audio as audio;
pub use sconce_nn as nn;

/// A model step allocates and frees the same large buffers again and again; glibc gives them back to the kernel each
/// time and pays for every page when it takes them again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
