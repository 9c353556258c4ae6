//! A model that is a program: requests go to it as jobs, several at once where it takes them.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use candle_core::DeviceLocation;

use super::{
    child::{Child, Said},
    frame::Frame,
    manifest::PROTOCOL,
    message::{Answer, Failure, Hello, WINDOW, WorkerRequest, shortened},
    plan::Plan,
    posed::Worked,
    row::Row,
};
use crate::{
    audio::Pcm,
    model::{Batch, Broken, LoadError, Model, Outside, Placement, Request, RequestError, Signal, WorkerRules, request},
    speech::{Convert, ConvertOptions, Synthesize, TaskKind, Transcribe, TranscribeOptions},
};

/// What is said before anybody asks, unless the program has something better.
const WARM_UP: &str = "Hello.";
/// Hertz, and seconds, of the silence that is heard before anybody asks.
const WARM_UP_RATE: u32 = 16_000;

/// The model.
pub struct Hosted {
    model: String,
    tasks: Vec<TaskKind>,
    input_rate: u32,
    child: Child,
    hello: Hello,
    max_batch: usize,
    rules: WorkerRules,
    /// Of the last job.
    id: u64,
    /// Jobs that nobody waits for and of which the program has not let go, with the time by which it has to.
    cancelled: BTreeMap<u64, Instant>,
}

// === impl Hosted ===

impl Hosted {
    /// Begins the program, and waits until it is ready.
    pub fn start(model: &str, plan: &Plan, place: &Placement) -> Result<Self, LoadError> {
        let (rules, choice) = (place.programs.workers.clone(), &place.programs.worker);
        let child = Child::start(model, plan, choice, &rules)?;
        let hello = introduced(model, &child, plan, place, &rules)?;
        tracing::info!(model, program = hello.name(), voices = hello.voices.len(), "a program is a model");
        child.outside().set_name(hello.name());
        child.weigh();
        child.set_busy(false);
        let max_batch = hello.concurrency.clamp(1, place.max_batch.max(1));
        let input_rate = plan.manifest.input_rate.unwrap_or(WARM_UP_RATE);
        let (model, tasks) = (model.to_owned(), plan.tasks.clone());
        Ok(Self { model, tasks, input_rate, child, hello, max_batch, rules, id: 0, cancelled: BTreeMap::new() })
    }

    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    fn work<T: Worked>(&mut self, batch: &mut Batch<'_, T>) -> Result<(), Broken> {
        self.child.wake(batch.signal());
        self.child.set_busy(true);
        let worked = self.serve(batch);
        self.child.set_busy(false);
        worked
    }

    fn serve<T: Worked>(&mut self, batch: &mut Batch<'_, T>) -> Result<(), Broken> {
        let mut rows: Vec<Row<T>> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() && self.cancelled.is_empty() {
                return Ok(());
            }
            for request in newcomers {
                rows.extend(self.begin(request)?);
            }
            let moved = self.listen(&mut rows);
            let taken = |row: &mut Row<T>| Some(WorkerRequest::More { id: row.id, bytes: row.hand_on()? });
            let taken = rows.iter_mut().filter_map(taken).collect::<Vec<_>>();
            // Whoever was answered before the program failed has its answer.
            for row in rows.extract_if(.., |row| row.is_over()) {
                self.end(row)?;
            }
            let moved = moved?;
            for more in &taken {
                self.tell(more)?;
            }
            let until = self.deadline(&rows)?;
            match (moved, rows.is_empty()) {
                (true, _) => batch.step(),
                (false, false) => batch.park_until(rows.iter().map(|row| &row.request), until),
                (false, true) if !self.cancelled.is_empty() => {
                    batch.signal().wait(until);
                    batch.step();
                }
                (false, true) => {}
            }
        }
    }

    /// Answers at once what cannot be asked of this program.
    fn begin<T: Worked>(&mut self, request: Request<T>) -> Result<Option<Row<T>>, Broken> {
        self.id += 1;
        match request.ask().pose(self.id, &self.hello) {
            Ok(frame) => {
                self.say(frame)?;
                Ok(Some(Row::new(self.id, request)))
            }
            Err(error) => {
                request.fail(error);
                Ok(None)
            }
        }
    }

    /// Whether it said anything.
    fn listen<T: Worked>(&mut self, rows: &mut [Row<T>]) -> Result<bool, Broken> {
        let mut moved = false;
        while let Some(said) = self.child.heard() {
            moved = true;
            match said {
                Said::Answer(answer, sound, bytes) => self.take(answer, &sound, bytes, rows)?,
                Said::Over(reason) => return Err(self.broken(reason)),
            }
        }
        Ok(moved)
    }

    fn take<T: Worked>(
        &mut self,
        answer: Answer,
        sound: &[u8],
        bytes: usize,
        rows: &mut [Row<T>],
    ) -> Result<(), Broken> {
        let (id, last) = match &answer {
            Answer::Piece(piece) => (Some(piece.id), false),
            Answer::Segment(segment) => (Some(segment.id), false),
            Answer::Done(done) => (Some(done.id), true),
            Answer::Error(failure) => (failure.id, true),
            Answer::Progress { .. } => {
                // It works, whatever on.
                rows.iter_mut().for_each(|row| row.heard = Instant::now());
                return Ok(());
            }
            Answer::Hello(_) | Answer::Ready | Answer::Pong { .. } => (None, false),
        };
        let Some(id) = id else {
            return Err(self.broken(match answer {
                Answer::Error(Failure { message, .. }) => format!("it gives up: {}", shortened(&message)),
                _ => "it answers what nobody asked".to_owned(),
            }));
        };
        if let Some(row) = rows.iter_mut().find(|row| row.id == id && !row.answered) {
            let taken = row.take(answer, sound, bytes, &self.hello);
            return taken.map_err(|reason| self.broken(reason));
        }
        match self.cancelled.contains_key(&id) {
            true if last => _ = self.cancelled.remove(&id),
            // It was on its way.
            true => {}
            false => {
                return Err(self.broken(format!("it answers the job {id}, which it was not given or had answered")));
            }
        }
        Ok(())
    }

    fn end<T: Worked>(&mut self, row: Row<T>) -> Result<(), Broken> {
        let (id, answered) = (row.id, row.answered);
        row.end();
        if !answered {
            self.cancelled.insert(id, Instant::now() + self.rules.cancel_timeout);
            self.tell(&WorkerRequest::Cancel { id })?;
        }
        Ok(())
    }

    /// By when something has to happen; an error where it is too late.
    fn deadline<T: Worked>(&self, rows: &[Row<T>]) -> Result<Option<Instant>, Broken> {
        let now = Instant::now();
        let silent = rows.iter().filter(|row| !row.answered).map(|row| row.heard + self.rules.piece_timeout).min();
        let deaf = self.cancelled.values().min().copied();
        if silent.is_some_and(|by| by <= now) {
            return Err(self.broken(format!("it said nothing for {}", seconds(self.rules.piece_timeout))));
        }
        if deaf.is_some_and(|by| by <= now) {
            let patience = seconds(self.rules.cancel_timeout);
            return Err(self.broken(format!("it works on for {patience} on what it was told to leave")));
        }
        Ok(silent.into_iter().chain(deaf).min())
    }

    fn tell(&self, ask: &WorkerRequest<'_>) -> Result<(), Broken> {
        self.say(ask.frame(Vec::new()))
    }

    fn say(&self, frame: Frame) -> Result<(), Broken> {
        self.child.say(frame).map_err(|reason| self.broken(reason))
    }

    fn broken(&self, reason: impl Display) -> Broken {
        tracing::warn!(model = self.model, %reason, "a program that is a model failed");
        Broken(format!("its program failed: {reason}").into())
    }

    /// Has one request answered, whatever comes of it: a request that it refuses has warmed it up as well.
    fn try_once<T: Worked>(&mut self, ask: T) -> Result<(), Broken> {
        let (request, mut responses) = request("warm-up".to_owned(), ask, None);
        let Some(mut row) = self.begin(request)? else { return Ok(()) };
        loop {
            let until = row.heard + self.rules.piece_timeout;
            match self.child.hear_until(until) {
                Some(Said::Answer(answer, sound, bytes)) => {
                    self.take(answer, &sound, bytes, std::slice::from_mut(&mut row))?;
                }
                Some(Said::Over(reason)) => return Err(self.broken(reason)),
                None => return Err(self.broken(format!("it said nothing for {}", seconds(self.rules.piece_timeout)))),
            }
            if let Some(bytes) = row.hand_on() {
                self.tell(&WorkerRequest::More { id: row.id, bytes })?;
            }
            while !row.request.has_room() {
                let _ = responses.blocking_next();
                row.hand_on();
            }
            if row.is_over() {
                self.end(row)?;
                break;
            }
        }
        while let Some(answer) = responses.blocking_next() {
            if matches!(answer, Err(RequestError::Broken)) {
                return Err(self.broken("it failed its first job"));
            }
        }
        Ok(())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f32())
}

/// Says who we are, hears who it is, and waits until it is ready.
fn introduced(
    model: &str,
    child: &Child,
    plan: &Plan,
    place: &Placement,
    rules: &WorkerRules,
) -> Result<Hello, LoadError> {
    let failed = |reason: String| LoadError::Process(format!("its program failed: {reason}"));
    let device = match place.device.location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { .. } => "metal".to_owned(),
    };
    let (threads, concurrency) = (place.threads, place.max_batch);
    let hello = WorkerRequest::Hello { protocol: PROTOCOL, model, device, threads, concurrency, window: WINDOW };
    child.say(hello.frame(Vec::new())).map_err(failed)?;
    let by = Instant::now() + rules.hello_timeout;
    let hello = match next(child, by).map_err(failed)? {
        Some(Answer::Hello(hello)) => *hello,
        Some(_) => return Err(failed("it does not begin with its hello".to_owned())),
        None => return Err(failed(format!("it did not say hello within {}", seconds(rules.hello_timeout)))),
    };
    hello.check(&plan.tasks).map_err(failed)?;
    let by = Instant::now() + rules.load_timeout;
    loop {
        match next(child, by).map_err(failed)? {
            Some(Answer::Ready) => return Ok(hello),
            Some(Answer::Progress { message }) => {
                tracing::info!(model, message = shortened(&message), "a program loads");
            }
            Some(_) => return Err(failed("it answers before it is ready".to_owned())),
            None => return Err(failed(format!("it was not ready within {}", seconds(rules.load_timeout)))),
        }
    }
}

/// What it says next; `None`: nothing, by then.
fn next(child: &Child, by: Instant) -> Result<Option<Answer>, String> {
    match child.hear_until(by) {
        Some(Said::Answer(Answer::Error(Failure { message, .. }), ..)) => Err(shortened(&message)),
        Some(Said::Answer(answer, ..)) => Ok(Some(answer)),
        Some(Said::Over(reason)) => Err(reason),
        None => Ok(None),
    }
}

impl Model for Hosted {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn transcribe(&mut self, requests: &mut Batch<'_, Transcribe>) -> Result<(), Broken> {
        self.work(requests)
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        self.work(requests)
    }

    fn convert(&mut self, requests: &mut Batch<'_, Convert>) -> Result<(), Broken> {
        self.work(requests)
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        self.child.set_busy(true);
        let silence = || Pcm::new(vec![0.0; self.input_rate as usize], self.input_rate);
        let (silence, text) = (silence(), self.hello.warm_up.clone().unwrap_or_else(|| WARM_UP.to_owned()));
        for task in self.tasks.clone() {
            let audio = silence.clone();
            match task {
                TaskKind::Synthesize => self.try_once(Synthesize { text: text.clone(), ..Synthesize::default() })?,
                TaskKind::Transcribe => self.try_once(Transcribe { audio, options: TranscribeOptions::default() })?,
                TaskKind::Convert => self.try_once(Convert { audio, options: ConvertOptions::default() })?,
            }
        }
        self.child.weigh();
        self.child.set_busy(false);
        Ok(())
    }

    fn outside(&self) -> Option<Arc<Outside>> {
        Some(self.child.outside())
    }

    fn woken_by(&mut self, signal: Arc<Signal>) {
        self.child.wake(signal);
    }

    /// While it has nothing to do it says nothing, unless it has ended.
    fn look(&mut self) -> Result<(), Broken> {
        self.listen::<Synthesize>(&mut []).map(drop)
    }
}
