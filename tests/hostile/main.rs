//! What outsiders send, made worse by chance: files, forms, bodies, the files of models. Nothing of it may panic, hang,
//! take memory without bound, or be answered as if the server were at fault.
//!
//! `make test` tries the same cases each time, for seconds; `make fuzz` tries new ones, for minutes.

#[path = "../support/mod.rs"]
mod support;

mod audio;
mod bodies;
mod chance;
mod growth;
mod limits;
mod models;
