//! Text to sound, on one connection.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    event::{VoiceName, VoiceWish},
    frame::Frame,
    info,
    listen::call,
};
use crate::{
    audio::Pcm,
    service::{Service, ServiceError, SpeakRequest, Speaking, rest_after},
    speech::{Kind, Problem, SynthesizeOptions, TaskKind, VoiceInput},
    text::{Boundary, Markup, sentences},
};

/// Sound in one event, at most: what players buffer anyhow.
const PIECE: Duration = Duration::from_millis(100);

/// A text that is still being written, as it comes.
pub(super) struct Writing {
    wish: VoiceWish,
    /// What is not spoken yet.
    text: String,
    /// Characters so far.
    written: usize,
    sound: Sound,
}

/// Sound that goes out as one, whatever it is made of.
#[derive(Default)]
pub(super) struct Sound {
    /// Hertz, once it has begun.
    rate: Option<u32>,
}

// === impl Writing ===

impl Writing {
    pub fn new(wish: VoiceWish) -> Result<Self, Problem> {
        wish.markup()?;
        Ok(Self { wish, text: String::new(), written: 0, sound: Sound::default() })
    }

    /// Takes what follows; gives what can be spoken by now: all sentences after which another one has begun. SSML is
    /// spoken as a whole.
    pub fn push(&mut self, text: &str, most: usize) -> Result<Option<String>, Problem> {
        self.written += text.chars().count();
        if self.written > most {
            let message = format!("the text has more than {most} characters (`limits.max_text`)");
            return Err(Problem::new(Kind::TooLarge, message).about("text"));
        }
        self.text.push_str(text);
        if self.wish.markup()? == Markup::Ssml {
            return Ok(None);
        }
        let last = sentences(&self.text).last().map_or(0, |last| last.len());
        let rest = self.text.split_off(self.text.len() - last);
        let whole = std::mem::replace(&mut self.text, rest);
        Ok((!whole.trim().is_empty()).then_some(whole))
    }

    /// What is left.
    pub fn rest(&mut self) -> Option<String> {
        Some(std::mem::take(&mut self.text)).filter(|text| !text.trim().is_empty())
    }

    pub fn wish(&self) -> VoiceWish {
        self.wish.clone()
    }

    pub fn sound(&mut self) -> &mut Sound {
        &mut self.sound
    }
}

// === impl Sound ===

impl Sound {
    /// What goes before the next part of a text: its voice rests.
    pub fn rest(&self) -> Vec<Frame> {
        let rest = rest_after(Boundary::Sentence).as_secs_f64();
        self.rate.map_or_else(Vec::new, |rate| chunks(&Pcm::new(vec![0.0; (rest * f64::from(rate)) as usize], rate)))
    }

    pub fn push(&mut self, pcm: &Pcm) -> Result<Vec<Frame>, Problem> {
        let mut frames = Vec::new();
        match self.rate {
            None => {
                self.rate = Some(pcm.rate());
                frames.push(Frame::new("audio-start", format(pcm.rate())));
            }
            // A model has one rate, and a fallback may have another.
            Some(rate) if rate != pcm.rate() => {
                return Err(Problem::new(Kind::Internal, "another model speaks now, at another rate"));
            }
            Some(_) => {}
        }
        frames.extend(chunks(pcm));
        Ok(frames)
    }

    /// Nothing where there was none.
    pub fn stop(self) -> Option<Frame> {
        self.rate.map(|_| Frame::new("audio-stop", json!({"timestamp": null})))
    }
}

fn format(rate: u32) -> Value {
    json!({"rate": rate, "width": 2, "channels": 1, "timestamp": null})
}

fn chunks(pcm: &Pcm) -> Vec<Frame> {
    let samples = pcm.mono();
    let length = ((PIECE.as_secs_f64() * f64::from(pcm.rate())) as usize).max(1);
    let bytes = |samples: &[f32]| -> Vec<u8> {
        let whole = |sample: &f32| (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16;
        samples.iter().flat_map(|sample| whole(sample).to_le_bytes()).collect()
    };
    samples.chunks(length).map(|piece| Frame::new("audio-chunk", format(pcm.rate())).with(bytes(piece))).collect()
}

/// Begins to speak a text.
pub(super) async fn speak(service: &Service, text: String, wish: &VoiceWish) -> Result<Speaking, Problem> {
    let markup = wish.markup()?;
    let voice = wish.voice.clone().unwrap_or_default();
    let (model, own) = info::meant(&service.catalog(), &voice);
    let own = match own {
        Some(name) => Some(named(service, model.as_deref(), &name).await?),
        None => None,
    };
    let options = SynthesizeOptions { voice: own, language: language(&voice), ..SynthesizeOptions::default() };
    let request = SpeakRequest { text, markup, normalize: true, normalize_loudness: None, options };
    service.speak(call(model), request).await.map_err(Problem::from)
}

async fn named(service: &Service, model: Option<&str>, name: &str) -> Result<VoiceInput, ServiceError> {
    service.voice(model, TaskKind::Synthesize, name).await
}

fn language(voice: &VoiceName) -> Option<String> {
    voice.language.clone().filter(|language| !language.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_spoken_when_another_one_begins() {
        let mut writing = Writing::new(VoiceWish::default()).unwrap();
        let mut said = Vec::new();
        for part in ["Good mor", "ning. It is", " Mr. Smi", "th! And", " more"] {
            said.extend(writing.push(part, 100).unwrap());
        }
        assert_eq!(said, ["Good morning. ", "It is Mr. Smith! "]);
        assert_eq!(writing.rest().as_deref(), Some("And more"));
        assert_eq!(writing.rest(), None);
    }

    #[test]
    fn a_text_is_no_longer_than_one_may_be_and_ssml_is_whole() {
        let mut writing = Writing::new(VoiceWish::default()).unwrap();
        writing.push("12345", 8).unwrap();
        assert!(writing.push("6789", 8).unwrap_err().message.contains("more than 8 characters"));
        let wish = VoiceWish { text_format: Some("ssml".to_owned()), ..VoiceWish::default() };
        let mut writing = Writing::new(wish).unwrap();
        assert_eq!(writing.push("<speak>One. Two. Three.", 100).unwrap(), None);
        assert_eq!(writing.rest().as_deref(), Some("<speak>One. Two. Three."));
    }

    #[test]
    fn sound_goes_out_in_pieces_between_one_start_and_one_stop() {
        let mut sound = Sound::default();
        assert!(sound.rest().is_empty());
        let frames = sound.push(&Pcm::new(vec![1.0; 2500], 16_000)).unwrap();
        let kinds: Vec<_> = frames.iter().map(|frame| frame.kind.as_str()).collect();
        assert_eq!(kinds, ["audio-start", "audio-chunk", "audio-chunk"]);
        assert_eq!((frames[1].payload.len(), frames[2].payload.len()), (3200, 1800));
        assert_eq!(frames[1].payload[..2], i16::MAX.to_le_bytes());
        assert_eq!(sound.rest().len(), 3);
        assert!(sound.push(&Pcm::new(vec![0.0], 8000)).is_err());
        assert_eq!(sound.stop().unwrap().kind, "audio-stop");
        assert!(Sound::default().stop().is_none());
    }
}
