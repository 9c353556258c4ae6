//! What the protocols share: a request in our own words, what is made of it, and how its answer is written.

pub(super) mod audio;
pub(super) mod content;
pub(super) mod delivery;
pub(super) mod events;
pub(super) mod fields;
mod format;
pub(super) mod item;
pub(super) mod job;
pub(super) mod job_body;
pub(super) mod prediction;
pub(super) mod request;
pub(super) mod sound;
pub(super) mod sound_encoder;
pub(super) mod sound_format;
pub(super) mod sound_response;
pub(super) mod speak;
pub(super) mod speech;
pub(super) mod task;
pub(super) mod transcriptions;
pub(super) mod voice;
