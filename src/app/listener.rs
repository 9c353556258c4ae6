//! The HTTP server around the routes. It is actix' own but for two things: a connection says whether its client is there
//! still, and a body that is too large is refused before its sender is told to go on.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
};

use actix_http::{HttpService, Protocol, Request, error::DispatchError};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_tls::accept::{
    TlsError,
    rustls_0_23::{Acceptor, TlsStream},
};
use actix_web::{
    App, HttpMessage, HttpResponse,
    dev::{AppConfig, Server},
    rt::net::TcpStream,
};
use rustls::ServerConfig as TlsConfig;

use super::{
    ServerConfig,
    connection::{Connection, OnSocket},
};
use crate::http;

/// The version of HTTP that is offered over TLS.
const VERSION: &[u8] = b"http/1.1";

/// Starts the threads of HTTP; what it returns ends when they have.
pub(super) fn serve(
    config: &ServerConfig,
    api: http::Api,
    listener: TcpListener,
    tls: Option<TlsConfig>,
) -> io::Result<Server> {
    let server = Server::build()
        .workers(config.workers)
        .max_concurrent_connections(config.max_connections.div_ceil(config.workers))
        .shutdown_timeout(config.drain.as_secs().max(1))
        .disable_signals();
    let (stopping, config) = (server.graceful_shutdown_signal(), config.clone());
    let stop = move || {
        let stopping = stopping.clone();
        async move { stopping.notified().await }
    };
    let server = match tls {
        Some(mut tls) => {
            tls.alpn_protocols = vec![VERSION.to_vec()];
            server.listen("https", listener, move || {
                Acceptor::new(tls.clone())
                    .map_init_err(|_| ())
                    .map_err(TlsError::into_service_error)
                    .and_then(|io: TlsStream<TcpStream>| async move { Ok(over_tls(io)) })
                    .and_then(service(&config, &api, stop.clone()).map_err(TlsError::Service))
            })?
        }
        None => server.listen("http", listener, move || {
            fn_service(|io: TcpStream| async move { Ok(plain(io)) }).and_then(service(&config, &api, stop.clone()))
        })?,
    };
    Ok(server.run())
}

type Accepted<T> = (Connection<T>, Protocol, Option<SocketAddr>);

fn plain(io: TcpStream) -> Accepted<TcpStream> {
    let peer = io.peer_addr().ok();
    (Connection::new(io), Protocol::Http1, peer)
}

fn over_tls(io: TlsStream<TcpStream>) -> Accepted<TlsStream<TcpStream>> {
    let peer = io.socket().peer_addr().ok();
    (Connection::new(io), Protocol::Http1, peer)
}

/// HTTP on connections of one kind.
fn service<T: OnSocket + 'static, F: Fn() -> S + 'static, S: Future<Output = ()> + 'static>(
    config: &ServerConfig,
    api: &http::Api,
    stop: F,
) -> impl ServiceFactory<Accepted<T>, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<T, F, S>
{
    let (routes, limits) = (http::routes(api.clone()), api.clone());
    let app = App::new().service(routes).into_factory().map_err(|error| error.error_response());
    let expect = fn_service(move |request: Request| {
        let refused = http::refuse_body(&limits, request.path(), request.headers());
        std::future::ready(refused.map_or(Ok(request), Err::<_, HttpResponse>))
    });
    HttpService::build()
        .graceful_shutdown_signal(stop)
        .keep_alive(config.keep_alive)
        .client_request_timeout(config.head_timeout)
        .client_disconnect_timeout(config.disconnect_timeout)
        .h1_allow_half_closed(true)
        .on_connect_ext(|connection: &Connection<T>, data| drop(data.insert(connection.exchange().clone())))
        .expect(expect)
        .finish(map_config(app, |_| AppConfig::default()))
}
