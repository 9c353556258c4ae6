//! `sconce convert`: a recording in another voice, without a server.

use std::{
    fs::OpenOptions,
    io::{BufWriter, IsTerminal, Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;

use super::{
    call::call,
    exit::USAGE,
    output_file::{OutputFile, is_special},
    progress, recording,
    sound::{SoundError, SoundFormat, Stream},
    voices,
};
use crate::{
    app::{self, App},
    audio::AudioFormat,
    service::ConvertRequest,
    speech::{ConvertOptions, SpeechEvent, TaskKind},
};

/// Speak a recording in another voice
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A recording, of any common format; - reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose voice it becomes: one of the model or a recording in `voices.dir`, which `sconce voices` lists, or the file of
    /// a recording; the model's usual one if absent
    #[arg(long)]
    voice: Option<String>,
    /// Write the sound to a file; - is standard output, as without this
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// wav, pcm, mp3, opus, flac or aac; by the name of the file, else wav, if absent
    #[arg(long)]
    format: Option<AudioFormat>,
    /// Hertz, 8000 to 48000; the model's own if absent
    #[arg(long, value_name = "HERTZ", value_parser = clap::value_parser!(u32).range(8_000..=48_000))]
    sample_rate: Option<u32>,
    /// Equal seeds convert alike
    #[arg(long)]
    seed: Option<u64>,
}

/// `model` is what the command line names, as the one that must convert.
pub(super) async fn run(args: Args, model: Option<String>, config: app::Config) -> anyhow::Result<ExitCode> {
    let path = args.output.as_deref().filter(|path| path.as_os_str() != "-");
    let format = match SoundFormat::of(args.format, path, args.sample_rate) {
        Ok(_) if path.is_none() && stdout().is_terminal() => {
            Err("sound is nothing for a terminal; name a file by -o".to_owned())
        }
        format => format,
    };
    let format = match format {
        Ok(format) => format,
        Err(message) => {
            eprintln!("error: {message}");
            return Ok(USAGE.into());
        }
    };
    let app = App::build(config)?;
    let converted = write(&args, model, &app, path, format).await;
    app.stop().await;
    converted.map(|()| ExitCode::SUCCESS)
}

async fn write(
    args: &Args,
    model: Option<String>,
    app: &App,
    path: Option<&Path>,
    format: SoundFormat,
) -> anyhow::Result<()> {
    let cannot = |path: &Path| format!("{} cannot be written", path.display());
    match path {
        None => match convert(args, model, app, Stream::new(stdout(), format)).await {
            // Who stops listening has heard enough.
            Err(error) if error.downcast_ref::<SoundError>().is_some_and(SoundError::is_broken_pipe) => Ok(()),
            outcome => outcome.map(drop),
        },
        Some(path) if is_special(path) => {
            let file = OpenOptions::new().write(true).open(path).with_context(|| cannot(path))?;
            convert(args, model, app, Stream::new(file, format)).await.map(drop)
        }
        Some(path) => {
            // Whether the file can be written is better known before the work than after it.
            let mut target = OutputFile::beside(path)?;
            let head = {
                let file = BufWriter::new(target.file.as_file_mut());
                convert(args, model, app, Stream::new(file, format)).await?
            };
            target.publish(head)
        }
    }
}

/// Gives what [`Stream::finish`] does.
async fn convert<W: Write>(
    args: &Args,
    model: Option<String>,
    app: &App,
    mut to: Stream<W>,
) -> anyhow::Result<Option<Vec<u8>>> {
    let voice = match args.voice.as_deref() {
        Some(name) => Some(voices::find(app, model.as_deref(), TaskKind::Convert, name).await?),
        None => None,
    };
    let name = || args.file.display().to_string();
    let recording = recording::read(&args.file).await.with_context(|| format!("{} cannot be read", name()))?;
    let options = ConvertOptions { voice, seed: args.seed, ..ConvertOptions::default() };
    let watching = progress::of_models(app.service().lifecycle().watch(), Box::new(|_| None));
    let begun = app.service().convert(call(name(), model), ConvertRequest { audio: recording.into(), options }).await;
    drop(watching);
    let mut converting = begun.with_context(name)?;
    let (bar, mut seconds) = (progress::of_sound(converting.seconds()), 0.0);
    while let Some(piece) = converting.next().await {
        match piece? {
            SpeechEvent::Audio(pcm) => {
                seconds += pcm.seconds();
                bar.set_position((seconds * 1000.0) as u64);
                to.push(&pcm)?;
            }
            SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => {}
            SpeechEvent::Done(_) => {
                bar.finish_and_clear();
                return Ok(to.finish()?);
            }
        }
    }
    anyhow::bail!("the conversion broke off")
}
