//! How long a caller of the administration waits.

use std::time::Duration;

use actix_web::HttpRequest;
use serde::{Deserialize, Deserializer};

use crate::http::{api::Api, problem::Problem, wait};

/// `true`: as long as a request would; `false`: not at all; or a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::http) enum Wait {
    WhetherAtAll(bool),
    Seconds(f64),
}

// === impl Wait ===

impl Wait {
    /// To load: as long as a request waits, unless the call says otherwise.
    pub fn to_load(api: &Api, request: &HttpRequest, asked: Option<Self>) -> Result<Duration, Problem> {
        Self::settle(api, request, asked, api.service.config().wait)
    }

    /// What the field says, else the `Prefer` header, else `usual`.
    pub fn settle(api: &Api, request: &HttpRequest, asked: Option<Self>, usual: Duration) -> Result<Duration, Problem> {
        match asked {
            Some(Self::Seconds(seconds)) => wait::seconds("wait", seconds),
            Some(Self::WhetherAtAll(false)) => Ok(Duration::ZERO),
            Some(Self::WhetherAtAll(true)) => Ok(api.service.config().wait),
            None => Ok(wait::preferred_wait(request).unwrap_or(usual)),
        }
    }
}

/// From JSON (`true`, `5`) and from a query, where everything is text.
impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "wait should be true, false or a number of seconds")]
        enum Written {
            Flag(bool),
            Number(f64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Flag(flag) => Ok(Self::WhetherAtAll(flag)),
            Written::Number(seconds) => Ok(Self::Seconds(seconds)),
            Written::Text(text) => {
                let flag = text.parse().map(Self::WhetherAtAll).ok();
                let wait = flag.or_else(|| text.parse().map(Self::Seconds).ok());
                wait.ok_or_else(|| serde::de::Error::custom("wait should be true, false or a number of seconds"))
            }
        }
    }
}
