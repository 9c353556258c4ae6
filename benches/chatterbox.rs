//! Chatterbox beside its reference, the package `chatterbox-tts` (`support/beside.rs` says how).
//!
//!     pip install chatterbox-tts==0.1.7            # into an environment of its own, Python 3.11
//!     export CHATTERBOX_PYTHON=…/bin/python
//!     cargo bench --bench chatterbox -- FOLDER     # 3.2 GB of weights, which are made if there are none
//!     cargo bench --bench chatterbox -- FOLDER --dtypes f32,bf16 --pairs 5 --tokens 250 --threads 2
//!
//! Without `CHATTERBOX_PYTHON` there is nobody to compare with, and ours is shown alone.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures, and where it is")]
#![allow(clippy::disallowed_methods, reason = "a benchmark takes its parameters from the environment, and rests")]

#[path = "support/beside.rs"]
mod beside;
#[path = "support/speaker.rs"]
mod speaker;
#[path = "../tests/support/mod.rs"]
mod support;

use beside::Comparison;

const CHATTERBOX: Comparison = Comparison {
    reference: "chatterbox-tts",
    python: "CHATTERBOX_PYTHON",
    script: concat!(env!("CARGO_MANIFEST_DIR"), "/benches/chatterbox_reference.py"),
    dtypes: &["f32", "bf16"],
    // 25 are a second.
    tokens: 250,
    rows: ["T3, ms a token", "S3Gen, s a second of sound"],
    small: || Some((support::chatterbox::english(), "Good morning.")),
};

fn main() -> anyhow::Result<()> {
    beside::main(&CHATTERBOX)
}
