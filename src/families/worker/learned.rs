//! What programs said of themselves, kept for those who ask while none runs.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use parking_lot::RwLock;

use super::manifest::Voice;
use crate::model::OwnVoice;

/// Lists of voices of one model that are kept at most: a list that was shown once stays in memory.
const MOST_LISTS: usize = 16;
/// Hertz of a voice of which nobody said it.
const USUAL_RATE: u32 = 24_000;

/// Of one model.
#[derive(Debug, Default)]
pub struct Learned {
    voices: RwLock<&'static [OwnVoice<'static>]>,
    /// Characters.
    max_text: AtomicUsize,
    lists: AtomicUsize,
}

// === impl Learned ===

impl Learned {
    /// Another list takes the place of the one before.
    pub fn learn(&self, voices: &[Voice], rate: Option<u32>, max_text: Option<usize>) {
        if let Some(characters) = max_text {
            self.max_text.store(characters, Relaxed);
        }
        let rate = rate.unwrap_or(USUAL_RATE);
        let known = *self.voices.read();
        let same = |(known, voice): (&OwnVoice<'_>, &Voice)| {
            known.name == voice.name
                && known.sample_rate == rate
                && known.languages.iter().map(|language| &**language).eq(voice.languages.iter().map(String::as_str))
        };
        let unchanged = known.len() == voices.len() && known.iter().zip(voices).all(same);
        if !unchanged && self.lists.fetch_add(1, Relaxed) < MOST_LISTS {
            *self.voices.write() = kept(voices, rate);
        }
    }

    pub fn voices(&self) -> &'static [OwnVoice<'static>] {
        *self.voices.read()
    }

    /// Characters that it says in one go, where it said so.
    pub fn max_text(&self) -> Option<usize> {
        Some(self.max_text.load(Relaxed)).filter(|characters| *characters > 0)
    }
}

/// For as long as the server runs: catalogs that others still hold show it.
fn kept(voices: &[Voice], sample_rate: u32) -> &'static [OwnVoice<'static>] {
    let own = |voice: &Voice| -> OwnVoice<'static> {
        let languages: Vec<Cow<'static, str>> = voice.languages.iter().cloned().map(Cow::Owned).collect();
        OwnVoice { name: String::leak(voice.name.clone()), languages: Vec::leak(languages), sample_rate }
    };
    Vec::leak(voices.iter().map(own).collect())
}
