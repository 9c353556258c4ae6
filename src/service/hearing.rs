//! From what somebody sent to the sound that a model hears.

use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tracing::instrument;

use super::{
    Service, ServiceError,
    diarization::DiarizationAsk,
    memory::MemoryShare,
    original::DecodedSound,
    request::Recording,
    sound::{self, Cut, Decoded, Hearing, Sound},
};
use crate::{
    audio::{self, DecodeError, VoiceActivity},
    speech::Channels,
};

// === impl Service ===

impl Service {
    /// Looks whether this is a recording, by its beginning. What only ffmpeg can read is decoded, since to start it a second
    /// time costs more than to hold the sound until the model is there.
    pub(super) async fn look(&self, hearing: Hearing, rate: u32, longest: Duration) -> Result<Sound, ServiceError> {
        let Some(recording) = hearing.audio.file() else { return Ok(Sound::Undecoded(hearing)) };
        let _permit = self.decoders.acquire().await.map_err(closed)?;
        let Recording { bytes, hint } = recording.clone();
        let probe = move || audio::probe(&bytes, hint.as_deref(), longest);
        let Err(error) = spawn_blocking(probe).await.map_err(failed)? else { return Ok(Sound::Undecoded(hearing)) };
        let (start, share) = (Instant::now(), self.decoded.nothing());
        let decoded = self.hear_otherwise(recording, hearing.channels, rate, longest, error, share).await?;
        self.cut(decoded, hearing.channels, (hearing.voice_activity, hearing.diarization), start)
            .await
            .map(Sound::Decoded)
    }

    /// What a model is given of a recording: one sound, or one of each channel. There is at least one.
    pub(super) async fn hear(
        &self,
        sound: Sound,
        rate: u32,
        longest: Duration,
    ) -> Result<Vec<DecodedSound>, ServiceError> {
        match sound {
            Sound::Undecoded(hearing) => self.decode(hearing, rate, longest).await,
            Sound::Decoded(heard) => Ok(heard),
        }
    }

    #[instrument(name = "decode", level = "debug", skip_all, fields(bytes = hearing.audio.bytes() as i64))]
    async fn decode(&self, hearing: Hearing, rate: u32, longest: Duration) -> Result<Vec<DecodedSound>, ServiceError> {
        let Hearing { audio, channels, voice_activity, diarization } = hearing;
        let _permit = self.decoders.acquire().await.map_err(closed)?;
        let (start, mut share, file) = (Instant::now(), self.decoded.nothing(), audio.file());
        let decode = move || (sound::decode(audio, channels, rate, longest, &mut share), share);
        let decoded = match (spawn_blocking(decode).await.map_err(failed)?, file) {
            ((Err(ServiceError::Audio(error)), share), Some(file)) => {
                self.hear_otherwise(file, channels, rate, longest, error, share).await?
            }
            ((decoded, share), _) => (decoded?, share),
        };
        self.cut(decoded, channels, (voice_activity, diarization), start).await
    }

    async fn cut(
        &self,
        (decoded, share): (Decoded, MemoryShare),
        channels: Channels,
        (voice_activity, diarization): (Option<VoiceActivity>, Option<DiarizationAsk>),
        start: Instant,
    ) -> Result<Vec<DecodedSound>, ServiceError> {
        self.metrics.warned(&decoded.warnings);
        let (voices, memory) = (self.listeners.voices.clone(), self.decoded.clone());
        let asked = Cut { channels, voice_activity, diarization, voices, memory };
        let cut = move || sound::cut(decoded, asked, share);
        let heard = spawn_blocking(cut).await.map_err(failed)?;
        self.metrics.decode_seconds.observe(start.elapsed().as_secs_f64());
        heard
    }

    /// What the decoders here refused, by ffmpeg, where that may help and is installed.
    async fn hear_otherwise(
        &self,
        file: Recording,
        channels: Channels,
        rate: u32,
        longest: Duration,
        error: DecodeError,
        mut share: MemoryShare,
    ) -> Result<(Decoded, MemoryShare), ServiceError> {
        match self.ffmpeg.remedy() {
            _ if !error.may_be_heard_otherwise() => Err(error.into()),
            Some(remedy) => Err(ServiceError::Undecoded { error, remedy }),
            None => {
                let heard = self.ffmpeg.hear(file.bytes, channels, rate, longest, &mut share).await;
                heard.or(error).map(|decoded| (decoded, share))
            }
        }
    }
}

fn closed<E>(_: E) -> ServiceError {
    ServiceError::Internal("the decoders are closed")
}

fn failed<E>(_: E) -> ServiceError {
    ServiceError::Internal("the audio decoder failed")
}
