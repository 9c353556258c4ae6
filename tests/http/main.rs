//! The HTTP surface, through the real server with a real model.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod clients;
mod cold;
mod health;
mod hear;
mod leave;
mod openai;
mod predict;
mod switch;
