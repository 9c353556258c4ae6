//! The sockets that are listened on.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::info;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// With the address that could not be listened on.
type Failed = (SocketAddr, io::Error);

/// Listens on an address as it is written.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, Failed> {
    open(address, false).map_err(|error| (address, error))
}

/// Listens on all addresses: of IPv6 and IPv4 by one socket, or of IPv4 alone where the machine has no IPv6.
pub(super) fn listen_on_all(port: u16) -> Result<TcpListener, Failed> {
    listen_on_both(port, |address| open(address, address.is_ipv6()))
}

fn listen_on_both(port: u16, open: impl Fn(SocketAddr) -> io::Result<TcpListener>) -> Result<TcpListener, Failed> {
    let [both, ipv4] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()].map(|ip| SocketAddr::new(ip, port));
    match open(both) {
        // A port that another program has in either family is no half of a port for this one.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err((both, error)),
        Err(error) => {
            let listener = open(ipv4).map_err(|error| (ipv4, error))?;
            info!(%error, "there is no IPv6 on this machine: only IPv4 is listened on");
            Ok(listener)
        }
        Ok(listener) => Ok(listener),
    }
}

fn open(address: SocketAddr, both_families: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the one before. (On Unix this does not let two servers share a
    // port: a second one is refused.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // Which of both the system does of itself is a setting of it (`net.ipv6.bindv6only`).
    if both_families {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// Of a machine that has no IPv6.
    fn without_ipv6(address: SocketAddr) -> io::Result<TcpListener> {
        match address {
            SocketAddr::V6(_) => Err(io::ErrorKind::Unsupported.into()),
            SocketAddr::V4(_) => open(address, false),
        }
    }

    #[test]
    fn a_machine_without_ipv6_is_listened_on_by_ipv4() {
        let listener = listen_on_both(0, without_ipv6).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.ip(), Ipv4Addr::UNSPECIFIED);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).is_ok());
    }

    #[test]
    fn a_port_that_is_taken_in_one_family_is_taken() {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let (_, error) = listen_on_all(port).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let (address, error) = listen_on_both(port, without_ipv6).unwrap_err();
        assert_eq!((address.is_ipv4(), error.kind()), (true, io::ErrorKind::AddrInUse));
    }
}
