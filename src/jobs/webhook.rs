//! Telling somebody that a job has ended: one signed `POST`.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use sha2::Sha256;
use tracing::{debug, warn};

use super::{error::Refusal, record::JobId, timestamp::Timestamp};
use crate::remote::{Remote, Secret};

/// The receiver has so long to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Carries messages, signed with the key of the configuration, to hosts that callers may name.
#[derive(Clone)]
pub(super) struct WebhookSender {
    remote: Remote,
    secret: Secret,
}

// === impl WebhookSender ===

impl WebhookSender {
    pub fn new(remote: Remote, secret: Secret) -> Self {
        Self { remote, secret }
    }

    /// Whether messages go there.
    pub fn check(&self, url: &str) -> Result<(), Refusal> {
        self.remote.check(url).map_err(|error| Refusal::Webhook(format!("is not taken: {error}")))
    }

    /// Whether the other side took it.
    pub async fn deliver(&self, id: &JobId, url: &str, message: &Value) -> bool {
        let body = message.to_string();
        let headers = self.headers(id, &body);
        match self.remote.post(url, headers, body.into(), TIMEOUT).await {
            Ok(()) => {
                debug!(job = %id, "the webhook was delivered");
                true
            }
            Err(error) => {
                warn!(job = %id, %error, "the webhook was not delivered");
                false
            }
        }
    }

    fn headers(&self, id: &JobId, body: &str) -> HeaderMap {
        let signature = sign(&self.secret.0, Timestamp::now().milliseconds() / 1000, body);
        let headers = [("sconce-signature", signature), ("sconce-job", id.to_string())];
        // Both are letters and digits.
        let mut headers: HeaderMap =
            headers.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers
    }
}

/// `t=<seconds since 1970>,v1=<hex of HMAC-SHA256 over "<t>.<body>">`. The time is signed as well, so that an old
/// message cannot be sent again as a new one.
fn sign(secret: &str, seconds: u64, body: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `printf '%s' '1700000000.{"id":"job-1"}' | openssl dgst -sha256 -hmac s3cret`.
    #[test]
    fn the_signature_is_what_openssl_makes() {
        let want = "t=1700000000,v1=4400f36d572856b276f08292d5643f7c66338b84f09aabb6458be575784e2768";
        assert_eq!(sign("s3cret", 1_700_000_000, "{\"id\":\"job-1\"}"), want);
    }
}
