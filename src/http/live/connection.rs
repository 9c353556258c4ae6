//! One connection, from its first message to its last.

use std::{io::ErrorKind, pin::pin, time::Duration};

use actix_web::error::PayloadError;
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, ProtocolError, Session as Socket};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::{
    farewell::{Farewell, Told},
    liveness::Liveness,
};
use crate::{
    http::{Draining, Exchange, config::RealtimeConfig, problem::Problem},
    service::live::{LiveEnd, LiveEvent, LiveSession, Reading},
    speech::Kind,
};

/// What a protocol says, and what it understands.
pub(in crate::http) trait Dialogue {
    /// What is said first.
    fn opening(&mut self, _live: &LiveSession) -> Vec<String> {
        Vec::new()
    }

    /// A text of the client, and what is said to it.
    fn text(&mut self, text: &str, live: &mut LiveSession) -> Result<Vec<String>, Farewell>;

    /// Bytes of the client, and what is said to them.
    fn bytes(&mut self, bytes: &[u8], live: &mut LiveSession) -> Result<Vec<String>, Farewell>;

    /// What the session has to say, in the words of the protocol.
    fn said(&mut self, event: LiveEvent) -> Vec<String>;

    /// What the protocol says by itself, when there is something. May be dropped and asked again at any time.
    fn next(&mut self) -> impl Future<Output = Vec<String>> {
        std::future::pending()
    }

    /// Whether there is nothing that it will say by itself.
    fn is_done(&self) -> bool {
        true
    }

    /// What is left to be said to a client that has ended, or before the server does; `None`: the client goes on.
    fn ended(&mut self, live: &LiveSession, stopping: bool) -> Option<Vec<String>>;

    /// That something is wrong, with a code that is more exact than the problem's.
    fn problem(&self, problem: &Problem, code: &'static str) -> String;
}

/// One connection.
pub(super) struct Connection<D> {
    pub socket: Socket,
    pub messages: AggregatedMessageStream,
    pub live: LiveSession,
    pub dialogue: D,
    pub config: RealtimeConfig,
    pub draining: Draining,
    /// Breaks the connection off where a farewell would not be read.
    pub exchange: Option<Exchange>,
}

/// What happens next.
enum SessionEvent {
    Message(Option<Result<AggregatedMessage, ProtocolError>>),
    Heard(LiveEvent),
    Said(Vec<String>),
    Tick,
    /// It may be that more is read now.
    Again,
    Expired,
    Stopping,
}

type Going = Result<(), Farewell>;

// === impl Connection ===

impl<D: Dialogue> Connection<D> {
    /// Until one side ends it.
    pub async fn run(mut self) {
        let Err(farewell) = self.serve().await else { return };
        let end = self.part(farewell).await;
        self.live.finish(end);
    }

    async fn serve(&mut self) -> Going {
        let (start, draining) = (Instant::now(), self.draining.clone());
        let (expires, mut heard_at) = (start + self.live.longest(), start);
        let mut ticks = interval_at(start + self.config.ping, self.config.ping);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = pin!(draining.begun());
        let mut liveness = Liveness::default();
        let opening = self.dialogue.opening(&self.live);
        self.say(opening).await?;
        loop {
            if let Some(last) = self.dialogue.ended(&self.live, false) {
                self.say(last).await?;
                return Err(Farewell::through());
            }
            let reading = self.live.reading();
            if reading != Reading::Now {
                liveness.held_back();
            }
            let happening = tokio::select! {
                biased;
                () = &mut stopping => SessionEvent::Stopping,
                () = sleep_until(expires) => SessionEvent::Expired,
                heard = self.live.next() => SessionEvent::Heard(heard),
                // Before the clock: a pong that is here counts, however late it is read.
                message = self.messages.recv(), if reading == Reading::Now => SessionEvent::Message(message),
                _ = ticks.tick() => SessionEvent::Tick,
                said = self.dialogue.next() => SessionEvent::Said(said),
                () = reading.changes() => SessionEvent::Again,
            };
            match happening {
                SessionEvent::Heard(heard) => self.tell(heard).await?,
                SessionEvent::Said(said) => self.say(said).await?,
                SessionEvent::Message(message) => {
                    let pong = matches!(&message, Some(Ok(AggregatedMessage::Pong(_))));
                    if pong {
                        liveness.pong();
                    } else {
                        heard_at = Instant::now();
                    }
                    self.take(message).await?;
                }
                SessionEvent::Tick => {
                    if !liveness.ping() {
                        return Err(Farewell::silent(LiveEnd::Stalled));
                    }
                    if heard_at.elapsed() >= self.config.idle && self.is_done() {
                        return Err(self.idle());
                    }
                    self.ping().await?;
                }
                SessionEvent::Again => {}
                SessionEvent::Expired => {
                    self.finish_item().await?;
                    return Err(self.expired());
                }
                SessionEvent::Stopping => return self.stop().await,
            }
        }
    }

    /// One message of the client.
    async fn take(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>) -> Going {
        match message {
            Some(Ok(AggregatedMessage::Text(text))) => {
                let said = self.dialogue.text(&text, &mut self.live)?;
                self.say(said).await
            }
            Some(Ok(AggregatedMessage::Binary(bytes))) => {
                let said = self.dialogue.bytes(&bytes, &mut self.live)?;
                self.say(said).await
            }
            Some(Ok(AggregatedMessage::Ping(bytes))) => {
                self.live.notice();
                sent(self.config.ping, self.socket.pong(&bytes)).await
            }
            Some(Ok(AggregatedMessage::Pong(_))) => {
                self.live.notice();
                Ok(())
            }
            Some(Ok(AggregatedMessage::Close(_))) | None => Err(Farewell::silent(LiveEnd::Left)),
            // Nothing that follows can be told apart.
            Some(Err(error)) => Err(self.malformed(&error)),
        }
    }

    /// Nothing more is taken: what was said gets its text, and the client is told it, unless the server has no more time.
    async fn finish_item(&mut self) -> Going {
        self.live.end();
        let draining = self.draining.clone();
        let mut over = pin!(draining.over());
        while !self.is_done() {
            let said = tokio::select! {
                heard = self.live.next() => self.dialogue.said(heard),
                said = self.dialogue.next() => said,
                () = &mut over => break,
            };
            self.say(said).await?;
        }
        let last = self.dialogue.ended(&self.live, true).unwrap_or_default();
        self.say(last).await
    }

    fn is_done(&self) -> bool {
        self.live.is_done() && self.dialogue.is_done()
    }

    /// The server goes down.
    async fn stop(&mut self) -> Going {
        self.finish_item().await?;
        let problem = Problem::new(Kind::Stopping, "the server is stopping; another one will take the next session");
        Err(Farewell::told(LiveEnd::Stopping, problem.passing(), "stopping", CloseCode::Away))
    }

    fn expired(&self) -> Farewell {
        let message = format!(
            "the session lasted {} s, as long as one may (`live.max_session`); begin another one",
            self.live.longest().as_secs_f64()
        );
        let problem = Problem::new(Kind::Deadline, message);
        Farewell::told(LiveEnd::Expired, problem, "session_expired", CloseCode::Normal)
    }

    fn idle(&self) -> Farewell {
        let message = format!("nothing came for {} s (`live.idle`)", self.config.idle.as_secs_f64());
        Farewell::told(LiveEnd::Idle, Problem::new(Kind::TooSlow, message), "idle_timeout", CloseCode::Normal)
    }

    fn malformed(&self, error: &ProtocolError) -> Farewell {
        let told = |problem, code, close| Farewell::told(LiveEnd::Malformed, problem, code, close);
        match error {
            ProtocolError::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<PayloadError>()) => {
                Farewell::silent(LiveEnd::Left)
            }
            ProtocolError::Io(error) if error.kind() == ErrorKind::InvalidData => {
                told(Problem::new(Kind::Invalid, "a text message is no UTF-8"), "invalid_text", CloseCode::Invalid)
            }
            // A message that is gathered from several frames says that it is too long by the second.
            ProtocolError::Overflow | ProtocolError::Io(_) => {
                let most = self.config.max_message;
                let message =
                    format!("a message may have {most} bytes (`live.max_message`); send the sound in smaller pieces");
                told(Problem::new(Kind::TooLarge, message), "too_large", CloseCode::Size)
            }
            _ => {
                let problem = Problem::new(Kind::Invalid, "this is not a frame of the WebSocket protocol");
                told(problem, "invalid_frame", CloseCode::Protocol)
            }
        }
    }

    async fn tell(&mut self, heard: LiveEvent) -> Going {
        let texts = self.dialogue.said(heard);
        self.say(texts).await
    }

    async fn say(&mut self, texts: Vec<String>) -> Going {
        for text in texts {
            sent(self.config.ping, self.socket.text(text)).await?;
        }
        Ok(())
    }

    async fn ping(&mut self) -> Going {
        sent(self.config.ping, self.socket.ping(b"")).await
    }

    /// The last words.
    async fn part(&mut self, farewell: Farewell) -> LiveEnd {
        let end = farewell.end;
        if end == LiveEnd::Stalled {
            self.exchange.iter().for_each(Exchange::break_off);
            return end;
        }
        if let Some(told) = &farewell.told {
            let Told { problem, code } = told.as_ref();
            let last = self.dialogue.problem(problem, code);
            // Who has gone by now is told nothing.
            let _ = self.say(vec![last]).await;
        }
        let closed = timeout(self.config.ping, self.socket.clone().close(farewell.reason())).await;
        if closed.is_err() {
            self.exchange.iter().for_each(Exchange::break_off);
        }
        end
    }
}

/// A client that takes nothing for so long does not read.
async fn sent(patience: Duration, sending: impl Future<Output = Result<(), actix_ws::Closed>>) -> Going {
    match timeout(patience, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(actix_ws::Closed)) => Err(Farewell::silent(LiveEnd::Left)),
        Err(_) => Err(Farewell::silent(LiveEnd::Stalled)),
    }
}
