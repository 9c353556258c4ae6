//! What all models of the family have in common.

/// What tells that a model is a program.
pub const MARKER: &str = "sconce-worker.toml";
pub const NAME: &str = "worker";
/// A model in a folder; or none, where the configuration names the program.
pub const LAYOUTS: &[&[&str]] = &[&["model"], &[]];

/// All of a repository, but what Python keeps beside its sources: it could be run in their place.
pub fn files(listing: &[String]) -> Vec<String> {
    let kept = |file: &&String| !file.split('/').any(|part| part == "__pycache__");
    listing.iter().filter(kept).cloned().collect()
}
