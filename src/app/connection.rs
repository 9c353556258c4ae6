//! A connection whose client says no more: has it gone, or does it still listen?
//!
//! TCP tells the one like the other. But who has gone refuses what is sent to it, and HTTP/1.1 lets a server say `100
//! Continue` before it answers, at any time. So a client that half-closes while its answer is being made is told that, and
//! the connection ends if it is refused, as it does at once where nothing may be said: within an answer, and in HTTP/1.0.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use crate::http::{Exchange, Stage};

/// What may be said before an answer. Clients pass over it, also where they did not ask for it (RFC 9110, 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A refusal is looked for so often; it takes the way to the client and back. And so long may a body that is here take to be
/// read by whoever wants it.
const LOOK: Duration = Duration::from_millis(100);

/// What stands on a socket.
pub(super) trait OnSocket: AsyncRead + AsyncWrite + Unpin {
    fn socket(&self) -> &TcpStream;
}

/// A connection, and how far its requests are.
pub(super) struct Connection<T> {
    io: T,
    exchange: Exchange,
    /// The last that was to be written did not go out whole.
    stuck: bool,
    /// The client says no more, and was told that its request is worked on. When it is looked for a refusal.
    told: Option<Pin<Box<Sleep>>>,
    /// The client says no more, and a body is not read to its end. When it is taken for one that broke off.
    broken_off: Option<Pin<Box<Sleep>>>,
}

// === impl OnSocket for TcpStream, TlsStream ===

impl OnSocket for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl OnSocket for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

// === impl Connection ===

impl<T: OnSocket> Connection<T> {
    pub fn new(io: T) -> Self {
        Self { io, exchange: Exchange::default(), stuck: false, told: None, broken_off: None }
    }

    /// Where requests of this connection say how far they are.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// An error where this side has given the client up.
    fn given_up(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.exchange.is_broken_off(cx) { Err(gone()) } else { Ok(()) }
    }

    /// The client says no more.
    fn half_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.exchange.stage() {
            Stage::Resting => Poll::Ready(Ok(())),
            // The end may have come with the last of the body, which nobody has read so far.
            Stage::Receiving => {
                let broken_off = self.broken_off.get_or_insert_with(|| Box::pin(sleep(LOOK)));
                ready!(broken_off.as_mut().poll(cx));
                Poll::Ready(Ok(()))
            }
            Stage::Working if !self.stuck => {
                // What is not taken at once finds nobody.
                match Pin::new(&mut self.io).poll_write(cx, CONTINUE)? {
                    Poll::Ready(written) if written == CONTINUE.len() => {}
                    _ => return Poll::Ready(Err(gone())),
                }
                let _ = Pin::new(&mut self.io).poll_flush(cx)?;
                self.told = Some(Box::pin(sleep(LOOK)));
                self.look(cx)
            }
            Stage::Working | Stage::WorkingHttp10 | Stage::Streaming => Poll::Ready(Err(gone())),
        }
    }

    /// Whether the client refused what it was told. The end is passed on when its answer begins.
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(told) = &mut self.told else { return Poll::Ready(Ok(())) };
        loop {
            if self.exchange.stage() != Stage::Working {
                return Poll::Ready(Ok(()));
            }
            if self.io.socket().take_error()?.is_some() {
                return Poll::Ready(Err(gone()));
            }
            ready!(told.as_mut().poll(cx));
            told.as_mut().reset(Instant::now() + LOOK);
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl<T: OnSocket> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.given_up(cx)?;
        if this.told.is_some() {
            return this.look(cx);
        }
        let before = buffer.remaining();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        if before > 0 && buffer.remaining() == before { this.half_closed(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl<T: OnSocket> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.given_up(cx)?;
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.stuck = !matches!(&written, Poll::Ready(Ok(written)) if *written == bytes.len());
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.given_up(cx)?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.given_up(cx)?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
