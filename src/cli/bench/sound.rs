//! The recording that is heard: one that is named, or one that a voice inside this program makes.

use std::{path::Path, time::Duration};

use anyhow::Context;

use super::work::Sound;
use crate::{
    app::{self, App},
    audio::{self, Pcm},
    catalog::Entry,
    cli::{call::call, recording},
    model::Availability,
    service::SpeakRequest,
    speech::{SpeechEvent, SynthesizeOptions, TaskKind},
    text::Markup,
};

/// Hertz at which most models hear.
const RATE: u32 = 16_000;
/// Of a recording that is cut, which is read whole before.
const LONGEST: Duration = Duration::from_secs(3600);

/// Some twenty seconds of it, which are said again where more is wanted.
const TEXT: &str = "The ferry leaves at a quarter past seven, and the walk down to the harbour takes about ten minutes. \
                    Bring a coat, because the wind on the water is cold even in summer. On the other side there is a \
                    small market, where people sell bread, cheese and apples from the farms near the coast. We should \
                    be back before it gets dark.";

/// A named recording as it is, or as long as is wanted: said again and again, or cut.
pub(super) async fn named(path: &Path, seconds: Option<f64>) -> anyhow::Result<Sound> {
    let read = recording::read(path).await.with_context(|| format!("{} cannot be read", path.display()))?;
    let hint = read.hint.clone();
    let heard =
        audio::decode(&read.bytes, hint.as_deref(), RATE, LONGEST).with_context(|| path.display().to_string())?;
    anyhow::ensure!(heard.pcm.frames() > 0, "{}: there is no sound in it", path.display());
    Ok(match seconds {
        Some(seconds) => of(&heard.pcm, seconds),
        None => Sound { bytes: read.bytes, seconds: heard.pcm.seconds() },
    })
}

/// So many seconds of speech, by a voice inside this program.
pub(super) async fn made(config: app::Config, seconds: f64) -> anyhow::Result<Sound> {
    let app = App::build(config)?;
    let spoken = speak(&app).await;
    app.stop().await;
    Ok(of(&audio::resample(&spoken?, RATE)?, seconds))
}

async fn speak(app: &App) -> anyhow::Result<Pcm> {
    let catalog = app.catalog();
    let can = |entry: &&Entry| entry.is_embedded() && entry.does(TaskKind::Synthesize);
    let voice = catalog.entries().filter(can).find(|entry| entry.availability == Availability::Available);
    let voice = voice.context("no voice inside this program makes a recording; name one by --file")?;
    let options = SynthesizeOptions { seed: Some(1), ..SynthesizeOptions::default() };
    let text = TEXT.to_owned();
    let asked = SpeakRequest { text, markup: Markup::Plain, normalize: true, normalize_loudness: None, options };
    let mut speaking =
        app.service().speak(call("bench".to_owned(), Some(voice.name.to_string())), asked).await?.patiently();
    let mut blocks = Vec::new();
    while let Some(piece) = speaking.next().await {
        match piece? {
            SpeechEvent::Audio(pcm) => blocks.push(pcm),
            SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => {}
            SpeechEvent::Done(_) => return Pcm::joined(&blocks).context("the voice made no sound"),
        }
    }
    anyhow::bail!("the speech broke off")
}

/// A WAV file of so many seconds of it, again and again where it is shorter.
fn of(pcm: &Pcm, seconds: f64) -> Sound {
    let wanted = ((seconds * f64::from(pcm.rate())).round() as usize).max(1);
    let samples: Vec<f32> = pcm.mono().iter().copied().cycle().take(wanted).collect();
    let pcm = Pcm::new(samples, pcm.rate());
    Sound { bytes: audio::encode_wav(&pcm).into(), seconds: pcm.seconds() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_repeated_or_cut() {
        let pcm = Pcm::new(vec![0.0, 0.25, 0.5, 0.75], 4);
        for (seconds, frames) in [(0.5, 2), (1.0, 4), (2.5, 10)] {
            let sound = of(&pcm, seconds);
            assert_eq!(sound.seconds, seconds);
            assert_eq!(sound.bytes.len(), 44 + 2 * frames);
        }
    }
}
