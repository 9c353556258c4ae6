//! Higgs Audio beside its reference, transformers (`support/beside.rs` says how).
//!
//!     pip install torch==2.6.0 torchaudio==2.6.0 transformers==5.23.0
//!     export HIGGS_PYTHON=…/bin/python
//!     cargo bench --bench higgs -- FOLDER          # 4 of 28 layers and the whole codec, 2.7 GB, which are made if there are none
//!     cargo bench --bench higgs -- FOLDER --make=--layers=8 --dtypes f32,q8 --pairs 5 --tokens 50
//!
//! The layers are of the published shapes. Their number is scaled, so that the reference fits into memory: it computes in f32,
//! which of all 28 is 23 GB. A step of all of them takes as many times as much, but for the head. Without `HIGGS_PYTHON` there is
//! nobody to compare with, and ours is shown alone.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures, and where it is")]
#![allow(clippy::disallowed_methods, reason = "a benchmark takes its parameters from the environment, and rests")]

#[path = "support/beside.rs"]
mod beside;
#[path = "support/speaker.rs"]
mod speaker;
#[path = "../tests/support/mod.rs"]
mod support;

use beside::Comparison;

const HIGGS: Comparison = Comparison {
    reference: "transformers",
    python: "HIGGS_PYTHON",
    script: concat!(env!("CARGO_MANIFEST_DIR"), "/benches/higgs_reference.py"),
    dtypes: &["f32", "bf16", "q8"],
    // Frames, 25 of which are a second.
    tokens: 25,
    rows: ["step, ms a frame", "codec, s a second of sound"],
    small: || Some((support::higgs::together("transformers"), "Good morning.")),
};

fn main() -> anyhow::Result<()> {
    beside::main(&HIGGS)
}
