//! `sconce transcribe`: the server's own way from sound to text, without a server.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::ValueEnum;
use indicatif::ProgressBar;
use serde_json::json;

use super::{
    call::call,
    out::{self, say},
    output_file::OutputFile,
    progress, recording,
};
use crate::{
    app::{self, App},
    service::{Recording, Service, TranscribeRequest},
    speech::{self, Segment, Timestamps, Tracks, TranscribeMode, TranscribeOptions, Transcript, TranscriptEvent},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Recordings, of any common format; - reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Subtitles of several recordings (srt, vtt) go into files beside them
    #[arg(long, default_value = "text")]
    format: Format,
    /// Spoken language, for example en or german; detected if absent
    #[arg(long)]
    language: Option<String>,
    /// Write English, whatever is spoken
    #[arg(long)]
    translate: bool,
    /// Place every word in time (json only)
    #[arg(long)]
    words: bool,
    /// Text that came before, or words to expect
    #[arg(long)]
    prompt: Option<String>,
    /// Hear each channel by itself, such as the sides of a call, or all of them as one
    #[arg(long, default_value = "mix")]
    channels: Channels,
    /// Which audio track, from 0, where there are several; all, each by itself; mix, all as one; or auto, the first that is
    /// not silent
    #[arg(long, default_value = "auto", value_name = "N|all|mix|auto")]
    track: Tracks,
    /// Tell who says what; `audio.speaker_network` names the network that does so
    #[arg(long, conflicts_with = "channels")]
    diarize: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Channels {
    Mix,
    Separate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Srt,
    Vtt,
    Json,
}

pub(super) async fn run(args: Args, config: app::Config) -> anyhow::Result<ExitCode> {
    let beside = args.files.len() > 1 && matches!(args.format, Format::Srt | Format::Vtt);
    anyhow::ensure!(
        !(beside && args.files.iter().any(|file| file.as_os_str() == "-")),
        "subtitles of several recordings go into files beside them, and standard input has no place; transcribe it by itself"
    );
    let app = App::build(config)?;
    let mut code = ExitCode::SUCCESS;
    for file in &args.files {
        let transcript = transcribe(&args, file, app.service()).await;
        for warning in transcript.iter().flat_map(|transcript| &transcript.warnings) {
            eprintln!("{}: {}", file.display(), warning.message);
        }
        let told = transcript.and_then(|transcript| match beside {
            true => save(&args, file, &transcript),
            false => {
                print(&args, file, &transcript);
                Ok(())
            }
        });
        match told {
            Ok(()) => {}
            Err(error) => {
                eprintln!("{}: {}", file.display(), out::reason(&error));
                code = ExitCode::FAILURE;
            }
        }
    }
    app.stop().await;
    Ok(code)
}

async fn transcribe(args: &Args, file: &Path, service: &Service) -> anyhow::Result<Transcript> {
    let recording = recording::read(file).await.context("cannot be read")?;
    let watching = progress::of_models(service.lifecycle().watch(), Box::new(|_| None));
    let id = file.display().to_string();
    let mut transcription = service.transcribe(call(id, None), listen(args, recording)?).await?;
    drop(watching);
    let (bar, mut segments) = (progress::of_sound(transcription.seconds()), Vec::new());
    while let Some(piece) = transcription.next().await {
        match piece? {
            TranscriptEvent::Segment(segment) => segments.push(advance(&bar, segment)),
            TranscriptEvent::Partial(_) => {}
            TranscriptEvent::Done(summary) => {
                bar.finish_and_clear();
                return Ok(transcription.transcript(segments, summary));
            }
        }
    }
    anyhow::bail!("the transcription broke off")
}

fn advance(bar: &ProgressBar, segment: Segment) -> Segment {
    bar.set_position((segment.end * 1000.0) as u64);
    segment
}

fn listen(args: &Args, recording: Recording) -> anyhow::Result<TranscribeRequest> {
    Ok(TranscribeRequest {
        audio: recording.into(),
        options: TranscribeOptions {
            track: args.track,
            language: args.language.clone(),
            mode: if args.translate { TranscribeMode::Translate } else { TranscribeMode::Transcribe },
            prompt: args.prompt.clone(),
            channels: args.channels.into(),
            diarize: args.diarize,
            timestamps: if args.words { Timestamps::Word } else { Timestamps::Segment },
            ..TranscribeOptions::default()
        }
        .checked()?,
        voice_activity: None,
        known_speakers: Vec::new(),
    })
}

impl From<Channels> for speech::Channels {
    fn from(channels: Channels) -> Self {
        match channels {
            Channels::Mix => Self::Mix,
            Channels::Separate => Self::Separate,
        }
    }
}

/// Writes subtitles beside their recording: one file of several would be none that a player reads.
fn save(args: &Args, file: &Path, transcript: &Transcript) -> anyhow::Result<()> {
    let (extension, text) = match args.format {
        Format::Vtt => ("vtt", transcript.vtt()),
        _ => ("srt", transcript.srt()),
    };
    let mut output = OutputFile::beside(&file.with_extension(extension))?;
    output.file.write_all(text.as_bytes()).context("the subtitles cannot be written")?;
    say!("{}", output.path.display());
    output.publish(None)
}

fn print(args: &Args, file: &Path, transcript: &Transcript) {
    match args.format {
        Format::Text => say!("{}", transcript.text()),
        Format::Srt => out::write(format_args!("{}", transcript.srt())),
        Format::Vtt => out::write(format_args!("{}", transcript.vtt())),
        // One line per recording, so that the output of many is still readable by programs.
        Format::Json => say!("{}", json(args, file, transcript)),
    }
}

fn json(args: &Args, file: &Path, transcript: &Transcript) -> serde_json::Value {
    let mut value = json!({
        "file": file,
        "model": transcript.model,
        "language": transcript.summary.language,
        "duration": transcript.summary.duration,
        "text": transcript.text(),
        "segments": transcript.segments,
    });
    for (name, number) in transcript.parts.fields() {
        value[name] = json!(number);
    }
    if !transcript.warnings.is_empty() {
        value["warnings"] = json!(transcript.warnings);
    }
    if args.words {
        value["words"] = json!(transcript.words());
    }
    value
}
