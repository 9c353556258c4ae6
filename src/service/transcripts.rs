//! What is said in recordings of speakers, where a model has to know it and nobody wrote it down.

use super::{Call, Served, Service, ServiceError, metrics::Account, task_input::TaskInput};
use crate::{
    catalog::Entry,
    model::RequestError,
    speech::{ReferenceVoice, SynthesizeOptions, TaskKind, Transcribe, TranscribeOptions},
};

impl Service {
    /// Has what is said in the voices of a request written down, where its model has to know.
    pub(super) async fn with_transcripts(
        &self,
        entry: &Entry,
        mut options: SynthesizeOptions,
        call: &Call,
    ) -> Result<SynthesizeOptions, ServiceError> {
        if !entry.family.is_some_and(|family| family.needs_transcript()) {
            return Ok(options);
        }
        for reference in options.voice.iter_mut().flat_map(|voice| voice.references_mut()) {
            if reference.transcript.as_deref().is_none_or(|words| words.trim().is_empty()) {
                reference.transcript = Some(self.transcript(reference, call).await?);
            }
        }
        Ok(options)
    }

    async fn transcript(&self, reference: &ReferenceVoice, call: &Call) -> Result<String, ServiceError> {
        if let Some(kept) = self.voices.transcript(&reference.sha256) {
            return Ok(kept);
        }
        let Some(transcriber) = self.config().transcriber else { return Err(nobody().into()) };
        let failed = |error| ServiceError::NoTranscript(Box::new(error));
        // What comes of it is not the caller's answer, and costs the caller nothing beyond it.
        let call = Call { model: Some(transcriber), served: Served::default(), allowance: None, ..call.clone() };
        let account: Account = self.metrics.open(call.protocol, TaskKind::Transcribe).uncounted();
        let audio = reference.audio.as_ref().clone();
        let ask = Transcribe { audio, options: TranscribeOptions::default() };
        let answer = self.answer(call, account, TaskInput::Ready(ask)).await.map_err(failed)?;
        let words = answer.whole().await.map_err(failed)?.text().trim().to_owned();
        if words.is_empty() {
            let message = "nothing is said in the recording of the voice, as far as the transcriber hears".to_owned();
            return Err(RequestError::Invalid { param: "voice", message }.into());
        }
        self.voices.keep_transcript(&reference.sha256, &words);
        Ok(words)
    }
}

fn nobody() -> RequestError {
    let message = "the voice's recording has no transcript, and this model speaks in a voice only where it knows what is said \
                   in the recording: `transcript` of POST /v1/audio/voices, or beside the recording, would be right, or \
                   voices.transcriber in the configuration of the server";
    RequestError::Invalid { param: "voice", message: message.to_owned() }
}
