//! Stub.

pub mod flow;
