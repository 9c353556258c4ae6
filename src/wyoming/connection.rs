//! One connection, from its first event to its last.

use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{
    config::Config,
    event::{ClientEvent, TranscribeWish, VoiceWish},
    frame::{Frame, FrameError, FrameReader},
    info::info,
    listen::{Listening, error},
    speak::{self, Sound, Writing},
};
use crate::{
    service::{
        Service,
        live::{LiveEnd, Reading},
    },
    speech::{Kind, Problem},
};

/// One connection.
pub(super) struct Connection {
    reader: FrameReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    service: Service,
    config: Config,
    stopping: watch::Receiver<bool>,
    /// How the next sound is to be heard.
    wish: TranscribeWish,
    listening: Option<Listening>,
    writing: Option<Writing>,
}

/// The connection is over.
struct Over(LiveEnd);

type Going = Result<(), Over>;

/// What happens next.
enum ConnectionEvent {
    Frame(Result<Option<Frame>, FrameError>),
    Heard(Vec<Frame>, bool),
    Again,
    Idle,
    Stopping,
}

// === impl Connection ===

impl Connection {
    pub fn new(stream: TcpStream, service: Service, config: Config, stopping: watch::Receiver<bool>) -> Self {
        let (reader, writer) = stream.into_split();
        let reader = FrameReader::new(reader, (&config).into());
        let wish = TranscribeWish::default();
        Self { reader, writer, service, config, stopping, wish, listening: None, writing: None }
    }

    /// Until one side ends it.
    pub async fn run(mut self) {
        let Err(Over(end)) = self.serve().await else { return };
        if let Some(listening) = self.listening.take() {
            listening.finish(end);
        }
    }

    async fn serve(&mut self) -> Going {
        let mut heard_at = Instant::now();
        loop {
            let whole = self.listening.as_ref().is_some_and(Listening::is_whole);
            let reading = self.listening.as_ref().map_or(Reading::Now, Listening::reading);
            let happening = tokio::select! {
                biased;
                // What is under way is finished.
                () = told(&mut self.stopping), if self.listening.is_none() && self.writing.is_none() => ConnectionEvent::Stopping,
                (frames, last) = heard(&mut self.listening) => ConnectionEvent::Heard(frames, last),
                frame = self.reader.next(), if reading == Reading::Now => ConnectionEvent::Frame(frame),
                () = reading.changes() => ConnectionEvent::Again,
                () = sleep_until(heard_at + self.config.idle), if !whole => ConnectionEvent::Idle,
            };
            match happening {
                ConnectionEvent::Frame(Ok(Some(frame))) => {
                    self.frame(frame).await?;
                    // After it: a long text takes its time to be spoken, and is no silence of the client's.
                    heard_at = Instant::now();
                }
                ConnectionEvent::Frame(Ok(None)) => return Err(Over(LiveEnd::Left)),
                ConnectionEvent::Frame(Err(FrameError::Io(_) | FrameError::BrokenOff)) => {
                    return Err(Over(LiveEnd::Left));
                }
                // Nothing that follows can be told apart.
                ConnectionEvent::Frame(Err(wrong)) => {
                    self.send(&[error(&Problem::new(Kind::Invalid, wrong.to_string()))]).await?;
                    return Err(Over(LiveEnd::Malformed));
                }
                ConnectionEvent::Heard(frames, last) => {
                    if last && let Some(listening) = self.listening.take() {
                        listening.finish(LiveEnd::Left);
                        heard_at = Instant::now();
                    }
                    self.send(&frames).await?;
                }
                ConnectionEvent::Again => {}
                ConnectionEvent::Idle => return Err(Over(LiveEnd::Idle)),
                ConnectionEvent::Stopping => return Err(Over(LiveEnd::Stopping)),
            }
        }
    }

    async fn frame(&mut self, frame: Frame) -> Going {
        let event = match ClientEvent::read(frame) {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(()),
            Err(problem) => return self.send(&[error(&problem)]).await,
        };
        match event {
            ClientEvent::Describe => {
                let info = info(&self.service.catalog());
                self.send(&[Frame::new("info", info)]).await
            }
            ClientEvent::Ping { text } => self.send(&[Frame::new("pong", json!({"text": text}))]).await,
            ClientEvent::Transcribe(wish) => {
                self.wish = wish;
                Ok(())
            }
            ClientEvent::AudioStart(format) => {
                self.listening = None;
                let begun = Listening::begin(&self.service, &self.config, &self.wish, format);
                match begun {
                    Ok(listening) => {
                        self.listening = Some(listening);
                        Ok(())
                    }
                    Err(wrong) => self.send(&[error(&wrong.into())]).await,
                }
            }
            ClientEvent::AudioChunk(format, payload) => {
                // After a refusal what follows of the sound is passed over.
                // So is what comes after the end of it.
                let Some(listening) = self.listening.as_mut().filter(|listening| !listening.is_whole()) else {
                    return Ok(());
                };
                match listening.hear(format, &payload) {
                    Ok(()) => Ok(()),
                    Err(problem) => {
                        self.listening = None;
                        self.send(&[error(&problem)]).await
                    }
                }
            }
            ClientEvent::AudioStop => self.stop_listening().await,
            ClientEvent::Synthesize { text, wish } => self.synthesize(text, wish).await,
            ClientEvent::SynthesizeStart(wish) => match Writing::new(wish) {
                Ok(writing) => {
                    self.writing = Some(writing);
                    Ok(())
                }
                Err(problem) => self.send(&[error(&problem)]).await,
            },
            ClientEvent::SynthesizeChunk(text) => self.write(&text).await,
            ClientEvent::SynthesizeStop => self.stop_writing().await,
        }
    }

    async fn stop_listening(&mut self) -> Going {
        // Of a second end nothing follows: the text of the first is on its way.
        let Some(listening) = self.listening.as_mut().filter(|listening| !listening.is_whole()) else {
            return Ok(());
        };
        let frames = match listening.stop() {
            Ok(None) => return Ok(()),
            Ok(Some(frames)) => frames,
            Err(problem) => vec![error(&problem)],
        };
        self.listening = None;
        self.send(&frames).await
    }

    /// A whole text. Where it comes in parts as well, this is for servers that do not know of those.
    async fn synthesize(&mut self, text: String, wish: VoiceWish) -> Going {
        if self.writing.is_some() {
            return Ok(());
        }
        let mut sound = Sound::default();
        match self.say(text, &wish, &mut sound).await? {
            // An end that clients wait for, also where there was nothing to be heard.
            Ok(()) => self.send(&sound.stop().into_iter().collect::<Vec<_>>()).await,
            Err(problem) => self.send(&[error(&problem)]).await,
        }
    }

    async fn write(&mut self, text: &str) -> Going {
        let most = self.service.config().max_text;
        let Some(writing) = &mut self.writing else { return Ok(()) };
        match writing.push(text, most) {
            Ok(None) => Ok(()),
            Ok(Some(whole)) => self.say_part(whole).await,
            Err(problem) => {
                self.writing = None;
                self.send(&[error(&problem)]).await
            }
        }
    }

    async fn stop_writing(&mut self) -> Going {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        if let Some(rest) = writing.rest() {
            self.say_part(rest).await?;
        }
        let stop = self.writing.take().and_then(|mut writing| std::mem::take(writing.sound()).stop());
        let mut frames: Vec<Frame> = stop.into_iter().collect();
        frames.push(Frame::new("synthesize-stopped", Value::Null));
        self.send(&frames).await
    }

    /// What is written of a text so far.
    async fn say_part(&mut self, text: String) -> Going {
        let Some(mut writing) = self.writing.take() else { return Ok(()) };
        let wish = writing.wish();
        let rest = writing.sound().rest();
        self.send(&rest).await?;
        let said = self.say(text, &wish, writing.sound()).await?;
        self.writing = Some(writing);
        match said {
            Ok(()) => Ok(()),
            // The rest of the text may be spoken all the same.
            Err(problem) => self.send(&[error(&problem)]).await,
        }
    }

    async fn say(&mut self, text: String, wish: &VoiceWish, sound: &mut Sound) -> Result<Result<(), Problem>, Over> {
        let mut speaking = match speak::speak(&self.service, text, wish).await {
            Ok(speaking) => speaking,
            Err(problem) => return Ok(Err(problem)),
        };
        loop {
            let pcm = match speaking.next_sound().await {
                Ok(Some(pcm)) => pcm,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error.into())),
            };
            match sound.push(&pcm) {
                Ok(frames) => self.send(&frames).await?,
                Err(problem) => return Ok(Err(problem)),
            }
        }
    }

    /// A client that takes nothing for long does not read.
    async fn send(&mut self, frames: &[Frame]) -> Going {
        for frame in frames {
            match timeout(self.config.idle, self.writer.write_all(&frame.bytes())).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Over(LiveEnd::Left)),
                Err(_) => return Err(Over(LiveEnd::Stalled)),
            }
        }
        Ok(())
    }
}

/// Resolves when the server stops.
pub(super) async fn told(stopping: &mut watch::Receiver<bool>) {
    // Who told has gone: that is an end as well.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn heard(listening: &mut Option<Listening>) -> (Vec<Frame>, bool) {
    match listening {
        Some(listening) => listening.next().await,
        None => std::future::pending().await,
    }
}
