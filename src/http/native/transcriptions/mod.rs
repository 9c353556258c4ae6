//! A transcription as OpenAI's clients ask for it, wherever they send it: the form, and the answer in their shapes.

pub(in crate::http) mod bodies;
mod chunking;
mod form;
mod live;
mod render;
mod respond;
mod speakers;

pub(in crate::http) use self::{form::is_theirs, live::transcribe_arriving, respond::transcribe};
