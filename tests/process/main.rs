//! The program as a process: ports, signals, exit codes, and what it prints.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod program;
mod start;
mod stop;
