//! The three networks.

use super::repository::{PART, TransducerFiles};
use crate::{
    audio::Fbank,
    families::onnx::{self, Header, InputType, Network, Numbers, RunError, Signature, States, Taken},
    model::{LoadError, ModelFiles, Placement},
};

/// Hertz of all that icefall trains.
pub const RATE: u32 = 16_000;
/// Frames a second that an encoder hears.
pub const FRAMES: usize = 100;
/// The highest frequency that its filter banks hear, which lhotse calls -400.
const HIGHEST: f64 = RATE as f64 / 2.0 - 400.0;
const BANDS: std::ops::RangeInclusive<u64> = 8..=512;
const USUAL_BANDS: u64 = 80;
/// Frames of a chunk. The largest that are published have 141.
const MOST_FRAMES: u64 = 3000;
/// Frames by which is measured how many there are for a vector.
const MEASURED: usize = 400;
/// Symbols that a decoder may know.
const CONTEXTS: std::ops::RangeInclusive<u64> = 1..=32;
const USUAL_CONTEXT: u64 = 2;
/// Numbers of a vector of the encoder.
const WIDEST: usize = 1 << 16;

const SOUND: &str = "x";
const LENGTHS: &str = "x_lens";
const ENCODED: &str = "encoder_out";
const KNOWN: &str = "decoder_out";
const SYMBOLS: &str = "y";

const INTEGERS: &[InputType] = &[InputType::I64, InputType::I32];
const ENCODER: Signature = Signature {
    inputs: &[
        Taken { names: &[SOUND], types: &[InputType::F32], required: true },
        Taken { names: &[LENGTHS], types: INTEGERS, required: false },
    ],
    states: true,
};
const DECODER: Signature =
    Signature { inputs: &[Taken { names: &[SYMBOLS], types: INTEGERS, required: true }], states: false };
const JOINER: Signature = Signature {
    inputs: &[
        Taken { names: &[ENCODED], types: &[InputType::F32], required: true },
        Taken { names: &[KNOWN], types: &[InputType::F32], required: true },
    ],
    states: false,
};

/// A model in memory.
pub struct Transducer {
    encoder: Network,
    decoder: Network,
    joiner: Network,
    pub fbank: Fbank,
    /// Symbols that the decoder knows.
    pub context: usize,
    /// Of one that hears sound as it comes.
    pub chunk: Option<Chunk>,
    /// Frames of a vector.
    pub stride: usize,
}

/// How an encoder hears sound as it comes, in frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// What it hears at once.
    pub length: usize,
    /// How far the next one begins after it.
    pub hop: usize,
}

/// What an encoder made of sound: vectors, one after another.
#[derive(Debug)]
pub struct Encoded {
    vectors: Vec<f32>,
    width: usize,
}

// === impl Transducer ===

impl Transducer {
    pub fn open(found: &TransducerFiles, files: &ModelFiles, place: &Placement) -> Result<Self, LoadError> {
        let bytes = |file: &str| files.open(PART, file);
        let encoder_bytes = bytes(&found.encoder)?;
        let header = onnx::read_header(&found.encoder, &encoder_bytes)?;
        let (bands, chunk) = (bands(&found.encoder, &header)?, Chunk::of(&found.encoder, &header)?);
        let decoder_bytes = bytes(&found.decoder)?;
        let context = context(&found.decoder, &onnx::read_header(&found.decoder, &decoder_bytes)?)?;
        let mut transducer = Self {
            encoder: Network::open(&found.encoder, &encoder_bytes, &ENCODER, place)?,
            decoder: Network::open(&found.decoder, &decoder_bytes, &DECODER, place)?,
            joiner: Network::open(&found.joiner, &bytes(&found.joiner)?, &JOINER, place)?,
            fbank: Fbank::below(RATE, bands, HIGHEST),
            context,
            chunk,
            stride: 1,
        };
        let measured = transducer.measured();
        transducer.stride = measured.map_err(|error| malformed(&found.encoder, error.to_string()))?;
        Ok(transducer)
    }

    /// How many symbols the joiner knows.
    pub fn symbols(&mut self) -> Result<usize, RunError> {
        let mut states = self.states();
        let encoded = self.encode_silence(&mut states)?;
        let vector = encoded.vectors().next().ok_or_else(|| RunError::new("the encoder makes nothing of silence"))?;
        let known = self.decode(&vec![0; self.context])?;
        Ok(self.join(vector, &known)?.len())
    }

    /// Frames of a vector, by what becomes of silence. An encoder leaves a few frames at the ends out.
    fn measured(&mut self) -> Result<usize, RunError> {
        let counted = self.chunk.map_or(MEASURED, |chunk| chunk.hop);
        let mut states = self.states();
        match self.encode_silence(&mut states)?.len() {
            0 => Err(RunError::new("the encoder makes nothing of silence")),
            vectors => Ok((counted / vectors).max(1)),
        }
    }

    fn encode_silence(&mut self, states: &mut States) -> Result<Encoded, RunError> {
        let frames = self.chunk.map_or(MEASURED, |chunk| chunk.length);
        self.encode(vec![f32::EPSILON.ln(); frames * self.fbank.bands()], states)
    }

    /// Where in a stretch of sound so many vectors before it end.
    pub fn seconds(&self, vectors: usize) -> f64 {
        (vectors * self.stride) as f64 / FRAMES as f64
    }

    pub fn states(&self) -> States {
        self.encoder.states()
    }

    /// Of these frames; one that hears sound as it comes goes on from `states`.
    pub fn encode(&mut self, frames: Vec<f32>, states: &mut States) -> Result<Encoded, RunError> {
        let bands = self.fbank.bands();
        let count = frames.len() / bands;
        let given = vec![
            (SOUND, vec![1, count, bands], Numbers::Floats(frames)),
            (LENGTHS, vec![1], Numbers::Integers(vec![count as i64])),
        ];
        let (shape, vectors) = self.encoder.step(given, states)?;
        match shape.as_slice() {
            // Never more of them than frames.
            &[1, vectors_of, width] if vectors_of <= count && (1..=WIDEST).contains(&width) => {
                Ok(Encoded { vectors, width })
            }
            _ => Err(RunError::new("the encoder does not give a vector for each stretch of its frames")),
        }
    }

    /// What the decoder knows after these symbols, of which there are as many as it takes.
    pub fn decode(&mut self, symbols: &[i64]) -> Result<Vec<f32>, RunError> {
        let given = vec![(SYMBOLS, vec![1, symbols.len()], Numbers::Integers(symbols.to_vec()))];
        self.decoder.run(given, 0, 0)
    }

    /// How likely each symbol is, in logarithms that are not brought to 1.
    pub fn join(&mut self, encoded: &[f32], known: &[f32]) -> Result<Vec<f32>, RunError> {
        let given = vec![
            (ENCODED, vec![1, encoded.len()], Numbers::Floats(encoded.to_vec())),
            (KNOWN, vec![1, known.len()], Numbers::Floats(known.to_vec())),
        ];
        self.joiner.run(given, 0, 0)
    }
}

fn malformed(file: &str, reason: String) -> LoadError {
    LoadError::Malformed { file: file.to_owned(), reason }
}

fn bands(file: &str, header: &Header) -> Result<usize, LoadError> {
    let sound = header.inputs.iter().find(|input| input.name == SOUND);
    let bands = sound.and_then(|input| input.sizes.get(2).copied().flatten()).unwrap_or(USUAL_BANDS);
    match BANDS.contains(&bands) {
        true => Ok(bands as usize),
        false => {
            Err(malformed(file, format!("it hears {bands} bands; {} to {} would be right", BANDS.start(), BANDS.end())))
        }
    }
}

fn context(file: &str, header: &Header) -> Result<usize, LoadError> {
    let shape = header.inputs.iter().find(|input| input.name == SYMBOLS).map(|input| input.sizes.as_slice());
    let sized = shape.and_then(|sizes| sizes.get(1).copied().flatten());
    let context = header.number("context_size").or(sized).unwrap_or(USUAL_CONTEXT);
    match CONTEXTS.contains(&context) {
        true => Ok(context as usize),
        false => {
            let (least, most) = (CONTEXTS.start(), CONTEXTS.end());
            Err(malformed(file, format!("its context_size is {context}; {least} to {most} would be right")))
        }
    }
}

// === impl Chunk ===

impl Chunk {
    /// `None`: it hears a window at once.
    fn of(file: &str, header: &Header) -> Result<Option<Self>, LoadError> {
        if header.inputs.iter().any(|input| input.name == LENGTHS) {
            return Ok(None);
        }
        let sound = header.inputs.iter().find(|input| input.name == SOUND);
        let sized = sound.and_then(|input| input.sizes.get(1).copied().flatten());
        let (length, hop) = (header.number("T").or(sized), header.number("decode_chunk_len"));
        match (length, hop) {
            (Some(length), Some(hop)) if (1..=length).contains(&hop) && length <= MOST_FRAMES => {
                Ok(Some(Self { length: length as usize, hop: hop as usize }))
            }
            _ => Err(malformed(
                file,
                "it has no input \"x_lens\", and does not say how many frames it hears at once (T, decode_chunk_len)"
                    .to_owned(),
            )),
        }
    }
}

// === impl Encoded ===

impl Encoded {
    pub fn vectors(&self) -> impl Iterator<Item = &[f32]> {
        self.vectors.chunks_exact(self.width)
    }

    pub fn len(&self) -> usize {
        self.vectors.len() / self.width
    }
}
