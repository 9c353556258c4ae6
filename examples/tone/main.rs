//! A server that speaks in tones: a kind of models of its own that makes sound, for tests of everything around it.
//!
//! [`family`] is the smallest family that does all that a speaking one has to: it streams, works on several requests at
//! once, lets newcomers in, waits for slow readers, takes a text that is still being written, and obeys seed, speed and
//! voice. It takes its configuration as `sconce serve` does, without the command line.
//!
//! ```sh
//! mkdir -p /tmp/tone && echo '{"model_type":"tone"}' > /tmp/tone/config.json
//! MODEL_ID=tone SCONCE_MODELS__TONE__SOURCE=file:/tmp/tone cargo run --release --example tone
//! ```

mod family;

use std::process::ExitCode;

use futures::stream;
use sconce::{
    app,
    config::{self, Overrides, Sources},
    families::whisper::Whisper,
    model::Family,
    telemetry,
};

const FAMILIES: &[&dyn Family] = &[&Whisper, &family::Tone];

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let loaded = match config::load(&Sources::of_process(Overrides::default())) {
        Ok(loaded) => loaded,
        Err(faults) => {
            eprintln!("{faults}");
            return Ok(ExitCode::from(2));
        }
    };
    let mut config = loaded.config;
    config.catalog.families = FAMILIES;
    let _outlet = telemetry::init(&config.telemetry)?;
    let listener = app::bind(&config.server)?;
    let interrupt = async { drop(tokio::signal::ctrl_c().await) };
    app::run(config, listener, stream::pending(), interrupt).await?;
    Ok(ExitCode::SUCCESS)
}
