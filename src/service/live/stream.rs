//! An item that is heard as it comes, by a model that does so: sound goes in while it is spoken, and what it seems to be comes
//! out meanwhile.

use std::pin::pin;

use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    watch,
};

use crate::{
    audio::{Pcm, Resampler},
    model::InputSender,
    service::{Answer, Call, Service, ServiceError},
    speech::{Segment, Transcribe, TranscribeOptions, Transcript, TranscriptEvent},
};

/// What a model heard in an item.
#[derive(Default)]
pub(super) struct ItemTranscript {
    pub text: String,
    pub segments: Vec<Segment>,
}

/// The session's end: the sound of one item goes in.
pub(super) struct Feed {
    /// Samples that were given.
    given: usize,
    /// `None`: that was all. What waits here is bounded by what an item may have.
    sound: Option<UnboundedSender<Vec<f32>>>,
    /// The last that was told.
    partials: watch::Receiver<String>,
}

/// The model's end.
pub(super) struct Sound {
    samples: UnboundedReceiver<Vec<f32>>,
    partials: watch::Sender<String>,
}

// === impl Feed ===

impl Feed {
    #[expect(clippy::disallowed_methods, reason = "what may wait is bounded by what an item may have")]
    pub fn new() -> (Self, Sound) {
        let ((sound, samples), (tell, partials)) = (unbounded_channel(), watch::channel(String::new()));
        (Self { given: 0, sound: Some(sound), partials }, Sound { samples, partials: tell })
    }

    pub fn given(&self) -> usize {
        self.given
    }

    /// Of an item as long as it is by now.
    pub fn give(&mut self, samples: &[f32]) {
        let Some(more) = samples.get(self.given..).filter(|more| !more.is_empty()) else { return };
        self.given = samples.len();
        if let Some(sound) = &self.sound {
            // Nobody takes it where the model failed, which its answer says.
            let _ = sound.send(more.to_vec());
        }
    }

    /// That was all.
    pub fn finish(&mut self) {
        self.sound = None;
    }

    /// What the item seems to be so far, when that has changed; `None`: no more is told.
    pub async fn partial(&mut self) -> Option<String> {
        self.partials.changed().await.ok()?;
        Some(self.partials.borrow_and_update().clone())
    }
}

/// Has the model hear an item as it comes. `rate`: of its sound, in hertz.
pub(super) async fn hear(
    service: Service,
    call: Call,
    options: TranscribeOptions,
    rate: u32,
    sound: Sound,
) -> Result<ItemTranscript, ServiceError> {
    let beginning = Transcribe { audio: Pcm::new(Vec::new(), rate), options };
    let (answer, input) = service.live(call, beginning).await?;
    let to = answer.input_rate();
    let resampler = Resampler::new(rate, to).map_err(|unusable| ServiceError::Audio(unusable.into()))?;
    let Sound { samples, partials } = sound;
    let (mut hearing, giving) = (pin!(listen(answer, partials)), give(samples, input, resampler, to));
    tokio::select! {
        biased;
        heard = &mut hearing => return heard,
        () = giving => {}
    }
    hearing.await
}

/// Until all of the item was given, or nobody takes it any more.
async fn give(
    mut samples: UnboundedReceiver<Vec<f32>>,
    mut input: InputSender<Transcribe>,
    mut resampler: Resampler,
    rate: u32,
) {
    while let Some(more) = samples.recv().await {
        let mut part = Vec::new();
        resampler.push(&more, &mut part);
        if input.send(Pcm::new(part, rate)).await.is_err() {
            return;
        }
    }
    let mut rest = Vec::new();
    resampler.finish(&mut rest);
    if input.send(Pcm::new(rest, rate)).await.is_ok() {
        input.finish();
    }
}

async fn listen(
    mut answer: Answer<Transcribe>,
    partials: watch::Sender<String>,
) -> Result<ItemTranscript, ServiceError> {
    let mut segments: Vec<Segment> = Vec::new();
    while let Some(event) = answer.next().await {
        match event? {
            TranscriptEvent::Segment(segment) => segments.push(segment),
            TranscriptEvent::Partial(text) => {
                let before: String = segments.iter().map(|segment| segment.text.as_str()).collect();
                // A session that is over reads no more.
                let _ = partials.send(format!("{before} {text}").trim().to_owned());
            }
            TranscriptEvent::Done(summary) => return Ok(answer.transcript(segments, summary).into()),
        }
    }
    Err(ServiceError::Internal("the transcription ended without its last piece"))
}

// === impl ItemTranscript ===

impl From<Transcript> for ItemTranscript {
    fn from(transcript: Transcript) -> Self {
        Self { text: transcript.text(), segments: transcript.segments }
    }
}
