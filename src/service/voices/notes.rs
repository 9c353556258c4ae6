//! What somebody wrote about a recording.

use super::{VoiceError, length::LONGEST_NOTE};

/// What somebody wrote about a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VoiceNotes {
    /// What is said in it, for families that want to know.
    pub transcript: Option<String>,
    /// That the speaker agreed; kept for who runs the server, and not looked at.
    pub consent: Option<String>,
}

// === impl VoiceNotes ===

impl VoiceNotes {
    pub(super) fn check(&self) -> Result<(), VoiceError> {
        for (what, note) in [("transcript", &self.transcript), ("consent", &self.consent)] {
            if note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
                return Err(VoiceError::Note { what });
            }
        }
        Ok(())
    }
}
