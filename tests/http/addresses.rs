//! The addresses that the server listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use serde_json::json;

use crate::support::{
    Server,
    wyoming::{Wyoming, serve},
};

/// Says so where this machine has no IPv6.
fn has_ipv6(test: &str) -> bool {
    let found = TcpListener::bind((Ipv6Addr::LOCALHOST, 0));
    if let Err(error) = &found {
        eprintln!("SKIPPED {test}: there is no IPv6 on this machine: {error}");
    }
    found.is_ok()
}

fn listening(host: &str) -> Server {
    Server::builder().env("SCONCE_SERVER__HOST", host).start()
}

/// What `/health/live` answers at an address, if anybody is there.
async fn asked(server: &Server, host: impl Into<IpAddr>) -> Option<u16> {
    let address = SocketAddr::new(host.into(), server.address.port());
    let answer = server.client.get(format!("http://{address}/health/live")).send().await;
    answer.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn a_server_is_found_by_ipv4_and_by_ipv6() {
    let server = listening("any");
    assert_eq!(asked(&server, Ipv4Addr::LOCALHOST).await, Some(200));
    if has_ipv6("a_server_is_found_by_ipv4_and_by_ipv6") {
        assert_eq!(asked(&server, Ipv6Addr::LOCALHOST).await, Some(200));
    }
}

#[tokio::test]
async fn an_address_that_is_named_is_the_only_one() {
    let server = listening("0.0.0.0");
    assert_eq!(asked(&server, Ipv4Addr::LOCALHOST).await, Some(200));
    assert_eq!(asked(&server, Ipv6Addr::LOCALHOST).await, None);
    if has_ipv6("an_address_that_is_named_is_the_only_one") {
        let server = listening("::1");
        assert_eq!(asked(&server, Ipv6Addr::LOCALHOST).await, Some(200));
        assert_eq!(asked(&server, Ipv4Addr::LOCALHOST).await, None);
    }
}

#[tokio::test]
async fn wyoming_is_found_by_ipv4_and_by_ipv6() {
    let (_server, address) = serve(Server::builder().env("SCONCE_SERVER__HOST", "any"));
    let mut hosts = vec![address.ip()];
    if has_ipv6("wyoming_is_found_by_ipv4_and_by_ipv6") {
        hosts.push(Ipv6Addr::LOCALHOST.into());
    }
    for host in hosts {
        let mut client = Wyoming::connect(SocketAddr::new(host, address.port())).await;
        client.send("describe", json!({})).await;
        assert_eq!(client.next().await.unwrap().kind, "info", "{host}");
    }
}
