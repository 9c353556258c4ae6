//! What is made of recordings and texts, until it is written as tensors.

use super::{
    signature::{AUDIO, Port},
    tensor::Datatype,
};
use crate::{
    http::{native::task::TaskRequest, problem::Problem},
    service::{Call, MemoryShare, Service, ServiceError, SoundStream},
    speech::{Kind, SpeechEvent, Timestamps, Transcript},
};

/// Bytes that a sample takes until it is sent as such: itself, its place in a row, and its place in the body.
const SAMPLE: usize = 12;
/// The same where it becomes a number in JSON, which is a value first and then text.
const SAMPLE_IN_JSON: usize = 64;

/// How sound is to be counted while it is made.
#[derive(Clone, Copy)]
pub(super) struct Making {
    /// Bytes for each sample.
    sample: usize,
}

/// What is made of one recording or text.
pub(super) enum Made {
    Text(Transcript, Timestamps),
    Sound(Row),
}

/// Sound of one channel.
pub(super) struct Row {
    pub samples: Vec<f32>,
    /// In hertz.
    pub rate: u32,
    _share: MemoryShare,
}

/// What is made of a request.
pub(super) enum Rows {
    Texts(Vec<(Transcript, Timestamps)>),
    Sounds { rows: Vec<Row>, _filling: MemoryShare },
}

// === impl Making ===

impl Making {
    /// For these outputs, and whether each is binary.
    pub fn of(chosen: &[(&Port, bool)]) -> Self {
        let in_json = |(port, binary): &(&Port, bool)| port.name == AUDIO && port.datatype == Datatype::Fp32 && !binary;
        Self { sample: if chosen.iter().any(in_json) { SAMPLE_IN_JSON } else { SAMPLE } }
    }

    pub async fn make(self, service: &Service, call: Call, task: TaskRequest) -> Result<Made, Problem> {
        match task {
            TaskRequest::Transcribe(request, _) => {
                let timestamps = request.options.timestamps;
                Ok(Made::Text(service.transcribe(call, *request).await?.whole().await?, timestamps))
            }
            TaskRequest::Synthesize(request, _) => {
                self.gather(service, service.speak(call, *request).await?.into()).await
            }
            TaskRequest::Convert(request, _) => {
                self.gather(service, service.convert(call, *request).await?.into()).await
            }
        }
    }

    /// All of the sound, within what may be gathered.
    async fn gather(self, service: &Service, mut stream: SoundStream) -> Result<Made, Problem> {
        let (limit, mut share) = (service.config().max_audio, service.sound_memory());
        let (mut samples, mut rate, mut seconds) = (Vec::new(), None, 0.0);
        while let Some(piece) = stream.next().await {
            let pcm = match piece? {
                SpeechEvent::Audio(pcm) => pcm,
                SpeechEvent::Done(_) => break,
                SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => continue,
            };
            rate = Some(pcm.rate());
            seconds += pcm.seconds();
            if seconds > limit.as_secs_f64() {
                return Err(ServiceError::TooLong { limit }.into());
            }
            let block = pcm.mono();
            share.resize((samples.len() + block.len()).saturating_mul(self.sample)).map_err(ServiceError::from)?;
            samples.extend_from_slice(&block);
        }
        let silent = || Problem::new(Kind::Internal, "internal error: the model made no sound");
        Ok(Made::Sound(Row { samples, rate: rate.ok_or_else(silent)?, _share: share }))
    }

    /// Shorter rows are filled up, so that more is taken in the end than they have.
    pub fn rows(self, service: &Service, made: Vec<Made>) -> Result<Rows, Problem> {
        let (mut texts, mut sounds) = (Vec::new(), Vec::new());
        for one in made {
            match one {
                Made::Text(transcript, timestamps) => texts.push((transcript, timestamps)),
                Made::Sound(row) => sounds.push(row),
            }
        }
        if sounds.is_empty() {
            return Ok(Rows::Texts(texts));
        }
        let longest = longest(&sounds);
        let missing: usize = sounds.iter().map(|row| longest - row.samples.len()).sum();
        let mut filling = service.sound_memory();
        filling.resize(missing.saturating_mul(self.sample)).map_err(ServiceError::from)?;
        Ok(Rows::Sounds { rows: sounds, _filling: filling })
    }
}

/// Samples of the longest row.
pub(super) fn longest(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.samples.len()).max().unwrap_or_default()
}
