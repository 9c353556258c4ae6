//! `sconce phonemes`.

use std::process::ExitCode;

use anyhow::Context;

use super::out::say;
use crate::{app, text::Phonemizer};

/// Print how a text sounds, in the International Phonetic Alphabet, for the lexicon and for SSML
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The text
    text: String,
    /// Of the text, as a BCP 47 tag
    #[arg(long, default_value = "en-us")]
    language: String,
}

pub(super) async fn run(args: Args, config: app::Config) -> anyhow::Result<ExitCode> {
    let phonemizer = phonemizer(&config)?;
    let said = tokio::task::spawn_blocking(move || phonemizer.phonemes(&args.language, &args.text)).await??;
    say!("{said}");
    Ok(ExitCode::SUCCESS)
}

/// That of the first family that has one.
fn phonemizer(config: &app::Config) -> anyhow::Result<Box<dyn Phonemizer>> {
    for family in config.catalog.families {
        if let Some(phonemizer) = family.phonemizer(&config.catalog.programs)? {
            return Ok(phonemizer);
        }
    }
    None.context("no family of this program knows phonemes")
}
