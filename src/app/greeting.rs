//! What the log says at the start: first where the server is and what it works with, then what should not surprise anybody.

use std::{net::SocketAddr, thread};

use tracing::{info, warn};

use super::{App, Config};

/// Before anything is built.
pub(super) fn starting(config: &Config, address: SocketAddr) {
    let scheme = if config.server.certificate.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", authority(address));
    let threads = config.runtime.threads.or_else(|| thread::available_parallelism().ok().map(usize::from));
    info!(
        version = env!("CARGO_PKG_VERSION"),
        url = format!("{url}/"),
        docs = format!("{url}/docs"),
        cache = %config.store.cache_dir.display(),
        threads,
        load_mode = config.lifecycle.mode.as_str(),
        "starting"
    );
}

/// What is served and on what, before anything else is said.
pub(super) fn serving(app: &App) {
    let catalog = app.catalog();
    let models = catalog.listed().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ");
    info!(models, devices = devices(app), "models to serve");
}

/// When requests are answered.
pub(super) fn listening(app: &App, address: SocketAddr, tls: bool) {
    let devices = devices(app);
    let (load_mode, default) = (app.load_mode().as_str(), app.catalog().default().name.clone());
    info!(%address, tls, load_mode, %default, devices, "listening");
    models(app);
    app.keyring().say(address.ip().is_loopback());
}

fn devices(app: &App) -> String {
    app.placer.usual().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Names that may not mean what somebody thinks.
fn models(app: &App) {
    let catalog = app.catalog();
    for entry in catalog.listed() {
        if let Some(nearest) = &entry.almost {
            warn!(model = %entry.name, %nearest, "no known model has this name; it is taken for a repository of the hub");
        }
    }
    let stand_ins: Vec<_> = catalog.stand_ins().map(|(name, entry)| format!("{name} = {}", entry.name)).collect();
    if !stand_ins.is_empty() {
        let names = stand_ins.join(", ");
        info!(names, "names of OpenAI's mean small models inside the program; MODEL_ID names larger ones");
    }
}

/// Where a browser on this machine finds it.
fn authority(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_can_open_the_address() {
        for (bound, shown) in [
            ("0.0.0.0:8080", "localhost:8080"),
            ("[::]:8080", "localhost:8080"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(authority(bound.parse().unwrap()), shown);
        }
    }
}
