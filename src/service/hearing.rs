//! From what somebody sent to the sound that a model hears.

use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tracing::instrument;

use super::{
    Service, ServiceError,
    ffmpeg::Outcome,
    memory::MemoryShare,
    original::DecodedSound,
    request::{AudioInput, Recording},
    sound::{self, Cut, Decoded, Excerpt, Hearing, Parted, Sound},
    tracks::TrackGatherer,
};
use crate::{
    audio::{self, DecodeError, MOST_APART, MOST_TRACKS, Selection},
    speech::{Channels, Part, Tracks},
};

/// A recording that is being decoded.
struct Decoding<'a> {
    audio: &'a AudioInput,
    /// What the decoders here say of it, where they were asked: then it is for another one.
    refused: Option<DecodeError>,
    /// When another decoder has to be through with it.
    deadline: tokio::time::Instant,
}

// === impl Service ===

impl Service {
    /// Looks whether this is a recording, by its beginning. What only ffmpeg can read is decoded, since to start it a second
    /// time costs more than to hold the sound until the model is there.
    pub(super) async fn look(&self, hearing: Hearing, rate: u32, longest: Duration) -> Result<Sound, ServiceError> {
        let Some(Recording { bytes, hint }) = hearing.audio.file() else { return Ok(Sound::Undecoded(hearing)) };
        let track = hearing.tracks.number();
        let probe = move || audio::probe(&bytes, hint.as_deref(), track, longest);
        let permit = self.decoders.acquire().await.map_err(closed)?;
        let Err(error) = spawn_blocking(probe).await.map_err(failed)? else { return Ok(Sound::Undecoded(hearing)) };
        drop(permit);
        let refused = self.if_heard_otherwise(error)?;
        self.decode(hearing, rate, longest, Some(refused)).await.map(Sound::Decoded)
    }

    /// What a model is given of a recording: one sound, or one of each part. There is at least one.
    pub(super) async fn hear(
        &self,
        sound: Sound,
        rate: u32,
        longest: Duration,
    ) -> Result<Vec<DecodedSound>, ServiceError> {
        match sound {
            Sound::Undecoded(hearing) => self.decode(hearing, rate, longest, None).await,
            Sound::Decoded(heard) => Ok(heard),
        }
    }

    #[instrument(name = "decode", level = "debug", skip_all, fields(bytes = hearing.audio.bytes() as i64))]
    async fn decode(
        &self,
        hearing: Hearing,
        rate: u32,
        longest: Duration,
        refused: Option<DecodeError>,
    ) -> Result<Vec<DecodedSound>, ServiceError> {
        let Hearing { audio, channels, tracks, voice_activity, diarization } = hearing;
        let _permit = self.decoders.acquire().await.map_err(closed)?;
        let start = Instant::now();
        let decoding = Decoding { audio: &audio, refused, deadline: self.ffmpeg.deadline() };
        let (apart, origin) = (channels == Channels::Separate, self.config().time_origin);
        let selection = Selection { track: tracks.number(), apart, origin };
        let excerpt = Excerpt { selection, rate, longest };
        let parted = match tracks {
            Tracks::Auto | Tracks::Number(_) => {
                let (Decoded { channels, warnings }, share) = self.decode_track(&decoding, excerpt).await?;
                let part = |number| if selection.apart { Part::channel(number) } else { Part::WHOLE };
                let sounds = channels.into_iter().enumerate().map(|(number, pcm)| (part(number), pcm)).collect();
                Parted { sounds, warnings, share }
            }
            Tracks::All => self.decode_tracks(&decoding, excerpt, TrackGatherer::apart(self.decoded.nothing())).await?,
            Tracks::Mix => self.decode_tracks(&decoding, excerpt, TrackGatherer::mixed(self.decoded.nothing())).await?,
        };
        drop(audio);
        self.metrics.warned(&parted.warnings);
        let (voices, memory) = (self.listeners.voices.clone(), self.decoded.clone());
        let cut = move || sound::cut(parted, Cut { voice_activity, diarization, voices, memory });
        let heard = spawn_blocking(cut).await.map_err(failed)?;
        self.metrics.decode_seconds.observe(start.elapsed().as_secs_f64());
        heard
    }

    /// Every track, one after the other.
    async fn decode_tracks(
        &self,
        decoding: &Decoding<'_>,
        excerpt: Excerpt,
        mut tracks: TrackGatherer,
    ) -> Result<Parted, ServiceError> {
        for number in 0..=MOST_APART {
            let selection = Selection { track: Some(number), ..excerpt.selection };
            let longest = tracks.left_of(excerpt.longest);
            match self.decode_track(decoding, Excerpt { selection, longest, ..excerpt }).await {
                Err(ServiceError::Audio(DecodeError::NoSuchTrack { .. })) if number > 0 => break,
                // Of a file in which nothing can be decoded nobody knows how many there are.
                Err(_) if number == MOST_APART && tracks.is_empty() => break,
                _ if number == MOST_APART => return Err(DecodeError::TooManyTracks { most: MOST_APART }.into()),
                track => {
                    let take = move || tracks.take(number, track, excerpt.longest);
                    tracks = spawn_blocking(take).await.map_err(failed)??;
                }
            }
        }
        spawn_blocking(|| tracks.finish()).await.map_err(failed)?
    }

    /// The track that is selected.
    async fn decode_track(
        &self,
        decoding: &Decoding<'_>,
        excerpt: Excerpt,
    ) -> Result<(Decoded, MemoryShare), ServiceError> {
        let (audio, mut share) = (decoding.audio.clone(), self.decoded.nothing());
        let error = match &decoding.refused {
            Some(error) => error.clone(),
            None => {
                let decode = move || (sound::decode(audio, excerpt, &mut share), share);
                match spawn_blocking(decode).await.map_err(failed)? {
                    (Err(ServiceError::Audio(error)), _) => error,
                    (decoded, share) => return Ok((decoded?, share)),
                }
            }
        };
        match decoding.audio.file() {
            Some(file) => self.hear_otherwise(file, excerpt, error, decoding.deadline).await,
            None => Err(error.into()),
        }
    }

    /// What the decoders here refused, by ffmpeg, where that may help and is installed.
    async fn hear_otherwise(
        &self,
        file: Recording,
        excerpt: Excerpt,
        error: DecodeError,
        deadline: tokio::time::Instant,
    ) -> Result<(Decoded, MemoryShare), ServiceError> {
        let error = self.if_heard_otherwise(error)?;
        let hear = async |track| {
            let mut share = self.decoded.nothing();
            (self.ffmpeg.hear(file.bytes.clone(), track, excerpt, deadline, &mut share).await, share)
        };
        if let Some(track) = excerpt.selection.track {
            return match hear(track).await {
                (Outcome::NoSuchTrack(0), _) => Err(error.into()),
                (outcome, share) => Ok((outcome.or(error)?, share)),
            };
        }
        let mut silent = None;
        for track in 0..MOST_TRACKS {
            match hear(track).await {
                (Outcome::Sound(decoded), share) if decoded.channels.iter().all(audio::Pcm::is_silent) => {
                    silent.get_or_insert((decoded, share));
                }
                (Outcome::Sound(decoded), share) => return Ok((decoded, share)),
                (Outcome::Nothing | Outcome::NoSuchTrack(_), _) => break,
                (outcome, share) => return Ok((outcome.or(error)?, share)),
            }
        }
        silent.ok_or(error.into())
    }

    /// The error, where another decoder is there that may hear what it is of.
    fn if_heard_otherwise(&self, error: DecodeError) -> Result<DecodeError, ServiceError> {
        match self.ffmpeg.remedy() {
            _ if !error.may_be_heard_otherwise() => Err(error.into()),
            Some(remedy) => Err(ServiceError::Undecoded { error, remedy }),
            None => Ok(error),
        }
    }
}

fn closed<E>(_: E) -> ServiceError {
    ServiceError::Internal("the decoders are closed")
}

fn failed<E>(_: E) -> ServiceError {
    ServiceError::Internal("the audio decoder failed")
}
