//! The thread of a model.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Event, Pulse, Runnable, Setup, StartError,
    memory::Held,
    metrics::ModelMetrics,
    queue::{Closed, Queue},
    work::each,
};
use crate::model::{Admission, Batch, Broken, DeviceId, LoadError, Model, Request, RequestError, Room, Signal, Streak};

/// Everything that the thread owns but the model.
pub(super) struct Worker<F> {
    pub setup: Setup,
    pub queue: Arc<Queue>,
    pub pulse: Arc<Pulse>,
    pub metrics: ModelMetrics,
    /// Of requests that failed.
    pub streak: Arc<Streak>,
    pub on_event: F,
}

/// A model, and what came with it.
type Loaded = (Box<dyn Model>, Option<Held>);

/// Newcomers of one task, and the model's signs of life.
struct Newcomers<'a> {
    setup: &'a Setup,
    queue: &'a Queue,
    pulse: &'a Pulse,
    streak: &'a Arc<Streak>,
    taken: usize,
    /// How long the model waited for callers.
    parked: Duration,
    /// It has made no step since it waited for callers.
    idle: bool,
}

// === impl Worker ===

impl<F: FnMut(Event)> Worker<F> {
    pub fn run(mut self, load: impl FnOnce() -> Result<Box<dyn Model>, LoadError>) {
        match self.start(load) {
            Ok((model, resident)) => self.serve_and_end(model, resident),
            Err(error) => {
                let error = self.told_of_memory(error);
                let _ = self.check_device();
                self.queue.abandon(&RequestError::NotBegun);
                (self.on_event)(Event::Failed(error));
            }
        }
    }

    /// The model, ready.
    fn start(&mut self, load: impl FnOnce() -> Result<Box<dyn Model>, LoadError>) -> Result<Loaded, StartError> {
        let began = Instant::now();
        let (mut model, resident) = self.load(load)?;
        let outside = model.outside();
        if let Some(outside) = &outside {
            self.metrics.watch(outside);
        }
        model.woken_by(self.queue.signal().clone());
        (self.on_event)(Event::Loaded { took: began.elapsed(), resident: resident.map(Held::total), outside });

        let began = Instant::now();
        if let Err(error) = self.warm_up(model.as_mut()) {
            self.discard(model);
            return Err(error);
        }
        (self.on_event)(Event::Ready { took: began.elapsed() });
        Ok((model, resident))
    }

    fn load(&self, load: impl FnOnce() -> Result<Box<dyn Model>, LoadError>) -> Result<Loaded, StartError> {
        let weighing = self.setup.scale.load(self.setup.device);
        let model = self.contained("loaded", load)??;
        let (takes, meant) = (model.max_batch(), self.setup.max_batch);
        if takes < meant {
            tracing::info!(model = %self.setup.name, takes, max_batch = meant, "the model works on fewer at once");
        }
        Ok((model, weighing.gained()))
    }

    fn warm_up(&self, model: &mut dyn Model) -> Result<(), StartError> {
        if self.setup.cold {
            return Ok(());
        }
        self.contained("warmed up", || model.warm_up())?.map_err(|broken| {
            tracing::error!(model = %self.setup.name, error = %broken, "the first inference failed");
            StartError::WarmUp(broken)
        })
    }

    /// A failure for want of memory says how much there was to be.
    fn told_of_memory(&self, error: StartError) -> StartError {
        let device = self.setup.device;
        let no_memory = match &error {
            StartError::Load(error) => error.is_out_of_memory(),
            StartError::WarmUp(broken) => broken.is_out_of_memory(),
            StartError::NoMemory { .. } | StartError::Panicked { .. } => false,
        };
        if !device.is_accelerator() || !no_memory {
            return error;
        }
        tracing::warn!(model = %self.setup.name, %device, %error, "no memory for a model");
        StartError::NoMemory { device, room: Room { need: self.setup.need, free: self.setup.free_memory() } }
    }

    fn serve_and_end(mut self, mut model: Box<dyn Model>, resident: Option<Held>) {
        let died = self.serve(model.as_mut()).err();
        if died.is_some() {
            self.queue.abandon(&RequestError::NotBegun);
        }
        let freed = self.discard(model);
        self.report_leak(resident, freed);
        (self.on_event)(Event::Ended { died, freed: freed.map(Held::total) });
    }

    /// What came with the model and did not go with it, if it is more than the threshold. Pages of files that are gone
    /// were perhaps taken back long before, so only memory of its own says anything.
    fn report_leak(&self, resident: Option<Held>, freed: Option<Held>) {
        let (Some(resident), Some(freed)) = (resident, freed) else { return };
        let bytes = resident.own.saturating_sub(freed.own);
        if bytes > self.setup.leak_threshold {
            self.metrics.leaked(bytes);
            let (model, device) = (&self.setup.name, self.setup.device);
            tracing::warn!(%model, bytes, %device, "memory stayed behind a model that went");
        }
    }

    /// Works until the queue is closed and empty. The error says, to clients, how the model died.
    fn serve(&mut self, model: &mut dyn Model) -> Result<(), String> {
        loop {
            match self.queue.wait() {
                Ok(Some(work)) => each!(work, request => self.batch(model, request)?),
                Ok(None) => {
                    let looked = catch_unwind(AssertUnwindSafe(|| model.look()));
                    self.verdict(model, looked)?;
                }
                Err(Closed { lost: None }) => return Ok(()),
                Err(Closed { lost: Some(reason) }) => return Err(lost(self.setup.device, &reason)),
            }
        }
    }

    fn batch<T: Runnable>(&mut self, model: &mut dyn Model, first: Request<T>) -> Result<(), String> {
        let began = Instant::now();
        let (first, setup) = (first.counted(&self.streak), &self.setup);
        let (queue, pulse, streak) = (&self.queue, &self.pulse, &self.streak);
        let mut newcomers = Newcomers { setup, queue, pulse, streak, taken: 1, parked: Duration::ZERO, idle: false };
        let ran = {
            let _busy = self.pulse.begin();
            let most = model.max_batch().max(1);
            let batch = Batch::new(vec![first], &mut newcomers).at_most(most);
            let mut batch = batch.woken_by(self.queue.signal().clone());
            catch_unwind(AssertUnwindSafe(|| T::run(model, &mut batch)))
        };
        let (requests, parked, took) = (newcomers.taken, newcomers.parked, began.elapsed());
        self.metrics.ran(T::KIND, requests, took.saturating_sub(parked), parked);
        self.queue.measured(requests, took);
        let verdict = self.verdict(model, ran);
        self.streak.answer_fallen(&RequestError::Broken);
        verdict?;
        self.check_streak()
    }

    fn check_streak(&self) -> Result<(), String> {
        let failures = self.streak.length();
        if failures < self.setup.max_failures {
            return Ok(());
        }
        tracing::error!(model = %self.setup.name, failures, "the model fails every request");
        Err(format!("the model failed {failures} requests in a row"))
    }

    fn verdict(
        &self,
        model: &mut dyn Model,
        ran: Result<Result<(), Broken>, Box<dyn Any + Send>>,
    ) -> Result<(), String> {
        if matches!(ran, Ok(Ok(()))) {
            return Ok(());
        }
        self.check_device()?;
        match ran {
            Ok(Ok(())) => Ok(()),
            Ok(Err(broken)) if self.outlives(model, &broken) => Ok(()),
            Ok(Err(broken)) => {
                tracing::error!(model = %self.setup.name, error = %broken, "the model broke");
                Err("the model broke while it worked".to_owned())
            }
            Err(panic) => {
                self.report_panic("working", &panic);
                Err("the model failed unexpectedly while it worked".to_owned())
            }
        }
    }

    /// Whether its device still computes; all models of one that does not are to go.
    fn check_device(&self) -> Result<(), String> {
        let device = self.setup.device;
        let reason = device.is_accelerator().then(|| self.setup.scale.lost(device)).flatten();
        let Some(reason) = reason else { return Ok(()) };
        self.setup.health.lose(device, &reason);
        Err(lost(device, &reason))
    }

    /// Whether a model goes on after a failure, without the requests that it had in hand: its device had no memory left for
    /// them.
    fn outlives(&self, model: &mut dyn Model, broken: &Broken) -> bool {
        let device = self.setup.device;
        if !device.is_accelerator() || !broken.is_out_of_memory() {
            return false;
        }
        let recovered = catch_unwind(AssertUnwindSafe(|| model.recover())).unwrap_or(false);
        let requests = self.streak.fallen();
        let free = self.setup.free_memory();
        tracing::warn!(model = %self.setup.name, %device, requests, free, recovered, error = %broken, "no memory for requests");
        if recovered {
            let room = Room { need: None, free };
            self.streak.answer_fallen(&RequestError::no_memory(requests.saturating_sub(1), room));
        }
        recovered
    }

    /// Drops the model, whose destructor may panic like the rest of it, and gives its memory back to the system: how
    /// many bytes, if that can be told.
    fn discard(&self, model: Box<dyn Model>) -> Option<Held> {
        let weighing = self.setup.scale.unload(self.setup.device);
        let _ = self.contained("unloaded", || drop(model));
        weighing.lost()
    }

    fn contained<T>(&self, phase: &'static str, work: impl FnOnce() -> T) -> Result<T, StartError> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
            let detail = self.report_panic(phase, &panic);
            StartError::Panicked { phase, detail }
        })
    }

    fn report_panic(&self, phase: &'static str, panic: &Box<dyn Any + Send>) -> String {
        let detail = panic_text(panic);
        self.metrics.panicked();
        tracing::error!(model = %self.setup.name, phase, detail, "the model panicked");
        detail
    }
}

/// For clients.
fn lost(device: DeviceId, reason: &str) -> String {
    format!("{device} is lost to this process ({reason}), which has to be started anew")
}

fn panic_text(panic: &Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}

// === impl Newcomers ===

impl<T: Runnable> Admission<T> for Newcomers<'_> {
    fn next(&mut self) -> Option<Request<T>> {
        // The kind was looked at, so `unwrap` gives the request.
        let request = T::unwrap(self.queue.next(T::KIND, self.idle)?)?;
        self.taken += 1;
        Some(request.counted(self.streak))
    }

    fn step(&mut self) {
        self.idle = false;
        self.streak.answer_fallen(&RequestError::Broken);
        self.pulse.step();
        self.queue.sweep();
    }

    fn free_memory(&self) -> Option<u64> {
        self.setup.free_memory()
    }

    fn park(&mut self, signal: &Signal, until: Option<Instant>) {
        let began = Instant::now();
        {
            let _parked = self.pulse.park();
            signal.wait([until, self.queue.deadline()].into_iter().flatten().min());
        }
        self.parked += began.elapsed();
        self.idle = true;
        self.queue.sweep();
    }
}
