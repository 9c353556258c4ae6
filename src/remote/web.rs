//! What a caller names on the web, fetched without letting the caller look around in the server's own network.
//!
//! Every address on the way, redirects included, must be on a listed host; and the name must lead to a public address.
//! That is checked where the name is looked up for the connection itself, so that a name which leads elsewhere a moment
//! later gains nothing. For the same reason no proxy is used: it would look names up in our place.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER},
    redirect,
};
use url::{Host, Url};

use super::{
    RemoteBytes, RemoteError,
    hosts::{Hosts, is_public},
    root_cause, shown,
};

/// Redirects that are followed.
const REDIRECTS: usize = 5;
/// For a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// What callers may have fetched.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// `host`, `host:port`, `*.host` and `*`. Without a port, the ordinary one of the scheme. Empty: nothing.
    pub allow_hosts: Vec<String>,
    /// Also `http://`.
    pub allow_http: bool,
    /// Also hosts of private networks and of this machine.
    pub allow_private: bool,
}

pub(super) struct Web {
    hosts: Hosts,
    allow_http: bool,
    allow_private: bool,
    /// Made when first needed: it reads the certificates of the system, which takes a while and may fail.
    client: OnceLock<Client>,
}

/// Looks names up, and gives public addresses only.
struct PublicOnly;

/// A name that leads to no public address.
#[derive(Debug, thiserror::Error)]
#[error("it leads to a private network")]
struct LeadsInside;

// === impl Web ===

impl Web {
    pub(super) fn new(config: WebConfig) -> Result<Self, RemoteError> {
        let WebConfig { allow_hosts, allow_http, allow_private } = config;
        Ok(Self { hosts: Hosts::new(&allow_hosts)?, allow_http, allow_private, client: OnceLock::new() })
    }

    pub(super) async fn read(&self, uri: &str, limit: usize) -> Result<RemoteBytes, RemoteError> {
        let url = Url::parse(uri.trim()).map_err(|error| not_an_address(uri, &error.to_string()))?;
        let response = self.follow(url).await?;
        let text = |value: &reqwest::header::HeaderValue| Some(value.to_str().ok()?.to_owned());
        let content_type = response.headers().get(CONTENT_TYPE).and_then(text);
        let bytes = collect(response, limit).await?;
        Ok(RemoteBytes { bytes, content_type })
    }

    /// Tells a host something; what it answers is not read. Redirects are not followed: they are a refusal.
    pub(super) async fn post(&self, uri: &str, headers: HeaderMap, body: Bytes) -> Result<(), RemoteError> {
        let url = self.named(uri)?;
        let sent = self.client()?.post(url.clone()).headers(headers).body(body).send().await;
        let response = sent.map_err(|error| failed(&url, &error))?;
        if response.status().is_redirection() {
            return Err(refusal(&url, "it redirects"));
        }
        refused(response).map(drop)
    }

    /// An address, if a caller may name it. Where its name leads is seen when it is asked.
    pub(super) fn named(&self, uri: &str) -> Result<Url, RemoteError> {
        let url = Url::parse(uri.trim()).map_err(|error| not_an_address(uri, &error.to_string()))?;
        self.check(&url)?;
        Ok(url)
    }

    /// The answer at the end of all redirects, each of which is checked like the first address.
    async fn follow(&self, mut url: Url) -> Result<Response, RemoteError> {
        for _ in 0..=REDIRECTS {
            self.check(&url)?;
            let sent = self.client()?.get(url.clone()).send().await;
            let response = sent.map_err(|error| failed(&url, &error))?;
            if !response.status().is_redirection() {
                return refused(response);
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            url = next.ok_or_else(|| refusal(&url, "it redirects to nowhere"))?;
        }
        Err(refusal(&url, &format!("it redirects more than {REDIRECTS} times")))
    }

    fn check(&self, url: &Url) -> Result<(), RemoteError> {
        let host = match (url.scheme(), url.host()) {
            ("https" | "http", Some(host)) => host,
            _ => return Err(not_an_address(url.as_str(), "it should begin with https://, gs:// or s3://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(not_an_address(url.as_str(), "it should name no user"));
        }
        if !self.hosts.allow(url) {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            return Err(RemoteError::HostNotAllowed { host: format!("{host}{port}") });
        }
        if url.scheme() == "http" && !self.allow_http {
            return Err(RemoteError::Insecure { uri: shown(url.as_str()) });
        }
        // A number needs no look-up, so the one below never sees it.
        let number = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        match number.is_some_and(|address| !self.allow_private && !is_public(address)) {
            true => Err(RemoteError::Private { host: host.to_string() }),
            false => Ok(()),
        }
    }

    fn client(&self) -> Result<&Client, RemoteError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("sconce/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .no_proxy();
        if !self.allow_private {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        let setup = |error| RemoteError::Setup { setting: "remote.web.allow_hosts", reason: root_cause(&error) };
        let made = builder.build().map_err(setup)?;
        Ok(self.client.get_or_init(|| made))
    }
}

/// The body, as long as it is within the limit.
async fn collect(mut response: Response, limit: usize) -> Result<Bytes, RemoteError> {
    let url = response.url().clone();
    let too_large = || RemoteError::TooLarge { uri: shown(url.as_str()), limit };
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&url, &error))? {
        if bytes.len() + chunk.len() > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Sorts answers that are none.
fn refused(response: Response) -> Result<Response, RemoteError> {
    let (status, uri) = (response.status(), shown(response.url().as_str()));
    let reason = format!("its server answers {}", status.as_u16());
    match status {
        status if status.is_success() => Ok(response),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(RemoteError::NotFound { uri }),
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            let seconds =
                response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            Err(RemoteError::Unreachable { uri, reason, retry_after: seconds.map(Duration::from_secs) })
        }
        _ => Err(RemoteError::Refused { uri, reason }),
    }
}

fn failed(url: &Url, error: &reqwest::Error) -> RemoteError {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if inner.is::<LeadsInside>() {
            return RemoteError::Private { host: url.host_str().unwrap_or_default().to_owned() };
        }
        source = inner.source();
    }
    RemoteError::Unreachable { uri: shown(url.as_str()), reason: root_cause(error), retry_after: None }
}

fn refusal(url: &Url, reason: &str) -> RemoteError {
    RemoteError::Refused { uri: shown(url.as_str()), reason: reason.to_owned() }
}

fn not_an_address(uri: &str, reason: &str) -> RemoteError {
    RemoteError::NotAnAddress { uri: shown(uri), reason: reason.to_owned() }
}

// === impl PublicOnly ===

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(LeadsInside.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}
