//! The HTTP surface, through the real server with a real model.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod admin;
mod bad_input;
mod clients;
mod cold;
mod compat;
mod crowds;
mod flows_devices;
mod flows_lifecycle;
mod health;
mod hear;
mod jobs;
mod leave;
mod oip;
mod openai;
mod openapi;
mod parts;
mod predict;
mod reload;
mod speak;
mod switch;
mod vertex;
mod voices;
