//! Where the server is that a configuration describes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::app::ServerConfig;

/// Without a `/` at its end.
pub(super) fn at_home(server: &ServerConfig) -> String {
    let scheme = if server.certificate.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(reachable(server.bind), server.port))
}

/// A server that listens everywhere is asked at home: by IPv4, which it has in any case.
fn reachable(bind: Option<IpAddr>) -> IpAddr {
    match bind {
        None => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V4(address)) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        Some(IpAddr::V6(address)) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        Some(address) => address,
    }
}
