//! Wyoming, the protocol of Home Assistant's voice: events over TCP, each a line of JSON and what it announces. It has no
//! keys, so it is off unless somebody gives it a port.
//!
//! `frame` reads and writes events, within bounds; `event` says what clients mean by them; `info` what there is here;
//! and `connection` does it, by the same service that HTTP asks.

mod config;
mod connection;
mod event;
mod frame;
mod info;
mod listen;
mod server;
mod speak;

pub use self::{config::Config, server::serve};
