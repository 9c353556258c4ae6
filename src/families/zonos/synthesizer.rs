//! The networks that answer requests.

use super::{
    net::{CodeModel, CodeRequest, ConditionRange, Conditions, SPEAKER},
    options::{Conditionable, SpeechOptions},
    prefix::Prefixes,
    text::FrontEnd,
    utterance::Utterance,
    voices::Voices,
};
use crate::{
    families::{
        code_speech::{self, CodeSpeaker},
        speech_error::SpeechError,
    },
    model::{Batch, Broken, Model},
    nn::{Threads, codec::Dac},
    speech::{SpeechSummary, Synthesize},
};

/// The model.
pub struct Synthesizer {
    pub threads: Threads,
    pub codes: CodeModel,
    pub dac: Dac,
    pub voices: Voices,
    pub prefixes: Prefixes,
    pub front_end: FrontEnd,
    pub max_batch: usize,
}

impl Conditionable for CodeModel {
    fn range(&self, condition: &str) -> Option<ConditionRange> {
        CodeModel::range(self, condition)
    }
}

// === impl Synthesizer ===

impl CodeSpeaker for Synthesizer {
    type Utterance = Utterance;

    fn threads(&self) -> &Threads {
        &self.threads
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn rate(&self) -> u32 {
        self.dac.rate()
    }

    fn begin(&self, ask: &Synthesize) -> Result<Utterance, SpeechError> {
        let language = self.front_end.language(ask.options.language.as_deref())?;
        let options = SpeechOptions::new(&ask.options, language, &self.codes)?;
        let mut phonemes = self.front_end.phonemes(&ask.text, &ask.pronunciations, language)?;
        let mut conditions = Conditions { phonemes: phonemes.ids(), values: options.manner.clone() };
        if let Some(speaker) = self.voices.get(ask.options.voice.as_ref())? {
            conditions.values.insert(SPEAKER, speaker);
        }
        // What the model said before tells it more of the voice than what a caller gave at first.
        let (given, before) = match (&ask.before, &options.prefix) {
            (Some(tail), _) => {
                conditions.phonemes = phonemes.after(&tail.said).ids();
                (tail.codes.to_vec(), Vec::new())
            }
            (None, Some(prefix)) => {
                // Without what is said in it, the text begins with that.
                if let Some(words) = prefix.transcript() {
                    phonemes = phonemes.after(self.front_end.phonemes(words, &[], language)?.as_str());
                    conditions.phonemes = phonemes.ids();
                }
                let codes = self.prefixes.codes(prefix, &self.dac)?;
                (codes.clone(), codes)
            }
            (None, None) => (Vec::new(), Vec::new()),
        };
        let new_frames = options.new_frames(given.len() / self.codes.books());
        let request = CodeRequest { sampling: options.sampling, new_frames, seed: options.seed, prefix: given };
        let row = self.codes.admit(&conditions, &request)?;
        let given = (&request.prefix[..], before);
        Ok(Utterance::new(row, &self.dac, phonemes, given, &options)?)
    }

    fn step(&self, utterances: &mut [&mut Utterance]) -> candle_core::Result<()> {
        let mut rows: Vec<_> = utterances.iter_mut().map(|utterance| &mut utterance.row).collect();
        self.codes.step(&mut rows)
    }

    fn sound(&self, utterance: &mut Utterance) -> candle_core::Result<Vec<f32>> {
        utterance.sound(&self.dac)
    }

    fn summary(&self, utterance: Utterance) -> SpeechSummary {
        let (tokens, tail) = (utterance.row.frames(), utterance.tail(self.dac.books()));
        SpeechSummary { tokens, seed: Some(utterance.seed), tail, ..SpeechSummary::default() }
    }
}

impl Model for Synthesizer {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        code_speech::work(self, requests)
    }

    /// All that a request has is its own.
    fn recover(&mut self) -> bool {
        true
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        code_speech::warm_up(self)
    }
}
