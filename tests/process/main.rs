//! The program as a process: ports, signals, exit codes, and what it prints.

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod clients;
mod clocks;
mod commands;
mod container;
mod convert;
mod cut;
mod derived;
mod jobs;
mod keys;
mod libraries;
mod log;
mod memory;
mod pages;
mod parts;
mod program;
mod reload;
mod roll;
mod secrets;
mod sources;
mod speak;
mod start;
mod stop;
mod store;
mod switch;
mod systemd;
mod traces;
mod turns;
mod voices;
mod workers;
