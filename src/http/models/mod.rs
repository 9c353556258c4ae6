//! What is done with models whatever protocol asks for it: downloading, loading, unloading, and whether they are ready.

mod availability;
pub(super) mod download;
pub(super) mod health;
pub(super) mod load;
pub(super) mod outcome;
pub(super) mod schemas;
pub(super) mod status;
pub(super) mod wait;
