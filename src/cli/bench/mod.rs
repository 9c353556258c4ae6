//! `sconce bench`: what a model does on this machine, or on a server that runs, by requests over HTTP.
//!
//! A [`Subject`] is chosen, a [`Work`] made of it, then [`measure`] has a server load the model and
//! asks it: one [`level`] after the other, in rounds. What came of it is a [`Report`], which [`table`] writes.

mod args;
mod client;
mod events;
mod level;
mod loading;
mod measure;
mod own_server;
mod random;
mod report;
mod sound;
mod stats;
mod subject;
mod table;
mod vitals;
mod work;

use std::process::ExitCode;

pub(super) use self::args::Args;
use self::{
    client::Client,
    measure::Bench,
    random::Random,
    report::{About, Report},
    subject::Subject,
    vitals::Vitals,
    work::{Fields, Sound, Work},
};
use super::{
    exit::{INTERRUPTED, WrongUsage},
    out::{self, say},
    server::{RequestFailure, Server},
    signals::Signals,
};
use crate::{
    app::{self, Machine},
    speech::TaskKind,
};

/// `model` is what the command line names as the default model.
pub(super) async fn run(args: Args, model: Option<String>, config: app::Config) -> anyhow::Result<ExitCode> {
    let levels = args.levels().map_err(WrongUsage)?;
    let signals = Signals::listen()?;
    let measured = async {
        match &args.server {
            Some(url) => elsewhere(&args, levels, url, model, config).await,
            None => here(&args, levels, model, config).await,
        }
    };
    let report = tokio::select! {
        report = measured => report?,
        () = signals.at_least(1) => {
            eprintln!("error: interrupted");
            return Ok(INTERRUPTED.into());
        }
    };
    match args.json {
        true => say!("{}", serde_json::to_string_pretty(&report)?),
        false => out::write(format_args!("{}", table::text(&report))),
    }
    Ok(if report.is_something() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A model in this process.
async fn here(
    args: &Args,
    levels: Vec<usize>,
    model: Option<String>,
    mut config: app::Config,
) -> anyhow::Result<Report> {
    let catalog = subject::catalog(&mut config, args.model.as_deref())?;
    let entry = catalog.resolve(args.model.as_deref().or(model.as_deref()))?;
    let subject = Subject::of_entry(entry, args.task)?;
    let random = match args.random_weights {
        true => Some(random::take_place(&mut config, &catalog, entry, args.seed)?),
        false => None,
    };
    let (work, tokens) = works(args, &subject, random.as_ref(), &config).await?;
    let machine = Machine::here(&config);
    let about = About::here(args, &subject, &work, machine);
    own_server::during(config, async |url| {
        let (server, client) = (Server::at_home(url.clone(), None)?, Client::new(&url, None, true)?);
        let vitals = Vitals::Own;
        Bench { client, server: Some(&server), vitals, work, tokens, subject, levels, args }.run(about).await
    })
    .await
}

/// One on a server that runs.
async fn elsewhere(
    args: &Args,
    levels: Vec<usize>,
    url: &reqwest::Url,
    model: Option<String>,
    config: app::Config,
) -> anyhow::Result<Report> {
    let server = Server::elsewhere(url, args.key.clone())?;
    let client = Client::new(url.as_str(), args.key.clone(), false)?;
    let asked = args.model.as_deref().or(model.as_deref());
    let subject = match server.status().await {
        Ok(status) => Subject::of_status(&status, asked, args.task)?,
        // A server of another kind.
        Err(trouble @ (RequestFailure::Strange { .. } | RequestFailure::Refused { .. })) => match (asked, args.task) {
            (Some(model), Some(task)) => Subject::of_peer(model, task),
            _ => anyhow::bail!(
                "{trouble}. A server of another kind is asked as OpenAI's clients do: name a MODEL and --task"
            ),
        },
        Err(trouble) => return Err(trouble.into()),
    };
    // Whoever may use a model may not see what is counted.
    let counted = server.values().await.ok().filter(|_| subject.is_ours);
    let version = counted.and_then(|values| values.label("sconce_build_info", "version").map(str::to_owned));
    let (work, tokens) = works(args, &subject, None, &config).await?;
    let about = About::elsewhere(args, &subject, &work, version);
    let known = subject.is_ours.then_some(&server);
    let vitals = known.map_or(Vitals::Unknown, Vitals::Elsewhere);
    Bench { client, server: known, vitals, work, tokens, subject, levels, args }.run(about).await
}

/// What is asked, and what tells the tokens of it.
async fn works(
    args: &Args,
    subject: &Subject,
    random: Option<&Random>,
    config: &app::Config,
) -> anyhow::Result<(Work, Option<Work>)> {
    let own = random.map(|random| random.model.fields()).unwrap_or_default();
    let own = own.iter().filter(|(name, _)| args.fields.iter().all(|(other, _)| other != name));
    let own = own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let fields: Fields = own.chain(args.fields.iter().cloned()).collect();
    let model = &subject.model;
    Ok(match subject.task {
        TaskKind::Synthesize => (Work::speak(model, args.text(), &fields), None),
        TaskKind::Convert => (Work::convert(model, &recording(args, random, config).await?, &fields), None),
        TaskKind::Transcribe => {
            let sound = recording(args, random, config).await?;
            (Work::transcribe(model, &sound, &fields), Some(Work::count_tokens(model, &sound, &fields)))
        }
    })
}

async fn recording(args: &Args, random: Option<&Random>, config: &app::Config) -> anyhow::Result<Sound> {
    let longest = random.map(|random| random.model.longest_sound());
    if let (Some(longest), Some(asked)) = (longest, args.sound_seconds)
        && asked > longest
    {
        let message = format!("--sound-seconds {asked}: with --random-weights {longest} at most would be right");
        return Err(WrongUsage(message).into());
    }
    match &args.file {
        Some(path) => sound::named(path, args.sound_seconds.or(longest)).await,
        None => sound::made(config.clone(), args.sound_seconds.unwrap_or(args::USUAL_SOUND)).await,
    }
}
