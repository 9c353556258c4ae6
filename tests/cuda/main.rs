//! The program built for CUDA, on a machine without a GPU: against a driver that computes nothing and counts what it is asked
//! (`stand_in`). `.ci/cuda count` builds both and runs these.

#[path = "../support/mod.rs"]
mod support;

mod counts;
mod families;
mod faults;
mod page;
mod server;
mod switch;
