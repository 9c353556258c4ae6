//! Which hosts callers may name, and which addresses are public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Url;

use super::RemoteError;

/// A list of hosts.
pub(super) struct Hosts(Vec<Pattern>);

/// One entry: `host`, `host:port`, `*.host`, `*`.
struct Pattern {
    /// In lower case; with `.` before it, whatever ends in it; empty: any.
    host: String,
    /// `None`: the ordinary one of the scheme.
    port: Option<u16>,
}

// === impl Hosts ===

impl Hosts {
    pub(super) fn new(list: &[String]) -> Result<Self, RemoteError> {
        list.iter().map(|entry| Pattern::of(entry)).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn allow(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().to_lowercase();
        self.0.iter().any(|pattern| pattern.is_of(&host) && pattern.is_at(url))
    }
}

// === impl Pattern ===

impl Pattern {
    fn of(entry: &str) -> Result<Self, RemoteError> {
        let wrong = || RemoteError::Setup {
            setting: "remote.web.allow_hosts",
            reason: format!("{entry:?} is no host; write media.example.com, *.example.com, example.com:8443 or *"),
        };
        // The colons of a bare IPv6 address are inside brackets, as in an address of the web.
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (entry, None),
        };
        let host = host.to_lowercase();
        let host =
            if host == "*" { "" } else { host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(&host) };
        let strange = |c: char| c.is_whitespace() || matches!(c, '/' | '*' | '@' | '?' | '#');
        match host.contains(strange) || entry.is_empty() {
            true => Err(wrong()),
            false => Ok(Self { host: host.to_owned(), port }),
        }
    }

    fn is_at(&self, url: &Url) -> bool {
        // `Url::port` is absent for the ordinary port of the scheme, however it was written.
        self.port.map_or(url.port().is_none(), |port| url.port_or_known_default() == Some(port))
    }

    fn is_of(&self, host: &str) -> bool {
        match self.host.starts_with('.') {
            true => host.ends_with(&self.host) && host.len() > self.host.len(),
            false => self.host.is_empty() || self.host == host,
        }
    }
}

/// Whether an address is one of the internet's, rather than of this machine, a private network, a cloud's metadata
/// server or nobody (IANA's special-purpose registries).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b)) // between providers and their customers
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (18..20).contains(&b)) // benchmarks
        || a >= 224; // multicast, reserved, broadcast
    !special
}

/// Addresses that carry one of version 4 are judged by that.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let carried = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
        [0x2002, high, low, ..] => carried(high, low),
        // 2001::/23 holds Teredo and other special blocks, 2001:db8::/32 is for documentation.
        [0x2001, second, ..] => second >= 0x0200 && second != 0x0db8,
        [0x3fff, second, ..] => second >= 0x1000,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_seen_in_every_dress() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "ff02::1",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in
            ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "2001:4860:4860::8888"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn hosts_are_listed_with_and_without_ports() {
        let hosts =
            Hosts::new(&["Media.example.com", "*.cdn.example", "local:8443", "[::1]:80"].map(str::to_owned)).unwrap();
        let allow = |url: &str| hosts.allow(&Url::parse(url).unwrap());
        assert!(allow("https://media.example.com/x") && allow("https://MEDIA.example.com:443/x"));
        assert!(allow("https://a.b.cdn.example/x") && allow("https://local:8443/x") && allow("http://[::1]/x"));
        for url in [
            "https://example.com/",
            "https://xmedia.example.com/",
            "https://media.example.com:8443/",
            "https://cdn.example/",
            "https://evilcdn.example/",
            "https://local/",
            "https://media.example.com.evil/",
        ] {
            assert!(!allow(url), "{url}");
        }
        let any = Hosts::new(&["*".to_owned()]).unwrap();
        assert!(any.allow(&Url::parse("https://x/").unwrap()) && !any.allow(&Url::parse("https://x:1/").unwrap()));
        assert!(!Hosts::new(&[]).unwrap().allow(&Url::parse("https://x/").unwrap()));
    }

    #[test]
    fn an_entry_that_is_no_host_is_told() {
        for entry in ["https://x/", "a b", "", "x:port", "a*b"] {
            let error = Hosts::new(&[entry.to_owned()]).err().unwrap().to_string();
            assert!(error.contains("remote.web.allow_hosts") && error.contains("media.example.com"), "{error}");
        }
    }
}
