//! The protocols: parse, call `service`, render. A handler is those three lines; what a failure means has been said
//! below, and `problem` alone turns meaning into a status.
//!
//! One folder per protocol, and none of them knows another: what they share is in `native` (requests and answers in our
//! own words) and `models` (loading, unloading, readiness), or in a file beside these.

pub mod access;
mod admin;
mod api;
mod arriving;
mod asr;
mod asset;
mod asyncapi;
mod azure;
mod body;
mod call;
mod config;
mod console;
mod docs;
mod draining;
mod exchange;
mod form;
mod generate;
mod jobs;
mod json;
mod live;
mod methods;
mod models;
mod native;
mod oip;
mod openai;
mod openapi;
mod parsers;
mod problem;
mod realtime;
mod request_id;
mod routes;
mod security;
mod served;
mod sse;
mod trace;
mod unknown;
mod vertex;
mod vosk;
mod wait;

pub use api::Api;
pub use body::refuse_body;
pub use config::{Config, RealtimeConfig, UnknownFields};
pub use draining::Draining;
pub use exchange::{Exchange, Stage};
pub use jobs::JobWorker;
pub use parsers::Parsers;
pub use request_id::RequestId;
pub use routes::routes;
