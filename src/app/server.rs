//! The listening socket, from its opening to the last answer.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::dev::ServerHandle;
use futures::{Stream, StreamExt};
use tracing::{info, warn};

use super::{
    App, BuildError, Config, ServerConfig, greeting, listener, secrets, socket,
    systemd::Systemd,
    tls::{Certificate, TlsError},
    wyoming::Wyoming,
};
use crate::{
    http,
    jobs::{Jobs, JobsError},
};

/// Time for the answers to those whose work outlasts the drain, before their connections are closed.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Why the server ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {hint}")]
    Bind { address: SocketAddr, hint: String, source: io::Error },
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error("the HTTP server failed: {0}")]
    Http(#[from] io::Error),
    #[error("a model that loads at start could not be loaded: {0}")]
    Preload(String),
}

/// Opens the port. Nothing is loaded at that time, in any mode.
pub fn bind(config: &ServerConfig) -> Result<TcpListener, ServeError> {
    open(config.bind, config.port)
}

fn open(bind: Option<IpAddr>, port: u16) -> Result<TcpListener, ServeError> {
    let opened = match bind {
        Some(address) => socket::listen(SocketAddr::new(address, port)),
        None => socket::listen_on_all(port),
    };
    opened.map_err(|(address, source)| ServeError::Bind { address, hint: hint(&source), source })
}

fn hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; stop it, or choose another port by PORT".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not; choose a port above 1023 by PORT".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address; choose one by `server.host`".to_owned(),
        _ => error.to_string(),
    }
}

/// Serves on `listener` until `shutdown` resolves and everything in flight is answered, or its time is over. Each item
/// of `reloads` is another configuration, or what is wrong with it.
pub async fn run(
    config: Config,
    listener: TcpListener,
    reloads: impl Stream<Item = Result<Config, String>>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (server, address) = (config.server.clone(), listener.local_addr()?);
    let (certificate, stall_timeout) = (certificate(&server)?, config.http.stall_timeout);
    let wyoming = config.wyoming.port.map(|port| open(server.bind, port)).transpose()?;
    greeting::starting(&config, address);
    let app = App::build(config)?;
    greeting::serving(&app);
    let secrets = secrets::watch(server.reload, app.keyring().clone(), certificate.clone())?;
    let jobs = app.jobs()?;
    let api = app.api(jobs.clone());
    let tls = certificate.as_ref().map(|certificate| certificate.server_config()).transpose()?;
    let http = listener::serve(&server, api.clone(), listener, tls)?;
    let handle = http.handle();
    let serving = tokio::spawn(http);
    greeting::listening(&app, address, certificate.is_some());
    let wyoming = wyoming.map(|listener| Wyoming::serve(&app, listener)).transpose()?;
    let systemd = Systemd::inform(&app, stall_timeout);
    let ended = until_told(&app, reloads, shutdown).await;
    drop(systemd);
    stop(&server, &app, &api, &jobs, handle, wyoming).await;
    secrets.abort();
    app.stop().await;
    serving.await.map_err(io::Error::other)??;
    info!("stopped");
    ended
}

fn certificate(server: &ServerConfig) -> Result<Option<Arc<Certificate>>, TlsError> {
    let files = server.certificate.as_deref().zip(server.private_key.as_deref());
    files.map(|(certificate, key)| Certificate::open(certificate, key)).transpose()
}

/// Waits for the one or the other reason to end.
async fn until_told(
    app: &App,
    reloads: impl Stream<Item = Result<Config, String>>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let reloading = reloads.for_each(|config| app.reload(config));
    let never = async {
        reloading.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = shutdown => Ok(()),
        reason = app.fatal() => Err(ServeError::Preload(reason)),
        () = never => Ok(()),
    }
}

/// Unready first, then a grace for load balancers, then no new connections, no new jobs and nobody who waits for a model;
/// whoever is here already and needs no load is served, or else answered just before the drain ends.
async fn stop(
    server: &ServerConfig,
    app: &App,
    api: &http::Api,
    jobs: &Jobs,
    handle: ServerHandle,
    wyoming: Option<Wyoming>,
) {
    let start = Instant::now();
    api.draining.begin();
    info!(grace_seconds = server.grace.as_secs_f64(), drain_seconds = server.drain.as_secs_f64(), "stopping");
    tokio::time::sleep(server.grace).await;
    app.lifecycle.drain().await;
    let cut_off = async {
        tokio::time::sleep(server.drain.saturating_sub(last_answers(server.drain))).await;
        api.draining.cut_off();
    };
    let wyoming = async {
        if let Some(wyoming) = wyoming {
            wyoming.stop(server.drain).await;
        }
    };
    let drained = async { tokio::join!(handle.stop(true), jobs.stop(server.drain), wyoming) };
    tokio::pin!(drained);
    tokio::select! {
        _ = &mut drained => {}
        () = cut_off => {
            drained.await;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    if start.elapsed() >= (server.grace + server.drain).saturating_sub(last_answers(server.drain)) {
        warn!(seconds, "requests in flight were cut off: server.drain was too short for them");
    } else {
        info!(seconds, "drained");
    }
}

/// A part of a short drain, so that it has time for work as well.
fn last_answers(drain: Duration) -> Duration {
    LAST_ANSWERS.min(drain / 4)
}
