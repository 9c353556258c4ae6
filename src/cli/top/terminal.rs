//! The terminal: taken over, and given back as it was, also after a panic.

use std::{io, thread};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event},
};
use tokio::sync::mpsc;

/// Keys that wait for a moment.
const KEYS: usize = 64;

/// A terminal whose screen is this program's until it is dropped.
pub(super) struct Terminal(DefaultTerminal);

// === impl Terminal ===

impl Terminal {
    pub fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }

    pub fn draw(&mut self, show: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(show).map(drop)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What is typed, and changes of the size. The thread waits for a key when the program ends, and ends with it.
pub(super) fn keys() -> io::Result<mpsc::Receiver<Event>> {
    let (sender, receiver) = mpsc::channel(KEYS);
    let listen = move || while event::read().is_ok_and(|event| sender.blocking_send(event).is_ok()) {};
    thread::Builder::new().name("keys".to_owned()).spawn(listen)?;
    Ok(receiver)
}
