//! The listening socket, from its opening to the last answer.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    time::Instant,
};

use actix_web::{HttpServer, dev::ServerHandle};
use tracing::{info, warn};

use super::{App, BuildError, Config, ServerConfig};
use crate::http;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Why the server ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {hint}")]
    Bind { address: SocketAddr, hint: String, source: io::Error },
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("the HTTP server failed: {0}")]
    Http(#[from] io::Error),
    #[error("a model that loads at start could not be loaded: {0}")]
    Preload(String),
}

/// Opens the port. Nothing is loaded at that time, in any mode.
pub fn bind(config: &ServerConfig) -> Result<TcpListener, ServeError> {
    let address = SocketAddr::new(config.bind, config.port);
    listen(address).map_err(|source| ServeError::Bind { address, hint: hint(&source), source })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the one before. (On Unix this does not let two servers share a
    // port: a second one is refused.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; stop it, or choose another port by PORT".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not; choose a port above 1023 by PORT".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; choose one by `server.host`".to_owned(),
        _ => error.to_string(),
    }
}

/// Serves on `listener` until `shutdown` resolves and everything in flight is answered, or its time is over.
pub async fn run(config: Config, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let (server, address) = (config.server.clone(), listener.local_addr()?);
    let app = App::build(config)?;
    let api = app.api();
    let http = HttpServer::new({
        let api = api.clone();
        move || actix_web::App::new().service(http::routes(api.clone()))
    })
    .workers(server.workers)
    // A client that hangs up cancels its request; see docs/ARCHITECTURE.md.
    .h1_allow_half_closed(false)
    .shutdown_timeout(server.drain.as_secs().max(1))
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = http.handle();
    let serving = tokio::spawn(http);
    info!(%address, load_mode = ?app.load_mode(), default = %app.catalog().default().name, "listening");

    let ended = until_told(&app, shutdown).await;
    stop(&server, &api, handle).await;
    app.stop().await;
    serving.await.map_err(io::Error::other)??;
    info!("stopped");
    ended
}

/// Waits for the one or the other reason to end.
async fn until_told(app: &App, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    tokio::select! {
        () = shutdown => Ok(()),
        reason = app.fatal() => Err(ServeError::Preload(reason)),
    }
}

/// Unready first, then a grace for load balancers, then no new connections; what runs is finished.
async fn stop(server: &ServerConfig, api: &http::Api, handle: ServerHandle) {
    let start = Instant::now();
    api.draining.begin();
    info!(grace_seconds = server.grace.as_secs_f64(), drain_seconds = server.drain.as_secs_f64(), "stopping");
    tokio::time::sleep(server.grace).await;
    handle.stop(true).await;
    let seconds = start.elapsed().as_secs_f64();
    if start.elapsed() >= server.grace + server.drain {
        warn!(seconds, "requests in flight were cut off: server.drain was too short for them");
    } else {
        info!(seconds, "drained");
    }
}
