//! Sound as bytes of a format, while it is made.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{sound_encoder::SoundEncoder, sound_format::SoundFormat};
use crate::{
    audio::AudioFormat,
    http::problem::Problem,
    service::SoundStream,
    speech::{Checkpoint, ModelName, SpeechEvent, SpeechProgress, SpeechSummary},
};

/// Sound that is being encoded.
pub(in crate::http) struct EncodedSound {
    stream: SoundStream,
    format: SoundFormat,
    sound: SoundEncoder,
    /// By name, in the order in which they came.
    stems: Vec<(&'static str, SoundEncoder)>,
    /// What is to be handed out before more is made.
    ready: VecDeque<EncodedEvent>,
    /// What is known when all was made.
    pub summary: Option<SpeechSummary>,
}

/// What comes of sound that is being encoded.
pub(in crate::http) enum EncodedEvent {
    Sound(Bytes),
    /// Of another sound that was asked for, by its name.
    Stem(&'static str, Bytes),
    Progress(SpeechProgress),
    Checkpoint(Checkpoint),
}

// === impl EncodedSound ===

impl EncodedSound {
    pub fn new(stream: impl Into<SoundStream>, format: SoundFormat) -> Self {
        let (stream, sound) = (stream.into(), SoundEncoder::new(format));
        Self { stream, format, sound, stems: Vec::new(), ready: VecDeque::new(), summary: None }
    }

    /// Who makes it.
    pub fn model(&self) -> &ModelName {
        self.stream.model()
    }

    /// What marks it, where something does.
    pub fn watermark(&self) -> Option<&'static str> {
        self.stream.watermark()
    }

    pub fn format(&self) -> AudioFormat {
        self.format.format
    }

    /// Of what is written, in hertz, once something is.
    pub fn rate(&self) -> Option<u32> {
        self.sound.rate
    }

    /// Seconds that were made so far.
    pub fn seconds(&self) -> f64 {
        self.sound.seconds
    }

    /// Seconds that it will be, where that is known before it is made.
    pub fn expected(&self) -> Option<f64> {
        self.stream.seconds()
    }

    /// The next bytes of the sound; `None` after the last, or after a problem.
    pub async fn next(&mut self) -> Option<Result<Bytes, Problem>> {
        loop {
            match self.next_event().await? {
                Ok(EncodedEvent::Sound(bytes)) => return Some(Ok(bytes)),
                Ok(_) => {}
                Err(problem) => return Some(Err(problem)),
            }
        }
    }

    /// What comes next, of all sounds that were asked for; `None` after the last, or after a problem.
    pub async fn next_event(&mut self) -> Option<Result<EncodedEvent, Problem>> {
        loop {
            match self.ready.pop_front() {
                Some(EncodedEvent::Sound(bytes) | EncodedEvent::Stem(_, bytes)) if bytes.is_empty() => continue,
                Some(event) => return Some(Ok(event)),
                None => {}
            }
            let event = match self.stream.next().await? {
                Ok(SpeechEvent::Audio(pcm)) => self.sound.push(pcm).await.map(EncodedEvent::Sound),
                Ok(SpeechEvent::Stem(name, pcm)) => {
                    self.stem(name).push(pcm).await.map(|bytes| EncodedEvent::Stem(name, bytes))
                }
                Ok(SpeechEvent::Progress(progress)) => Ok(EncodedEvent::Progress(progress)),
                Ok(SpeechEvent::Checkpoint(checkpoint)) => Ok(EncodedEvent::Checkpoint(checkpoint)),
                Ok(SpeechEvent::Done(summary)) => {
                    self.summary = Some(summary);
                    match self.finish() {
                        Ok(()) => continue,
                        Err(problem) => Err(problem),
                    }
                }
                Err(error) => Err(error.into()),
            };
            match event {
                Ok(event) => self.ready.push_back(event),
                Err(problem) => return Some(Err(problem)),
            }
        }
    }

    /// Makes a file of all the bytes that came: of some formats the beginning says how long it is.
    pub fn complete(&mut self, file: &mut Vec<u8>) {
        self.sound.complete(file);
    }

    /// [`Self::complete`] of a stem.
    pub fn complete_stem(&mut self, name: &'static str, file: &mut Vec<u8>) {
        self.stem(name).complete(file);
    }

    fn stem(&mut self, name: &'static str) -> &mut SoundEncoder {
        let at = self.stems.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.stems.push((name, SoundEncoder::new(self.format)));
            self.stems.len() - 1
        });
        &mut self.stems[at].1
    }

    fn finish(&mut self) -> Result<(), Problem> {
        self.ready.push_back(EncodedEvent::Sound(self.sound.finish()?));
        for (name, stem) in &mut self.stems {
            self.ready.push_back(EncodedEvent::Stem(name, stem.finish()?));
        }
        Ok(())
    }
}
