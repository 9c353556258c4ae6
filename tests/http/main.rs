//! The HTTP surface, through the real server with a real model.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod admin;
mod ahead;
mod arriving;
mod bad_input;
mod channels;
mod chatterbox;
mod clients;
mod cold;
mod compatibility;
mod crowds;
mod disconnect;
mod docs;
mod espeak;
mod flows_devices;
mod flows_lifecycle;
mod health;
mod hub_scenarios;
mod jobs;
mod kinds_of_sound;
mod kokoro;
mod methods;
mod oip;
mod openai;
mod openapi;
mod parts;
mod piper;
mod predict;
mod realtime;
mod recordings;
mod reload;
mod speakers;
mod speech;
mod spoken;
mod switch;
mod vertex;
mod voice_network;
mod voices;
mod vosk;
mod voxtral;
mod workers;
mod wyoming;
mod zonos;
