//! The way of every request: resolve, check, look at the recording, lease, decode, queue.

use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tracing::instrument;

use super::{
    Answer, Call, Service, ServiceError, Sounding, answer::Started, channels::Answers, known::entry, metrics::Account,
    original::Original, sound::Sound, task_input::TaskInput,
};
use crate::{
    catalog::Entry,
    lifecycle::{AcquireOptions, Lease, Unavailable},
    model::{FlowLimits, Request, RequestError, request},
    runtime::Runnable,
    speech::Task,
};

/// A request whose model and whose sound are there: one, or one for each channel of its recording.
pub(super) struct Ready<T: Task> {
    lease: Lease,
    asks: Vec<(T, Original)>,
    id: String,
    deadline: Instant,
    output: FlowLimits,
    longest: Duration,
}

// === impl Service ===

impl Service {
    /// The whole way, to an answer that begins.
    pub(super) async fn answer<T: Runnable + Sounding>(
        &self,
        call: Call,
        mut account: Account,
        asked: TaskInput<T>,
    ) -> Result<Answer<T>, ServiceError> {
        let ready = self.ready(call, asked, &mut account).await;
        account.settle(ready.and_then(|ready| ready.send(|request| request)), Answer::begun)
    }

    /// Has the model of a request here, and its sound.
    pub(super) async fn ready<T: Runnable + Sounding>(
        &self,
        call: Call,
        asked: TaskInput<T>,
        account: &mut Account,
    ) -> Result<Ready<T>, ServiceError> {
        let known = self.known.load_full();
        let (config, entry) = (&known.config, entry(&known.catalog, call.model.as_deref(), T::KIND)?);
        account.model(&entry.name);
        let (rate, longest) = (known.input_rate(entry, T::KIND), config.max_audio);
        let (lease, asks) = match asked {
            TaskInput::Ready(ask) => {
                if let Some(allowance) = &call.allowance {
                    allowance.take_characters(ask.characters())?;
                }
                (self.acquire(entry, &call, config.wait).await?, vec![(ask, Original::silent())])
            }
            TaskInput::Recording(hearing, ask) => {
                // What is no recording costs no load, and what is one no memory before its model is there.
                let mut sound = self.look(hearing, rate, longest).await?;
                // Who may send so many seconds is told before anything is loaded, for which they have to be counted.
                if let Some(allowance) = &call.allowance {
                    sound = Sound::Decoded(self.hear(sound, rate, longest).await?);
                    allowance.take_audio(sound.seconds())?;
                }
                let lease = self.acquire(entry, &call, config.wait).await?;
                let (sounds, originals): (_, Vec<_>) = self.hear(sound, rate, longest).await?.into_iter().unzip();
                (lease, ask(sounds).into_iter().zip(originals).collect())
            }
        };
        call.served.warned(asks.first().map(|(_, original)| original.warnings()).unwrap_or_default());
        let asks = self.all_at_rate_of(&lease, asks).await?;
        let deadline = call.ends(config.request_timeout);
        Ok(Ready { lease, asks, id: call.id, deadline, output: config.output, longest })
    }

    #[instrument(name = "wait", level = "debug", skip_all, fields(model = %entry.name))]
    pub(super) async fn acquire(&self, entry: &Entry, call: &Call, usual: Duration) -> Result<Lease, ServiceError> {
        // Who has somebody to speak in its place does not wait for better times.
        let sits_out_failures = entry.fallback.is_none();
        let options = AcquireOptions { timeout: call.patience(usual), keep_alive: call.keep_alive, sits_out_failures };
        let lease = self.lifecycle.acquire(&entry.name, options).await;
        let lease = lease.map_err(|error| match error {
            // That it had no more time says more than how far the model was.
            Unavailable::NotYet { .. } | Unavailable::NoRoom { .. } if call.is_over() => RequestError::Deadline.into(),
            error => ServiceError::from(error),
        });
        lease.inspect(|lease| call.served.by(lease))
    }

    /// What is asked, with its sound as the model wants it: where its family was not known before it was loaded, and where
    /// a voice comes with it, that may have another rate.
    pub(super) async fn at_rate_of<T: Sounding>(&self, lease: &Lease, ask: T) -> Result<T, ServiceError> {
        match lease.input_rate(T::KIND) {
            Some(rate) if !ask.is_at(rate) => {
                let voices = self.voices.clone();
                let resampled = spawn_blocking(move || ask.at(rate, &voices)).await;
                resampled
                    .map_err(|_| ServiceError::Internal("the resampler failed"))?
                    .map_err(|unusable| ServiceError::Audio(unusable.into()))
            }
            // A model that does not do the task says so itself.
            _ => Ok(ask),
        }
    }

    async fn all_at_rate_of<T: Sounding>(
        &self,
        lease: &Lease,
        asks: Vec<(T, Original)>,
    ) -> Result<Vec<(T, Original)>, ServiceError> {
        let mut ready = Vec::with_capacity(asks.len());
        for (ask, original) in asks {
            ready.push((self.at_rate_of(lease, ask).await?, original));
        }
        Ok(ready)
    }
}

// === impl Ready ===

impl<T: Runnable + Sounding> Ready<T> {
    /// Queues it; each of its requests as `open` makes it.
    pub fn send(self, mut open: impl FnMut(Request<T>) -> Request<T>) -> Result<Started<T>, ServiceError> {
        let Self { lease, asks, id, deadline, output, longest } = self;
        let heard = asks.iter().map(|(_, original)| original.seconds).sum();
        let characters = asks.iter().map(|(ask, _)| ask.characters()).sum();
        let send = |(ask, original)| {
            let (request, responses) = request(id.clone(), ask, Some(deadline));
            lease.submit(open(request.bounded(output)))?;
            Ok((responses, original))
        };
        // Where one finds no place, those before it are dropped, and their requests with them.
        let sent = asks.into_iter().map(send).collect::<Result<_, ServiceError>>()?;
        Ok(Started { lease, answers: Answers::new(sent), heard, characters, longest })
    }
}
