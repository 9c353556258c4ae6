//! The networks: symbols to their lengths, steps to pitch and loudness, and symbols and both to a spectrum.

use std::ops::Range;

use super::{
    super::{
        config::{Signal, Stack},
        convnext::ConvNext,
        dense::{Dense, Norm},
        error::LarkError,
        plan::{Plan, lengths},
    },
    bins::PARTS,
    conv::Conv,
    encoder::TextEncoder,
    files::VOCABULARY,
    tensors::Tensors,
};

/// In Hz. With hops of 300 samples a frame lasts 12.5 ms.
const RATE: usize = 24_000;

/// Frames of a step.
const FRAMES: usize = 2;

/// What the decoder reads of a frame beside its symbol: pitch and loudness.
const PROSODY: usize = 2;

/// Hz of a pitch that the network calls 1.
const PITCH: f32 = 100.0;

/// What log pitch is divided by for the decoder, so that it is about 1.
const LOG_PITCH: f32 = 5.0;

/// The networks of a voice.
#[derive(Debug)]
pub struct HibariNet {
    /// What lengths, pitch and loudness are made of.
    prosody_text: TextEncoder,
    duration_enter: Conv,
    duration_leave: Dense,
    prosody_enter: Dense,
    prosody: ConvNext,
    prosody_leave: Dense,
    /// What the spectrum is made of.
    text: TextEncoder,
    decoder_enter: Conv,
    decoder: ConvNext,
    decoder_norm: Norm,
    decoder_leave: Dense,
    symbols: usize,
    /// Steps to either side that the decoder looks at.
    reach: usize,
    signal: Signal,
}

// === impl HibariNet ===

impl HibariNet {
    pub fn load(mut tensors: Tensors) -> Result<Self, LarkError> {
        let symbols = tensors.size("pn.text.emb.weight")?;
        let prosody_text = TextEncoder::load(&mut tensors, "pn.text", symbols)?;
        let text = TextEncoder::load(&mut tensors, "m.text", symbols)?;
        let (prosody, decoder) = (tensors.stack("pn.pro")?, tensors.stack("m.dec")?);
        let (signal, leave) = signal(tensors.size("m.head.bias")?)?;
        let (from, to) = (prosody_text.width(), text.width() + PROSODY);
        let kernel = |tensors: &Tensors, name: &str, depth: usize| match tensors.weights.shape(name)? {
            [_, taps] if taps.is_multiple_of(depth) && (taps / depth) % 2 == 1 => Ok(taps / depth),
            shape => Err(LarkError::Config(format!("{name} has the shape {shape:?}, which is foreign"))),
        };
        let duration_kernel = kernel(&tensors, "pn.dur.0.weight", from)?;
        let (inner, enter_kernel) = (tensors.size("pn.dur.0.bias")?.max(1), kernel(&tensors, "m.dec_in.weight", to)?);
        let weights = &mut tensors.weights;
        let decoder_enter = Conv::load(weights, "m.dec_in", to, enter_kernel, decoder.width)?;
        Ok(Self {
            duration_enter: Conv::load(weights, "pn.dur.0", from, duration_kernel, inner)?,
            duration_leave: Dense::load(weights, "pn.dur.2", inner, 1)?,
            prosody_enter: Dense::load(weights, "pn.pro_in", from, prosody.width)?,
            prosody: ConvNext::load(weights, "pn.pro", &prosody)?,
            prosody_leave: Dense::load(weights, "pn.pro_out", prosody.width, PROSODY * FRAMES)?,
            decoder: ConvNext::load(weights, "m.dec", &decoder)?,
            decoder_norm: Norm::load(weights, "m.dec_norm", decoder.width)?,
            decoder_leave: Dense::load(weights, "m.head", decoder.width, leave)?,
            reach: (decoder_enter.reach() + Stack::reach(&decoder)).div_ceil(FRAMES),
            prosody_text,
            text,
            decoder_enter,
            symbols,
            signal,
        })
    }

    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Whether it knows all symbols of an alphabet.
    pub fn check_symbols(&self, count: usize) -> Result<(), LarkError> {
        if count <= self.symbols {
            return Ok(());
        }
        let reason = format!("it has symbols up to number {}, where the voice knows {}", count - 1, self.symbols);
        Err(LarkError::File { file: VOCABULARY.to_owned(), reason })
    }

    /// How long each symbol lasts and how high the voice is. `ids`: symbols with both edges, each of the alphabet.
    pub fn plan(&self, ids: &[u8], speed: f32) -> Result<Plan, LarkError> {
        let said = self.prosody_text.forward(ids)?;
        let lengths = lengths(&self.duration_leave.forward(self.duration_enter.forward_gelu(said.clone())?)?, speed);
        let steps = self.prosody_enter.forward(spread(&said, self.prosody_text.width(), &lengths))?;
        let prosody = self.prosody_leave.forward(self.prosody.forward(steps)?)?;
        let text = self.text.forward(ids)?;
        Ok(self.frames(&text, &prosody, lengths))
    }

    /// `prosody`: of each step the pitch in its frames, then the loudness in them.
    fn frames(&self, text: &[f32], prosody: &[f32], lengths: Vec<usize>) -> Plan {
        let width = self.text.width();
        let (mut rows, mut f0) = (Vec::new(), Vec::new());
        let symbols =
            text.chunks_exact(width).zip(&lengths).flat_map(|(row, &length)| std::iter::repeat_n(row, length));
        for (row, step) in symbols.zip(prosody.chunks_exact(PROSODY * FRAMES)) {
            let (pitches, loudness) = step.split_at(FRAMES);
            for (pitch, loudness) in pitches.iter().zip(loudness) {
                let hertz = pitch * PITCH;
                rows.extend_from_slice(row);
                rows.extend([hertz.max(0.0).ln_1p() / LOG_PITCH, *loudness]);
                f0.push(hertz);
            }
        }
        Plan { rows, width: FRAMES * (width + PROSODY), f0, lengths }
    }

    /// What the vocoder reads of some steps, `[steps · FRAMES, PARTS · bins]`. The same as those rows of the whole, since all
    /// steps are read on which they depend.
    pub fn decode(&self, plan: &Plan, steps: Range<usize>) -> Result<Vec<f32>, LarkError> {
        let read = steps.start.saturating_sub(self.reach)..(steps.end + self.reach).min(plan.steps());
        let rows = plan.rows[read.start * plan.width..read.end * plan.width].to_vec();
        let decoded = self.decoder.forward(self.decoder_enter.forward(rows)?)?;
        let width = decoded.len() / read.len().max(1);
        let wanted = decoded[(steps.start - read.start) * width..(steps.end - read.start) * width].to_vec();
        self.decoder_leave.forward(self.decoder_norm.forward(wanted)?)
    }
}

/// Repeats the row of each symbol for its steps.
fn spread(rows: &[f32], width: usize, lengths: &[usize]) -> Vec<f32> {
    rows.chunks_exact(width).zip(lengths).flat_map(|(row, &length)| row.repeat(length)).collect()
}

/// What a head of this size makes: its bins say the window, of which a hop is a quarter.
fn signal(head: usize) -> Result<(Signal, usize), LarkError> {
    let bins = head / PARTS;
    if bins < 2 || !head.is_multiple_of(PARTS) {
        return Err(LarkError::Config(format!("its head gives {head} numbers, which are no spectrum")));
    }
    let window = 2 * (bins - 1);
    let signal = Signal {
        sample_rate: RATE,
        window,
        hop: window / 4,
        frames_per_step: FRAMES,
        band_centres: Vec::new(),
        top: 11_000.0,
        voiced: 40.0,
    };
    signal.check()?;
    Ok((signal, head))
}
