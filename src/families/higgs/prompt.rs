//! What the model reads before it speaks: a conversation in which a user writes and an assistant says it.

use candle_core::Result;

use super::{
    blocks::Block,
    net::{CodeIds, Segment, delayed},
    speakers,
    words::Words,
};

/// What it is to do.
const SYSTEM: &str = "Generate audio following instruction.";

/// A recording of somebody who is to speak, and what is said in it.
#[derive(Clone, Debug)]
pub struct Reference {
    pub transcript: String,
    /// `[frames, books]`
    pub codes: Vec<u32>,
}

/// What is said of a text, beside the text.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// As the caller wrote it.
    pub description: Option<String>,
    /// Of each speaker; empty: the model chooses.
    pub references: Vec<Reference>,
    /// Speakers of the text that have no recording.
    pub speakers: usize,
}

/// Writes conversations.
pub struct Prompter<'a> {
    pub words: &'a Words,
    pub ids: &'a CodeIds,
}

// === impl Scene ===

impl Scene {
    /// In words.
    fn text(&self) -> Option<String> {
        let mut parts: Vec<String> = self.description.iter().map(|text| text.trim().to_owned()).collect();
        if self.references.is_empty() && self.speakers > 1 {
            let kind = |at: usize| if at.is_multiple_of(2) { "feminine" } else { "masculine" };
            let lines = (0..self.speakers).map(|at| format!("SPEAKER{at}: {}", kind(at)));
            parts.push(lines.collect::<Vec<_>>().join("\n"));
        }
        parts.retain(|part| !part.is_empty());
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }
}

// === impl Prompter ===

impl Prompter<'_> {
    /// The scene and the voices, which all texts in them begin with.
    pub fn beginning(&self, scene: &Scene) -> Result<Vec<Segment>> {
        let special = self.words.special;
        let mut ids = vec![special.begin];
        self.header("system", &mut ids)?;
        match scene.text() {
            None => ids.extend(self.words.encode(&format!("\n\n{SYSTEM}"))?),
            Some(scene) => {
                ids.extend(self.words.encode(&format!("\n\n{SYSTEM}\n\n"))?);
                ids.push(special.scene_start);
                ids.extend(self.words.encode(&format!("\n{scene}\n"))?);
                ids.push(special.scene_end);
            }
        }
        ids.push(special.turn_end);
        let mut segments = vec![Segment::Text(ids)];
        let several = scene.references.len() > 1;
        for (speaker, reference) in scene.references.iter().enumerate() {
            let said = match several {
                true => speakers::spoken_by(&reference.transcript, speaker),
                false => reference.transcript.clone(),
            };
            self.turn(&said, &reference.codes, &mut segments)?;
        }
        Ok(segments)
    }

    /// What was said before, and what is to be said now.
    pub fn rest(&self, before: &[Block], text: &str) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for block in before.iter().filter(|block| !block.codes.is_empty()) {
            self.turn(&block.text, &block.codes, &mut segments)?;
        }
        segments.push(Segment::Text(self.asked(text)?));
        Ok(segments)
    }

    /// Something that was asked, and how it was said.
    fn turn(&self, text: &str, codes: &[u32], segments: &mut Vec<Segment>) -> Result<()> {
        segments.push(Segment::Text(self.asked(text)?));
        segments.push(Segment::Audio(delayed(codes, self.ids)));
        segments.push(Segment::Text(vec![self.words.special.audio_end, self.words.special.turn_end]));
        Ok(())
    }

    /// Up to the sound of the answer.
    fn asked(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.header("user", &mut ids)?;
        ids.extend(self.words.encode(&format!("\n\n{}", text.trim()))?);
        ids.push(self.words.special.turn_end);
        self.header("assistant", &mut ids)?;
        ids.extend(self.words.encode("\n\n")?);
        ids.push(self.words.special.audio_begin);
        Ok(ids)
    }

    fn header(&self, role: &str, ids: &mut Vec<u32>) -> Result<()> {
        ids.push(self.words.special.header_start);
        ids.extend(self.words.encode(role)?);
        ids.push(self.words.special.header_end);
        Ok(())
    }
}
