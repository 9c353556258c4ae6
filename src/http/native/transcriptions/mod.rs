//! A transcription as OpenAI's clients ask for it, wherever they send it: the form, and the answer in their shapes.

pub(in crate::http) mod bodies;
mod chunking;
mod form;
mod render;
mod respond;

pub(in crate::http) use self::{form::is_theirs, respond::transcribe};
