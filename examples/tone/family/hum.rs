//! A recording, hummed along: its loudness, at the pitch of the voice.

use std::{collections::VecDeque, f64::consts::TAU};

use sconce::{
    audio::Pcm,
    model::{Request, RequestError},
    speech::{Convert, SpeechSummary},
};

use super::{RATE, batch::Toned, options::Options, voice::Voices};

/// A tenth of a second.
const BLOCK: usize = RATE as usize / 10;

/// A recording that is being hummed.
pub struct Humming {
    /// What is still to come.
    sound: VecDeque<f32>,
    samples: usize,
    pitch: f64,
}

impl Toned for Convert {
    type Progress = Humming;

    fn begin(request: &Request<Self>, voices: &Voices) -> Result<Humming, RequestError> {
        let Convert { audio, options } = request.ask();
        Options::parse(&options.options)?;
        let pitch = voices.pitch(options.voice.as_ref())?.into();
        Ok(Humming { sound: audio.samples().iter().copied().collect(), samples: 0, pitch })
    }

    fn add(humming: &mut Humming, part: Pcm) {
        humming.sound.extend(part.samples());
    }

    fn next(humming: &mut Humming) -> Option<Pcm> {
        let block = humming.sound.drain(..BLOCK.min(humming.sound.len())).enumerate();
        let (before, step) = (humming.samples, TAU * humming.pitch / f64::from(RATE));
        let hummed = |(at, sample): (usize, f32)| sample.abs() * (step * (before + at) as f64).sin() as f32;
        let samples: Vec<f32> = block.map(hummed).collect();
        humming.samples += samples.len();
        (!samples.is_empty()).then(|| Pcm::new(samples, RATE))
    }

    fn summary(humming: Humming) -> SpeechSummary {
        SpeechSummary { seconds: humming.samples as f64 / f64::from(RATE), ..SpeechSummary::default() }
    }
}
