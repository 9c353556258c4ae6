//! The one place where a native request becomes that of a task, and where what a task answers becomes a prediction.

use serde_json::Value;

use super::{
    format::Format,
    prediction::{self, Prediction},
    request::{NativeRequest, TaskOptions},
};
use crate::{
    http::problem::Problem,
    service::{AudioInput, Call, Service, TranscribeRequest, Transcription},
    speech::{Kind, Segment, TaskKind, Timestamps, Transcript, TranscriptEvent},
};

/// What is to be done, understood.
#[derive(Clone, Debug)]
pub(in crate::http) enum TaskRequest {
    Transcribe(TranscribeRequest),
}

/// A request that a model works on. Dropping it stops the work.
pub(in crate::http) enum Running {
    Transcribe {
        transcription: Transcription,
        timestamps: Timestamps,
        /// Those that came so far.
        segments: Vec<Segment>,
        format: Format,
    },
}

/// What comes of a request while a model works on it.
pub(in crate::http) enum Step {
    Piece(Piece),
    /// Once, last.
    Whole(Prediction),
}

/// A part of an answer.
pub(in crate::http) struct Piece {
    /// What it is called in an event.
    pub name: &'static str,
    pub value: Value,
    /// How far the answer is with it, in seconds of sound.
    pub seconds: f64,
}

// === impl TaskRequest ===

impl TaskRequest {
    /// `audio` is the request's recording, if it has one.
    pub fn of(request: NativeRequest, audio: Option<AudioInput>) -> Result<Self, Problem> {
        match request.options {
            TaskOptions::Transcribe(options) => {
                let missing = || Problem::invalid("audio", "the field audio, with the recording, is missing");
                let audio = audio.ok_or_else(missing)?;
                Ok(Self::Transcribe(TranscribeRequest { audio, options, voice_activity: None }))
            }
            TaskOptions::Unread(task) => Err(unserved(task)),
        }
    }

    /// Brings the request to its model.
    pub async fn start(self, service: &Service, call: Call, format: Format) -> Result<Running, Problem> {
        match self {
            Self::Transcribe(request) => {
                let timestamps = request.options.timestamps;
                let transcription = service.transcribe(call, request).await?;
                Ok(Running::Transcribe { transcription, timestamps, segments: Vec::new(), format })
            }
        }
    }
}

/// A family may do what a route cannot ask for.
pub(in crate::http) fn unserved(task: TaskKind) -> Problem {
    Problem::new(Kind::Unsupported, format!("this route cannot be asked to {task}"))
}

// === impl Running ===

impl Running {
    /// Length of the recording, or of what is made, as far as that is known from the start.
    pub fn seconds(&self) -> f64 {
        match self {
            Self::Transcribe { transcription, .. } => transcription.seconds(),
        }
    }

    /// What comes next; `None` after the whole, or after a problem.
    pub async fn next(&mut self) -> Option<Result<Step, Problem>> {
        match self {
            Self::Transcribe { transcription, timestamps, segments, format } => {
                Some(match transcription.next().await? {
                    Ok(TranscriptEvent::Segment(segment)) => {
                        let value = prediction::segment(&segment, *timestamps);
                        let piece = Piece { name: "segment", value, seconds: segment.end };
                        segments.push(segment);
                        Ok(Step::Piece(piece))
                    }
                    Ok(TranscriptEvent::Done(summary)) => {
                        let (model, segments) = (transcription.model().clone(), std::mem::take(segments));
                        let transcript = Transcript { model, segments, summary };
                        Ok(Step::Whole(Prediction::of_transcript(&transcript, *timestamps, *format)))
                    }
                    Err(error) => Err(error.into()),
                })
            }
        }
    }

    /// Waits for the whole, and shows each piece as soon as it is there.
    pub async fn whole(mut self, mut see: impl FnMut(Piece)) -> Result<Prediction, Problem> {
        while let Some(step) = self.next().await {
            match step? {
                Step::Piece(piece) => see(piece),
                Step::Whole(prediction) => return Ok(prediction),
            }
        }
        Err(Problem::new(Kind::Internal, "internal error: the answer ended without its last piece"))
    }
}
