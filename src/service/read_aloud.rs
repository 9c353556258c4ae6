//! A text, from what a caller asks to a model that begins to speak: read, cut into chunks, leased, or spoken by another.

use std::collections::VecDeque;

use tokio::task::spawn_blocking;

use super::{
    Call, LexiconFile, Service, ServiceError, SpeakRequest, Speaking, dialogue,
    fallback::{self, Substitute},
    known::{Known, entry},
    metrics::Account,
    speak::SpeechStart,
    speech_limits::SpeechLimits,
    stems,
};
use crate::{
    catalog::Entry,
    lifecycle::Lease,
    speech::{Synthesize, SynthesizeOptions, TaskKind},
    text::{Chunk, LengthCheck},
};

/// A text as a model is to say it.
pub(super) struct ReadText {
    chunks: VecDeque<Chunk>,
    check: LengthCheck,
    /// As it was written.
    whole: bool,
    options: SynthesizeOptions,
}

// === impl Service ===

impl Service {
    /// Has a text read, cut into what the model says in one go, and spoken. The sound arrives while it is made.
    pub async fn speak(&self, call: Call, asked: SpeakRequest) -> Result<Speaking, ServiceError> {
        let mut account = self.metrics.open(call.protocol, TaskKind::Synthesize);
        let started = self.start_speaking(call, asked, &mut account).await;
        account.settle(started, |mut account, started| {
            account.begun(0.0, started.characters);
            Speaking::new(started, account)
        })
    }

    async fn start_speaking(
        &self,
        call: Call,
        asked: SpeakRequest,
        account: &mut Account,
    ) -> Result<SpeechStart, ServiceError> {
        let known = self.known.load_full();
        let (config, entry) = (&known.config, entry(&known.catalog, call.model.as_deref(), TaskKind::Synthesize)?);
        account.model(&entry.name);
        let (characters, normalize_loudness) = (asked.text.chars().count(), asked.normalize_loudness);
        // Several sounds of one piece keep the loudness that they have in it.
        let normalize_loudness =
            normalize_loudness.unwrap_or(config.normalize_loudness && asked.options.stems.len() < 2);
        // For who may have to speak in its place.
        let again = entry.fallback.is_some().then(|| asked.clone());
        let text = self.read(&known, entry, asked).await?;
        if let Some(allowance) = &call.allowance {
            allowance.take_characters(characters)?;
        }
        let text = self.told(entry, text, &call).await?;
        let (ReadText { chunks, check, whole, options }, lease) =
            match (self.acquire(entry, &call, config.wait).await, again) {
                (Ok(lease), _) => (text, lease),
                (Err(error), Some(asked)) if fallback::out_of_reach(&error) => {
                    self.fall_back(&known, entry, asked, error, &call, account).await?
                }
                (Err(error), _) => return Err(error),
            };
        // Once for all chunks.
        let options = self.at_rate_of(&lease, Synthesize { options, ..Synthesize::default() }).await?.options;
        let deadline = call.ends(config.request_timeout);
        let (output, longest, id) = (config.output, config.max_audio, call.id);
        Ok(SpeechStart {
            lease,
            id,
            deadline,
            output,
            longest,
            options,
            chunks,
            check,
            normalize_loudness,
            joined: !whole,
            characters,
        })
    }

    /// Has a text read for a model.
    pub(super) async fn read(
        &self,
        known: &Known,
        entry: &Entry,
        asked: SpeakRequest,
    ) -> Result<ReadText, ServiceError> {
        let families = known.candidates(entry);
        dialogue::check(families, &asked)?;
        stems::check(families, &asked)?;
        let asked = self.with_prefix(families, asked).await?;
        let (limits, options) = (known.speech_limits(entry), asked.options.clone());
        let chunks = read_aloud(asked, limits, known.config.lexicon.clone()).await?;
        Ok(ReadText { chunks, check: limits.check, whole: limits.whole, options })
    }

    /// With what is said in the voices that are to speak.
    async fn told(&self, entry: &Entry, text: ReadText, call: &Call) -> Result<ReadText, ServiceError> {
        Ok(ReadText { options: self.with_transcripts(entry, text.options, call).await?, ..text })
    }

    /// Has another model speak in the place of one that `error` keeps from it: the first that is there. Where nobody is, the
    /// error stands.
    async fn fall_back(
        &self,
        known: &Known,
        entry: &Entry,
        asked: SpeakRequest,
        error: ServiceError,
        call: &Call,
        account: &mut Account,
    ) -> Result<(ReadText, Lease), ServiceError> {
        for speaker in fallback::speakers(&known.catalog, entry) {
            let Substitute { asked, ignored } = fallback::substitute(asked.clone(), entry, speaker);
            let ready = async {
                let text = self.told(speaker, self.read(known, speaker, asked).await?, call).await?;
                Ok((text, self.acquire(speaker, call, known.config.wait).await?))
            };
            let (id, model, fallback) = (&call.id, &entry.name, &speaker.name);
            match ready.await {
                Ok(ready) => {
                    tracing::warn!(request = id, %model, %fallback, reason = %error, ?ignored, "another model speaks in its place");
                    account.falls_back(model, fallback);
                    call.served.in_place_of(model, ignored);
                    return Ok(ready);
                }
                Err::<_, ServiceError>(other) => {
                    tracing::warn!(request = id, %model, %fallback, reason = %other, "nor can its fallback speak");
                }
            }
        }
        Err(error)
    }

    /// Whether the model follows what `instructions` say; else they are to be told as ignored.
    pub fn follows_instructions(&self, model: Option<&str>) -> Result<bool, ServiceError> {
        let known = self.known.load_full();
        let entry = entry(&known.catalog, model, TaskKind::Synthesize)?;
        Ok(known.speech_limits(entry).follows_instructions)
    }
}

/// What is to be said, on a thread that may work.
async fn read_aloud(
    asked: SpeakRequest,
    limits: SpeechLimits,
    lexicon: Option<LexiconFile>,
) -> Result<VecDeque<Chunk>, ServiceError> {
    let read = spawn_blocking(move || asked.chunks(&limits, lexicon.as_ref().map(LexiconFile::words))).await;
    read.map_err(|_| ServiceError::Internal("the text could not be read"))?
}
