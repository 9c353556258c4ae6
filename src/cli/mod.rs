//! The command line: one file per command. Whoever prints to standard output is in here.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod address;
mod bench;
mod cache;
mod call;
mod convert;
mod exit;
mod healthcheck;
mod models;
mod out;
mod output_file;
mod phonemes;
mod progress;
mod pull;
mod recording;
mod serve;
mod server;
mod signals;
mod sound;
mod speak;
mod top;
mod transcribe;
mod units;
mod verify;
mod voices;

use std::{future::Future, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::exit::USAGE;
use crate::{
    app::BuildError,
    catalog::Catalog,
    config::{self, Loaded, Origin, Overrides, Sources},
    model::{Availability, Family},
    process, telemetry,
};

/// One container that serves speech models, and loads them the way production asks.
#[derive(Debug, Parser)]
#[command(name = "sconce", version, about, max_term_width = 100)]
struct Args {
    #[command(flatten)]
    overrides: Overrides,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve models over HTTP (what happens without a command)
    Serve,
    Pull(pull::Pull),
    /// Check the files of models on this machine against their manifests
    Verify(verify::Verify),
    /// Look after the files of models on this machine
    #[command(subcommand)]
    Cache(cache::Cache),
    /// List the models that there are
    Models,
    /// Write recordings down
    Transcribe(transcribe::Args),
    Speak(speak::Args),
    Convert(convert::Args),
    Voices(voices::Args),
    Phonemes(phonemes::Args),
    Top(top::Args),
    Bench(bench::Args),
    /// Ask a running server whether it is healthy; the exit code is 0 if so
    Healthcheck(healthcheck::Healthcheck),
    CheckConfig(CheckConfig),
}

/// Print the effective configuration and where each value came from
#[derive(Debug, clap::Args)]
struct CheckConfig {
    /// Leave out what is as it is by default
    #[arg(long)]
    changed: bool,
}

/// The program: exit code 0 is success, 1 is failure, 2 is wrong usage or configuration.
pub fn main() -> ExitCode {
    start(None)
}

/// The same for a program that serves other kinds of models than the library has.
pub fn serving(families: &'static [&'static dyn Family]) -> ExitCode {
    start(Some(families))
}

fn start(families: Option<&'static [&'static dyn Family]>) -> ExitCode {
    // A process of ours between the server and a program: nothing else may have begun.
    if let Some(code) = process::attend(std::env::args_os()) {
        return code;
    }
    let matches =
        Overrides::of_servers(Args::command(), &["serve", "check-config", "healthcheck", "top"]).get_matches();
    let Args { overrides, command } = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let sources = Sources { families, ..Sources::of_process(overrides) };
    let loaded = match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(faults) => {
            eprintln!("{faults}");
            return USAGE.into();
        }
    };
    if let Some(Command::CheckConfig(asked)) = command {
        return check(&loaded, &asked);
    }
    let command = command.unwrap_or(Command::Serve);
    match telemetry::init(&telemetry_config(&loaded, &command)) {
        Ok(_outlet) => run(loaded, sources, command),
        Err(error) => {
            eprintln!("{error}");
            USAGE.into()
        }
    }
}

/// The effective configuration, and whether the models that it names can be told apart and found.
fn check(loaded: &Loaded, asked: &CheckConfig) -> ExitCode {
    let report = if asked.changed { loaded.report.changed() } else { loaded.report.clone() };
    out::write(format_args!("{report}"));
    match Catalog::new(&loaded.config.catalog) {
        Ok(catalog) => {
            for entry in catalog.listed() {
                if let Availability::Unsupported(reason) = &entry.availability {
                    eprintln!("note: {} cannot be served here: {reason}", entry.name);
                }
            }
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprintln!("{}", BuildError::Catalog(faults));
            USAGE.into()
        }
    }
}

/// Commands that talk to a person by themselves log what is wrong and no more, unless somebody wants it otherwise; only
/// the server has requests to trace.
fn telemetry_config(loaded: &Loaded, command: &Command) -> telemetry::Config {
    let by_default = loaded.report.get("log.level").is_none_or(|row| matches!(row.origin, Origin::Default));
    let mut config = loaded.config.telemetry.clone();
    if matches!(command, Command::Serve) {
        return config;
    }
    config.traces.endpoint = None;
    if by_default {
        // Why a model failed the command says itself.
        config.log_level = "warn,sconce::lifecycle::log=off".to_owned();
    }
    config
}

fn run(loaded: Loaded, sources: Sources, command: Command) -> ExitCode {
    let config = loaded.config.clone();
    match command {
        Command::Serve => on_runtime(serve::serve(loaded, sources)),
        Command::Pull(pull) => on_runtime(pull.run(config)),
        Command::Verify(verify) => on_runtime(verify.run(config)),
        Command::Cache(cache) => on_runtime(cache.run(config)),
        Command::Models => on_runtime(models::run(config)),
        Command::Transcribe(args) => on_runtime(transcribe::run(args, config)),
        Command::Speak(args) => on_runtime(speak::run(args, named_model(&loaded), config)),
        Command::Convert(args) => on_runtime(convert::run(args, named_model(&loaded), config)),
        Command::Voices(args) => on_runtime(voices::run(args, config)),
        Command::Phonemes(args) => on_runtime(phonemes::run(args, config)),
        Command::Top(args) => on_runtime(top::run(args, config)),
        Command::Bench(args) => on_runtime(bench::run(args, named_model(&loaded), config)),
        Command::Healthcheck(check) => on_runtime(check.run(config)),
        Command::CheckConfig(_) => ExitCode::SUCCESS,
    }
}

/// The model that the command line names, not the one that a server would have as its default.
fn named_model(loaded: &Loaded) -> Option<String> {
    let row = loaded.report.get("default_model").filter(|row| matches!(row.origin, Origin::Flag(_)));
    row.map(|row| row.value.clone())
}

/// Runs a command to its end, and does not wait for what it left behind.
fn on_runtime(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the asynchronous runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(command).unwrap_or_else(|error| {
        eprintln!("error: {}", out::reason(&error));
        exit::code(&error).into()
    });
    runtime.shutdown_background();
    code
}
