//! `sconce speak`: the server's own way from text to sound, without a server.

mod blocks;
mod book;
mod player;
mod speaker;
mod words;

use std::{
    io::{IsTerminal, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use self::{
    book::{Book, Ended},
    player::Player,
    speaker::Speaker,
};
use super::{
    exit::{INTERRUPTED, USAGE},
    signals::Signals,
    sound::{SoundFormat, Stream},
};
use crate::{
    app::{self, App},
    audio::AudioFormat,
    text::Markup,
};

/// Speak a text, or a whole book
///
/// The sound goes to a file, to standard output or to a player. A text of more than some pages is spoken in blocks, which
/// are kept in a folder beside the file (out.mp3.part) until all of them are there: the same command goes on from what is
/// in it. The exit code is 0 for success, 1 for failure, 2 for wrong usage, and 130 if it was interrupted.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to say; - reads it from standard input
    #[arg(value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    text: Option<String>,
    /// Read the text from a file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write the sound to a file; - is standard output, as without this
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Give the sound to ffplay, aplay, paplay or afplay, whichever is there
    #[arg(long, conflicts_with_all = ["output", "format"])]
    play: bool,
    /// wav, pcm, mp3, opus, flac or aac; by the name of the file, else wav, if absent
    #[arg(long)]
    format: Option<AudioFormat>,
    /// Hertz, 8000 to 48000; the model's own if absent
    #[arg(long, value_name = "HERTZ", value_parser = clap::value_parser!(u32).range(8_000..=48_000))]
    sample_rate: Option<u32>,
    /// A voice of the model or a recording in `voices.dir`, which `sconce voices` lists, or the file of a recording
    #[arg(long)]
    voice: Option<String>,
    /// Of the text, for example en; English if absent
    #[arg(long)]
    language: Option<String>,
    /// How fast, as a multiple of the voice's own pace: 0.25 to 4
    #[arg(long, value_parser = speed, allow_negative_numbers = true)]
    speed: Option<f32>,
    /// Equal seeds speak alike
    #[arg(long)]
    seed: Option<u64>,
    /// The text is SSML
    #[arg(long)]
    ssml: bool,
}

/// Where the sound goes.
enum Target<'a> {
    Output,
    Player,
    File(&'a Path),
}

/// `model` is what the command line names, as the one that must speak.
pub(super) async fn run(args: Args, model: Option<String>, config: app::Config) -> anyhow::Result<ExitCode> {
    let (target, format) = match args.target().and_then(|target| Ok((args.format(&target)?, target))) {
        Ok((format, target)) => (target, format),
        Err(message) => {
            eprintln!("error: {message}");
            return Ok(USAGE.into());
        }
    };
    let text = words::read(args.text.as_deref(), args.file.as_deref())?;
    let app = App::build(config)?;
    let spoken = speak(&args, model, &app, &text, target, format).await;
    app.stop().await;
    spoken
}

async fn speak(
    args: &Args,
    model: Option<String>,
    app: &App,
    text: &str,
    target: Target<'_>,
    format: SoundFormat,
) -> anyhow::Result<ExitCode> {
    let speaker = Speaker::new(app, model, args.manner(&target)).await?;
    let passages = speaker.passages(text);
    match target {
        Target::Output => speaker.stream(&passages, &mut Stream::new(stdout(), format)).await?,
        Target::Player => {
            let mut player = Player::start()?;
            let played = speaker.stream(&passages, &mut Stream::new(&mut player, format)).await;
            player.finish(played)?;
        }
        Target::File(path) => return write(Book { speaker: &speaker, passages: &passages, format, path }).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn write(book: Book<'_>) -> anyhow::Result<ExitCode> {
    let signals = Signals::listen()?;
    match book.write(signals.at_least(1)).await? {
        Ended::Whole => Ok(ExitCode::SUCCESS),
        Ended::Interrupted { kept } => {
            let rest = if kept { "; the same command goes on from here" } else { "" };
            eprintln!("error: interrupted{rest}");
            Ok(INTERRUPTED.into())
        }
    }
}

// === impl Args ===

impl Args {
    fn target(&self) -> Result<Target<'_>, String> {
        match &self.output {
            _ if self.play => Ok(Target::Player),
            Some(path) if path.as_os_str() != "-" => Ok(Target::File(path)),
            _ if stdout().is_terminal() => {
                Err("sound is nothing for a terminal; name a file by -o, or hear it by --play".to_owned())
            }
            _ => Ok(Target::Output),
        }
    }

    /// As it is named, else by the extension of the file.
    fn format(&self, target: &Target<'_>) -> Result<SoundFormat, String> {
        let path = match target {
            Target::File(path) => Some(*path),
            Target::Output | Target::Player => None,
        };
        SoundFormat::of(self.format, path, self.sample_rate)
    }

    fn manner(&self, target: &Target<'_>) -> speaker::Manner<'_> {
        speaker::Manner {
            voice: self.voice.as_deref(),
            language: self.language.clone(),
            speed: self.speed,
            seed: self.seed,
            patient: matches!(target, Target::File(_)),
            markup: if self.ssml { Markup::Ssml } else { Markup::Plain },
        }
    }
}

fn speed(text: &str) -> Result<f32, String> {
    let speed = text.parse().ok().filter(|speed| (0.25..=4.0).contains(speed));
    speed.ok_or_else(|| "0.25 to 4 would be right".to_owned())
}
