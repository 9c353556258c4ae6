//! One connection, from its first event to its last.

use std::{
    io::ErrorKind,
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::error::PayloadError;
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session as Socket};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::{
    client::{self, ClientEvent, Misunderstood},
    liveness::Liveness,
    server::{Events, ServerEvent},
    session::ShownSession,
    settings::Settings,
};
use crate::{
    http::{Draining, Exchange, config::RealtimeConfig, problem::Problem},
    service::{
        Service,
        live::{LiveEnd, LiveError, LiveEvent, LiveSession, Reading},
    },
    speech::Kind,
};

/// One connection.
pub(super) struct Connection {
    pub socket: Socket,
    pub messages: AggregatedMessageStream,
    pub live: LiveSession,
    pub settings: Settings,
    pub events: Events,
    pub service: Service,
    pub config: RealtimeConfig,
    pub draining: Draining,
    /// Breaks the connection off where a farewell would not be read.
    pub exchange: Option<Exchange>,
}

/// What happens next.
enum Happening {
    Message(Option<Result<AggregatedMessage, ProtocolError>>),
    Said(LiveEvent),
    Tick,
    /// It may be that more is read now.
    Again,
    Expired,
    Stopping,
}

/// Why it ends, and what the client is told of it.
struct Farewell {
    end: LiveEnd,
    told: Option<(Problem, &'static str, CloseCode)>,
}

type Going = Result<(), Farewell>;

// === impl Connection ===

impl Connection {
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
        let (mut liveness, expires_at) = (Liveness::default(), self.expires_at());
        let created = self.events.created(self.shown(expires_at));
        self.say(&created).await?;
        loop {
            let reading = self.live.reading();
            if reading != Reading::Now {
                liveness.held_back();
            }
            let happening = tokio::select! {
                biased;
                () = &mut stopping => Happening::Stopping,
                () = sleep_until(expires) => Happening::Expired,
                said = self.live.next() => Happening::Said(said),
                // Before the clock: a pong that is here counts, however late it is read.
                message = self.messages.recv(), if reading == Reading::Now => Happening::Message(message),
                _ = ticks.tick() => Happening::Tick,
                () = reading.changes() => Happening::Again,
            };
            match happening {
                Happening::Said(said) => self.tell(said).await?,
                Happening::Message(message) => {
                    let pong = matches!(&message, Some(Ok(AggregatedMessage::Pong(_))));
                    if pong {
                        liveness.pong();
                    } else {
                        heard_at = Instant::now();
                    }
                    self.take(message, expires_at).await?;
                }
                Happening::Tick => {
                    if !liveness.ping() {
                        return Err(Farewell::silent(LiveEnd::Stalled));
                    }
                    if heard_at.elapsed() >= self.config.idle && self.live.is_done() {
                        return Err(self.idle());
                    }
                    self.ping().await?;
                }
                Happening::Again => {}
                Happening::Expired => return Err(self.expired()),
                Happening::Stopping => return self.stop().await,
            }
        }
    }

    /// One message of the client.
    async fn take(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>, expires_at: u64) -> Going {
        match message {
            Some(Ok(AggregatedMessage::Text(text))) => self.event(&text, expires_at).await,
            Some(Ok(AggregatedMessage::Binary(_))) => {
                self.live.notice();
                let message =
                    "a binary message is no event; a text message of JSON, with the sound as base64, would be right";
                let told = self.events.error(&Problem::new(Kind::Invalid, message), None, None);
                self.say(&told).await
            }
            Some(Ok(AggregatedMessage::Ping(bytes))) => {
                self.live.notice();
                sent(self.config.ping, self.socket.pong(&bytes)).await
            }
            Some(Ok(AggregatedMessage::Pong(_))) => {
                self.live.notice();
                Ok(())
            }
            Some(Ok(AggregatedMessage::Close(_))) => Err(Farewell { end: LiveEnd::Left, told: None }),
            // Nothing that follows can be told apart.
            Some(Err(error)) => Err(self.malformed(&error)),
            None => Err(Farewell::silent(LiveEnd::Left)),
        }
    }

    async fn event(&mut self, text: &str, expires_at: u64) -> Going {
        let read = client::read(text, self.settings.format, self.events.dialect());
        let (event, event_id) = match read {
            Ok(read) => read,
            Err(misunderstood) => {
                let Misunderstood { problem, event_id } = *misunderstood;
                self.live.notice();
                let told = self.events.error(&problem, None, event_id.as_deref());
                return self.say(&told).await;
            }
        };
        let answer = match event {
            ClientEvent::Append(samples) => self.live.hear(&samples).map(|()| None).map_err(Problemed::from),
            ClientEvent::Commit => {
                self.live.notice();
                self.live.commit().map(|()| None).map_err(Problemed::from)
            }
            ClientEvent::Clear => {
                self.live.notice();
                self.live.clear();
                Ok(Some(ServerEvent::Cleared {}))
            }
            ClientEvent::Update { session, beta_name } => {
                self.live.notice();
                self.update(session, expires_at, beta_name).map(Some)
            }
        };
        match answer {
            Ok(None) => Ok(()),
            Ok(Some(event)) => self.say(&event).await,
            Err(Problemed { problem, over: true }) => Err(Farewell {
                end: LiveEnd::Allowance,
                told: Some((problem, "rate_limit_exceeded", CloseCode::Policy)),
            }),
            Err(Problemed { problem, over: false }) => {
                let told = self.events.error(&problem, None, event_id.as_deref());
                self.say(&told).await
            }
        }
    }

    fn update(&mut self, session: Value, expires_at: u64, beta_name: bool) -> Result<ServerEvent, Problemed> {
        let settings = self.settings.updated(session, self.events.dialect())?;
        self.live.set(settings.ask())?;
        self.events.with_logprobs(settings.logprobs);
        self.settings = settings;
        Ok(self.events.updated(self.shown(expires_at), beta_name))
    }

    /// The server goes down: what was said gets its text, and nothing more is taken.
    async fn stop(&mut self) -> Going {
        self.live.end();
        let draining = self.draining.clone();
        let mut over = pin!(draining.over());
        while !self.live.is_done() {
            tokio::select! {
                said = self.live.next() => self.tell(said).await?,
                () = &mut over => break,
            }
        }
        let problem = Problem::new(Kind::Stopping, "the server is stopping; another one will take the next session");
        Err(Farewell { end: LiveEnd::Stopping, told: Some((problem.passing(), "stopping", CloseCode::Away)) })
    }

    fn expired(&self) -> Farewell {
        let message = format!(
            "the session lasted {} s, as long as one may (`live.max_session`); begin another one",
            self.live.longest().as_secs_f64()
        );
        let problem = Problem::new(Kind::Deadline, message);
        Farewell { end: LiveEnd::Expired, told: Some((problem, "session_expired", CloseCode::Normal)) }
    }

    fn idle(&self) -> Farewell {
        let message = format!("nothing came for {} s (`live.idle`)", self.config.idle.as_secs_f64());
        let problem = Problem::new(Kind::TooSlow, message);
        Farewell { end: LiveEnd::Idle, told: Some((problem, "idle_timeout", CloseCode::Normal)) }
    }

    fn malformed(&self, error: &ProtocolError) -> Farewell {
        let told = match error {
            ProtocolError::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<PayloadError>()) => {
                return Farewell::silent(LiveEnd::Left);
            }
            ProtocolError::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Some((Problem::new(Kind::Invalid, "a text message is no UTF-8"), "invalid_text", CloseCode::Invalid))
            }
            // A message that is gathered from several frames says that it is too long by the second.
            ProtocolError::Overflow | ProtocolError::Io(_) => {
                let most = self.config.max_message;
                let message =
                    format!("a message may have {most} bytes (`live.max_message`); send the sound in smaller pieces");
                Some((Problem::new(Kind::TooLarge, message), "too_large", CloseCode::Size))
            }
            _ => {
                let problem = Problem::new(Kind::Invalid, "this is not a frame of the WebSocket protocol");
                Some((problem, "invalid_frame", CloseCode::Protocol))
            }
        };
        Farewell { end: LiveEnd::Malformed, told }
    }

    async fn tell(&mut self, said: LiveEvent) -> Going {
        for event in self.events.of(said) {
            self.say(&event).await?;
        }
        Ok(())
    }

    async fn say(&mut self, event: &ServerEvent) -> Going {
        sent(self.config.ping, self.socket.text(event.text())).await
    }

    async fn ping(&mut self) -> Going {
        sent(self.config.ping, self.socket.ping(b"")).await
    }

    /// The last words.
    async fn part(&mut self, farewell: Farewell) -> LiveEnd {
        let Farewell { end, told } = farewell;
        if end == LiveEnd::Stalled {
            self.exchange.iter().for_each(Exchange::break_off);
            return end;
        }
        let reason = told
            .as_ref()
            .map(|(problem, _, code)| CloseReason { code: *code, description: Some(problem.message.clone()) });
        if let Some((problem, code, _)) = &told {
            let event = self.events.error(problem, Some(code), None);
            // Who has gone by now is told nothing.
            let _ = self.say(&event).await;
        }
        let closed = timeout(self.config.ping, self.socket.clone().close(reason)).await;
        if closed.is_err() {
            self.exchange.iter().for_each(Exchange::break_off);
        }
        end
    }

    /// As a client is told how the session is set.
    fn shown(&self, expires_at: u64) -> ShownSession {
        let catalog = self.service.catalog();
        let model = self.settings.model.as_deref();
        let entry = catalog.resolve_for(model, crate::speech::TaskKind::Transcribe);
        let name = entry.map_or_else(|_| model.unwrap_or_default().to_owned(), |entry| entry.name.to_string());
        self.settings.shown(self.events.session_id(), expires_at, name, self.events.dialect())
    }

    /// Seconds since 1970.
    fn expires_at(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (now + self.live.longest()).as_secs()
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

// === impl Farewell ===

impl Farewell {
    fn silent(end: LiveEnd) -> Self {
        Self { end, told: None }
    }
}

/// What was wrong, and whether the session is over by it.
struct Problemed {
    problem: Problem,
    over: bool,
}

// === impl Problemed ===

impl From<Problem> for Problemed {
    fn from(problem: Problem) -> Self {
        Self { problem, over: false }
    }
}

impl From<LiveError> for Problemed {
    fn from(error: LiveError) -> Self {
        let over = matches!(error, LiveError::Allowance(_));
        Self { problem: error.into(), over }
    }
}
