//! `sconce healthcheck`: what `curl -f` would do, in an image that has no curl.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;

use super::{address::at_home, out::say};
use crate::app;

#[derive(Debug, clap::Args)]
pub(super) struct Healthcheck {
    /// Which route to ask
    #[arg(long, default_value = "/health", value_name = "PATH")]
    route: String,
    /// Which server to ask; the one that the configuration describes if absent
    #[arg(long, value_name = "URL")]
    url: Option<reqwest::Url>,
    /// Seconds to wait for the answer
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    timeout: f64,
}

impl Healthcheck {
    pub async fn run(self, config: app::Config) -> anyhow::Result<ExitCode> {
        let server = match self.url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => at_home(&config.server),
        };
        let timeout = Duration::try_from_secs_f64(self.timeout).context("--timeout should be a number of seconds")?;
        // A proxy from the environment has no business between this process and its neighbour.
        let client = reqwest::Client::builder().no_proxy().timeout(timeout);
        // The neighbour is asked how it is, not who it is: its certificate names a host, not this address.
        let client = client.tls_danger_accept_invalid_certs(true).build()?;
        let answer = client.get(format!("{server}{}", self.route)).send().await;
        let answer = answer.with_context(|| format!("no answer from {server}"))?;
        let status = answer.status();
        say!("{}", answer.text().await?);
        Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
