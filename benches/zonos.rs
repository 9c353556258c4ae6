//! Zonos beside its reference, Zyphra's own code (`support/beside.rs` says how).
//!
//!     pip install torch==2.6.0 torchaudio==2.6.0 transformers==5.2.0 phonemizer==3.3.0 inflect   # Python 3.11
//!     export ZONOS_PYTHON=…/bin/python ZONOS=…     # a checkout of github.com/Zyphra/Zonos at bc40d98
//!     cargo bench --bench zonos -- FOLDER          # 3.6 GB of weights, which are made if there are none
//!     cargo bench --bench zonos -- FOLDER --make=--hybrid
//!     cargo bench --bench zonos -- FOLDER --make=--layers=8 --dtypes f32,q8 --pairs 5 --tokens 43
//!
//! It takes the program espeak-ng on both sides, and 14 GB of memory for all engines at once, less with fewer layers. The
//! hybrid's own code runs on NVIDIA's cards alone, so its reference is the transformer's with transformers' `Mamba2Mixer`.
//! Without `ZONOS_PYTHON` there is nobody to compare with, and ours is shown alone.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures, and where it is")]
#![allow(clippy::disallowed_methods, reason = "a benchmark takes its parameters from the environment, and rests")]

#[path = "support/beside.rs"]
mod beside;
#[path = "support/speaker.rs"]
mod speaker;
#[path = "../tests/support/mod.rs"]
mod support;

use beside::Comparison;

const ZONOS: Comparison = Comparison {
    reference: "Zyphra's",
    python: "ZONOS_PYTHON",
    script: concat!(env!("CARGO_MANIFEST_DIR"), "/benches/zonos_reference.py"),
    dtypes: &["f32", "q8"],
    // Frames, 86 of which are a second.
    tokens: 43,
    rows: ["step, ms a frame", "DAC, s a second of sound"],
    small: || support::espeak::program().map(|_| (support::zonos::together("hybrid"), "Good morning.")),
};

fn main() -> anyhow::Result<()> {
    beside::main(&ZONOS)
}
