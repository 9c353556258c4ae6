//! `sconce top`: what a server does, while it does it.
//!
//! It goes one way: a [`Server`] is asked, [`screen`] remembers and obeys keys, [`figures`] computes, [`draw`] shows. The figures are
//! defined as those of the page at `/` are.

mod draw;
mod figures;
mod screen;
mod terminal;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::{Duration, Instant},
};

use ratatui::crossterm::event::Event;
use tokio::time::{interval, sleep};

use self::{
    screen::{Next, Screen},
    terminal::{Terminal, keys},
};
use super::{
    address::at_home,
    out,
    server::{RequestFailure, Sample, Server},
    signals::Signals,
};
use crate::app;

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_secs(1);

/// Show the models of a running server and its requests, live
///
/// Keys: q quits, the arrows or j and k select a model, s sorts, ? shows the keys.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which server to ask; the one that the configuration describes if absent
    #[arg(long, value_name = "URL", env = "SCONCE_URL")]
    url: Option<reqwest::Url>,
    /// A key that the server knows. Others on this machine see what stands on a command line
    #[arg(long, env = "SCONCE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Print how it is now as text, and end; so it is too where standard output is no terminal
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(args: Args, config: app::Config) -> anyhow::Result<ExitCode> {
    let server = match &args.url {
        Some(url) => Server::elsewhere(url, args.key)?,
        None => Server::at_home(at_home(&config.server), args.key)?,
    };
    match args.once || !io::stdout().is_terminal() {
        true => print(&server).await,
        false => watch(server).await,
    }
}

/// What a script reads. Nothing was counted before, so that the numbers are those since the server's start.
async fn print(server: &Server) -> anyhow::Result<ExitCode> {
    let mut screen = Screen::new(server.url());
    screen.learn(Ok(server.read().await?));
    out::write(format_args!("{}", draw::text(&screen, Instant::now())));
    Ok(ExitCode::SUCCESS)
}

async fn watch(server: Server) -> anyhow::Result<ExitCode> {
    let (mut terminal, mut keys, mut screen) = (Terminal::open()?, keys()?, Screen::new(server.url()));
    let mut left = Box::pin(Signals::listen()?.at_least(1));
    // Times go on between two answers.
    let mut clock = interval(PAUSE);
    let mut reading = Box::pin(read(&server, Duration::ZERO));
    loop {
        terminal.draw(|frame| draw::frame(&screen, Instant::now(), frame.area(), frame.buffer_mut()))?;
        tokio::select! {
            outcome = &mut reading => {
                screen.learn(outcome);
                reading = Box::pin(read(&server, PAUSE));
            }
            event = keys.recv() => match event {
                Some(Event::Key(key)) if screen.press(key) == Next::Leave => break,
                Some(_) => {}
                None => break,
            },
            _ = clock.tick() => {}
            () = &mut left => break,
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(server: &Server, pause: Duration) -> Result<Sample, RequestFailure> {
    sleep(pause).await;
    server.read().await
}
