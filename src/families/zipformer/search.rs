//! Which symbols were said: at each vector of the encoder the likeliest, at most one (icefall's greedy search with
//! `max_sym_per_frame` 1, as sherpa-onnx has it).

use super::{tokens::Tokens, transducer::Transducer};
use crate::families::onnx::RunError;

/// Silence, at the vectors at which no symbol is said.
const BLANK: usize = 0;
/// Where nothing was said yet; it is no symbol, and the decoder makes nothing of it.
const NOTHING: i64 = -1;

/// A search on its way through a recording.
pub struct Search {
    /// The last symbols, as many as the decoder knows.
    context: Vec<i64>,
    /// What it makes of them; `None`: it was not asked yet.
    known: Option<Vec<f32>>,
}

/// A symbol that was said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    pub symbol: usize,
    pub logprob: f32,
}

// === impl Search ===

impl Search {
    pub fn new(transducer: &Transducer) -> Self {
        let mut context = vec![NOTHING; transducer.context - 1];
        context.push(BLANK as i64);
        Self { context, known: None }
    }

    /// What is said at the next vector; `blank_penalty`: by how much silence is less likely than the model says.
    pub fn step(
        &mut self,
        vector: &[f32],
        transducer: &mut Transducer,
        tokens: &Tokens,
        blank_penalty: f32,
    ) -> Result<Option<Said>, RunError> {
        let known = match self.known.take() {
            Some(known) => known,
            None => transducer.decode(&self.context)?,
        };
        let mut logits = transducer.join(vector, &known)?;
        self.known = Some(known);
        if logits.len() != tokens.len() {
            return Err(RunError::new("the joiner does not know as many symbols as tokens.txt"));
        }
        logits[BLANK] -= blank_penalty;
        let likeliest = (1..logits.len()).fold(BLANK, |best, at| if logits[at] > logits[best] { at } else { best });
        if !tokens.is_written(likeliest) {
            return Ok(None);
        }
        self.context.remove(0);
        self.context.push(likeliest as i64);
        self.known = None;
        Ok(Some(Said { symbol: likeliest, logprob: logprob(&logits, likeliest) }))
    }
}

/// Log-softmax.
fn logprob(logits: &[f32], at: usize) -> f32 {
    let all: f32 = logits.iter().map(|logit| (logit - logits[at]).exp()).sum();
    -all.ln()
}
