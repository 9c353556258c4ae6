//! Sconce with a kind of models of its own, which makes sound: for tests of everything around it.
//!
//! [`family`] is the smallest family that does all that a speaking one has to: it streams, works on several requests at
//! once, lets newcomers in, waits for slow readers, takes a text that is still being written, and obeys seed, speed and
//! voice. [`family::song`] is one that sings: sections, stems, and checkpoints to go on from after a restart. Beside them stand
//! the families of the library.
//!
//! ```sh
//! mkdir -p /tmp/tone && echo '{"model_type":"tone"}' > /tmp/tone/config.json
//! MODEL_ID=tone SCONCE_MODELS__TONE__SOURCE=file:/tmp/tone cargo run --release --example tone
//! ```

mod family;

use std::process::ExitCode;

use sconce::{
    families::{lark::Lark, whisper::Whisper},
    model::Family,
};

const FAMILIES: &[&dyn Family] = &[&Whisper, &Lark, &family::Tone, &family::song::ToneSong];

fn main() -> ExitCode {
    sconce::cli::serving(FAMILIES)
}
