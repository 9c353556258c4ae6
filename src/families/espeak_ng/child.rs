//! The program as a process of its own: text goes in, sound comes out, and nothing is left of it when nobody listens.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::{ChildStderr, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use super::wave::WaveReader;
use crate::{
    audio::Pcm,
    model::Signal,
    process::{ChildLimits, Ending, Pipes, Process, alone},
};

/// Bytes of sound that are read at once: a third of a second.
const BLOCK: usize = 16 << 10;
/// Blocks that are read ahead of who takes them.
const AHEAD: usize = 8;
/// Bytes that a process may map: espeak-ng has 30 MB of them, its voices among these.
const LIMITS: ChildLimits = ChildLimits { mapped: Some(1 << 30) };
/// Bytes of what it complains of, as far as that is told.
const COMPLAINT: u64 = 300;
/// For an answer, on a machine that has much else to do.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer, at most; the list of voices of espeak-ng 1.51 has 11 000.
const LONGEST_ANSWER: u64 = 1 << 20;

/// A text that a process is speaking. Dropping it ends the process.
pub struct Utterance {
    pub pieces: Receiver<Piece>,
    _process: Process,
}

/// What comes of it.
#[derive(Debug)]
pub enum Piece {
    Sound(Pcm),
    /// Once, last; an error says why it is not whole.
    End(Result<(), String>),
}

/// What the program writes in answer to a command line and to a text, where it reads one, within bounds of time and size.
pub fn answer(program: &Path, arguments: &[&str], text: Option<String>) -> Result<String, String> {
    let mut command = Command::new(program);
    let stdin = if text.is_some() { Stdio::piped() } else { Stdio::null() };
    command.args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::null());
    let (process, pipes) = Process::start(alone(&mut command), LIMITS).map_err(|error| error.to_string())?;
    let (sender, received) = mpsc::sync_channel(1);
    let ending = process.ending();
    let read = move || {
        let mut bytes = Vec::new();
        // Who does not read to the end says by its status why.
        let _ = pipes.stdin.zip(text).map_or(Ok(()), |(mut stdin, text)| stdin.write_all(text.as_bytes()));
        let read = pipes.stdout.map_or(Ok(0), |stdout| stdout.take(LONGEST_ANSWER + 1).read_to_end(&mut bytes));
        let ended = match bytes.len() as u64 > LONGEST_ANSWER {
            true => Err(format!("it says more than {LONGEST_ANSWER} bytes")),
            false => read.and_then(|_| ending.wait()).map_err(|error| error.to_string()),
        };
        // Who asked may have given up.
        let _ = sender.send(ended.and_then(|status| match status.success() {
            true => Ok(bytes),
            false => Err(status.to_string()),
        }));
    };
    thread::Builder::new().name("espeak-ng".to_owned()).spawn(read).map_err(|error| error.to_string())?;
    let silent = |_| Err(format!("it says nothing for {} s", ANSWER_PATIENCE.as_secs()));
    let bytes = received.recv_timeout(ANSWER_PATIENCE).unwrap_or_else(silent)?;
    String::from_utf8(bytes).map_err(|_| "it says what is no text".to_owned())
}

/// The text as the program is to read it: it would take `[[…]]` for phonemes of its own, which ends what is marked up, and control characters for
/// commands.
pub fn written(text: &str) -> String {
    text.replace("[[", "[ [").replace("]]", "] ]").replace(|c: char| c.is_control() && c != '\n', " ")
}

// === impl Utterance ===

impl Utterance {
    /// Has the program speak a text. `signal` is raised whenever there is a piece.
    pub fn start(program: &Path, arguments: &[String], text: String, signal: Arc<Signal>) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (process, pipes) = Process::start(alone(&mut command), LIMITS)?;
        let (sender, pieces) = mpsc::sync_channel(AHEAD);
        let listener = Listener { ending: process.ending(), sender, signal };
        thread::Builder::new().name("espeak-ng".to_owned()).spawn(move || listener.run(&text, pipes))?;
        Ok(Self { pieces, _process: process })
    }
}

/// Waits for what a process says, on a thread that has nothing else to do.
struct Listener {
    ending: Ending,
    sender: SyncSender<Piece>,
    signal: Arc<Signal>,
}

/// Nobody takes what is read any more.
struct Left;

// === impl Listener ===

impl Listener {
    fn run(self, text: &str, pipes: Pipes) {
        let Pipes { stdin, stdout, stderr } = pipes;
        // Who does not read to the end says by its status why.
        let _ = stdin.map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()));
        let heard = stdout.map_or(Ok(Ok(())), |stdout| self.hear(stdout));
        if let Ok(heard) = heard {
            let end = heard.and_then(|()| self.end(stderr));
            // Who left needs no end.
            let _ = self.send(Piece::End(end));
        }
    }

    fn hear(&self, mut stdout: ChildStdout) -> Result<Result<(), String>, Left> {
        let (mut reader, mut block) = (WaveReader::default(), vec![0; BLOCK]);
        loop {
            let read = match stdout.read(&mut block) {
                Ok(0) => return Ok(Ok(())),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error.to_string())),
            };
            match reader.push(&block[..read]) {
                Ok(Some((rate, samples))) => self.send(Piece::Sound(Pcm::new(samples, rate)))?,
                Ok(None) => {}
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
    }

    fn end(&self, stderr: Option<ChildStderr>) -> Result<(), String> {
        let status = self.ending.wait().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        let mut complaint = Vec::new();
        // What it does not say is not needed.
        let _ = stderr.map_or(Ok(0), |stderr| stderr.take(COMPLAINT).read_to_end(&mut complaint));
        Err(format!("{status}: {}", String::from_utf8_lossy(&complaint).trim()))
    }

    fn send(&self, piece: Piece) -> Result<(), Left> {
        let sent = self.sender.send(piece).map_err(|_| Left);
        self.signal.raise();
        sent
    }
}
