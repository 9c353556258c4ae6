//! A recording that is decoded while it comes in, by a thread that may wait.

use std::{
    future::pending,
    io::{self, Read},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    audio::{DecodeError, LiveSound, TimeOrigin, decode_live},
    http::{arriving::ArrivingRecording, problem::Problem},
};

/// Hertz at which the sound is decoded and looked at; models get theirs.
pub const RATE: u32 = 16_000;
/// Pieces that may wait for the decoder, and for the session.
const PIECES: usize = 8;

/// What comes of it.
pub enum Sound {
    Samples(Vec<f32>),
    /// The end. Whether the recording broke off.
    End {
        broke_off: bool,
    },
    /// What was wrong with it after some sound.
    Wrong(DecodeError),
}

/// What the decoder's thread tells.
enum Told {
    Opened,
    Samples(Vec<f32>),
    Over(Result<bool, DecodeError>),
}

/// A recording that is decoded while it comes in. Dropping it ends the work.
pub struct Decoding {
    pump: Pump,
    told: Receiver<Told>,
}

/// What moves bytes from the form to the decoder.
struct Pump {
    recording: Box<ArrivingRecording>,
    /// Nothing more comes, if absent.
    bytes: Option<Sender<Bytes>>,
    /// What came before.
    beginning: Option<Bytes>,
    /// Whether all that comes is kept.
    keeps: bool,
    /// How long nothing may come.
    patience: Duration,
    broke_off: bool,
}

/// The bytes of the recording, where reading waits.
struct Incoming {
    pieces: Receiver<Bytes>,
    rest: Bytes,
}

// === impl Decoding ===

impl Decoding {
    /// Begins, and waits until it is known whether this is a recording that can be heard from its front; if not, all that came
    /// of it is kept.
    pub async fn begin(
        recording: Box<ArrivingRecording>,
        longest: Duration,
        origin: TimeOrigin,
        patience: Duration,
    ) -> Result<Result<Self, Box<ArrivingRecording>>, Problem> {
        let ((bytes, pieces), (tell, mut told)) = (channel(PIECES), channel(PIECES));
        let hint = recording.hint.clone();
        let decode = move || {
            let mut hear = |sound: LiveSound<'_>| {
                let told = match sound {
                    LiveSound::Opened => Told::Opened,
                    LiveSound::Samples(samples) => Told::Samples(samples.to_vec()),
                };
                tell.blocking_send(told).is_ok()
            };
            let incoming = Incoming { pieces, rest: Bytes::new() };
            let outcome = decode_live(incoming, hint.as_deref(), RATE, longest, origin, &mut hear);
            // Nobody may listen any more.
            let _ = tell.blocking_send(Told::Over(outcome));
        };
        drop(spawn_blocking(decode));
        let (beginning, bytes) = (Some(recording.so_far()), Some(bytes));
        let mut pump = Pump { recording, bytes, beginning, keeps: true, patience, broke_off: false };
        let first = tokio::select! {
            biased;
            first = told.recv() => first,
            problem = pump.run() => return Err(problem),
        };
        match first {
            Some(Told::Opened) => {
                pump.keeps = false;
                pump.recording.forget();
                Ok(Ok(Self { pump, told }))
            }
            _ => Ok(Err(pump.recording)),
        }
    }

    /// What comes next. May be dropped and called again at any time.
    pub async fn next(&mut self) -> Sound {
        let told = tokio::select! {
            biased;
            told = self.told.recv() => told,
            // What is wrong with the rest of the form is for its end.
            _ = self.pump.run() => None,
        };
        match told {
            Some(Told::Opened) => Sound::Samples(Vec::new()),
            Some(Told::Samples(samples)) => Sound::Samples(samples),
            Some(Told::Over(Err(error))) => Sound::Wrong(error),
            Some(Told::Over(Ok(broke_off))) => Sound::End { broke_off: broke_off || self.pump.broke_off },
            None => Sound::End { broke_off: true },
        }
    }

    /// Whether something follows the recording in its form.
    pub async fn leaves_more(self) -> bool {
        let whole = !self.pump.broke_off;
        whole && matches!(timeout(self.pump.patience, self.pump.recording.ends_its_form()).await, Ok(Ok(false)))
    }
}

// === impl Pump ===

impl Pump {
    /// Moves bytes until there is a problem with keeping them. May be dropped and called again at any time.
    async fn run(&mut self) -> Problem {
        loop {
            let Some(bytes) = self.bytes.clone() else { return pending().await };
            let Ok(place) = bytes.reserve().await else {
                // The decoder has ended, and tells why.
                self.bytes = None;
                continue;
            };
            if let Some(beginning) = self.beginning.take() {
                place.send(beginning);
                continue;
            }
            let next = match self.keeps {
                true => timeout(self.patience, self.recording.keep_next()).await,
                false => timeout(self.patience, self.recording.next()).await,
            };
            match next {
                Ok(Ok(Some(chunk))) => place.send(chunk),
                Ok(Ok(None)) => self.bytes = None,
                Ok(Err(problem)) if self.keeps => return problem,
                // The sender stopped in the middle.
                Ok(Err(_)) | Err(_) => (self.bytes, self.broke_off) = (None, true),
            }
        }
    }
}

// === impl Incoming ===

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
