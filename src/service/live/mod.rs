//! Hearing while somebody speaks: sound in, items and their texts out. Knows no protocol.
//!
//! What is decided is apart from what is done: `turns` says where items end, `agreement` which words are certain,
//! `pace` how fast sound may come, and `session` has the model hear what they point at, as requests like any other; `stream` is
//! how a model hears that takes sound as it comes.

mod agreement;
mod config;
mod error;
mod hearing;
mod line;
mod metrics;
mod pace;
mod partials;
mod room;
mod session;
mod stream;
mod turns;

pub use self::{
    config::LiveConfig,
    error::LiveError,
    metrics::LiveEnd,
    room::NoPlace,
    session::{LiveAsk, LiveEvent, LiveSession, Reading},
    turns::{ItemId, ItemLimit, TurnError},
};
pub(super) use self::{metrics::LiveMetrics, room::LiveRoom};
