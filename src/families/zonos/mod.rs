//! Zonos.

pub mod speaker;
