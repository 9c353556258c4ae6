//! What the first stage reads before it sings a section.

use super::{lyrics::Lyrics, tokens::Words};

/// Of all tracks that a song has.
pub const TRACKS: usize = 2;

/// A recording that the song is to be like, in codes of the first book, 50 a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SongReference {
    /// Voice and instruments in one.
    Mix(Vec<u16>),
    /// Each for itself.
    Tracks { vocals: Vec<u16>, instrumental: Vec<u16> },
}

/// Writes prompts.
#[derive(Clone, Copy, Debug)]
pub struct Prompter<'a> {
    pub words: &'a Words,
}

// === impl SongReference ===

impl SongReference {
    /// As the first stage reads them: of two tracks one code of each in turn, as far as both go.
    fn codes(&self) -> Vec<u16> {
        match self {
            Self::Mix(codes) => codes.clone(),
            Self::Tracks { vocals, instrumental } => {
                vocals.iter().zip(instrumental).flat_map(|(&voice, &instrument)| [voice, instrument]).collect()
            }
        }
    }
}

// === impl Prompter ===

impl Prompter<'_> {
    /// Before anything is sung: what is asked, the genre, all lyrics, and what the song is to be like.
    pub fn head(&self, genre: &str, lyrics: &Lyrics, reference: Option<&SongReference>) -> Vec<u32> {
        let asked = "Generate music from the given lyrics segment by segment.";
        let mut ids = self.words.encode(&format!("{asked}\n[Genre] {genre}\n{}", lyrics.whole()));
        if let Some(reference) = reference {
            let special = self.words.ids;
            ids.extend(self.words.encode("[start_of_reference]"));
            ids.extend([special.begin, special.xcodec]);
            ids.extend(reference.codes().into_iter().map(|code| special.token(code)));
            ids.push(special.end);
            ids.extend(self.words.encode("[end_of_reference]"));
        }
        ids
    }

    /// Up to the sound of a section; `first`: of the song.
    pub fn section(&self, section: &str, first: bool) -> Vec<u32> {
        let mut ids = if first { Vec::new() } else { self.words.encode("[end_of_segment]") };
        ids.extend(self.words.encode("[start_of_segment]"));
        ids.extend(self.words.encode(section));
        ids.extend([self.words.ids.begin, self.words.ids.xcodec]);
        ids
    }
}
