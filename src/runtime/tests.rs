//! Executors with models that do what each test tells them.
#![expect(clippy::disallowed_methods, reason = "a few words go through each channel")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

mod failing;
mod memory;
mod parking;

use super::*;
use crate::{
    audio::Pcm,
    model::{
        Backing, Batch, Broken, DTypeChoice, DeviceChoice, DeviceId, LoadError, Model, PlacementOverrides,
        ReferenceCacheConfig, Request, RequestError, Responses, request,
    },
    speech::{Fault, Kind, ModelName, Summary, TaskKind, Transcribe, TranscribeOptions, TranscriptEvent},
};

/// Nothing here takes as long.
const SOON: Duration = Duration::from_secs(10);

type Script = Box<dyn FnMut(&mut Batch<'_, Transcribe>) -> Result<(), Broken> + Send>;

/// A model that follows a script and tells when it is dropped.
struct Scripted {
    script: Script,
    warm: Box<dyn FnMut() -> Result<(), Broken> + Send>,
    dropped: Sender<()>,
}

struct Bench {
    executor: Executor,
    events: Receiver<Event>,
    dropped: Receiver<()>,
    registry: prometheus::Registry,
}

impl Model for Scripted {
    fn max_batch(&self) -> usize {
        4
    }

    fn transcribe(&mut self, jobs: &mut Batch<'_, Transcribe>) -> Result<(), Broken> {
        (self.script)(jobs)
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        (self.warm)()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let _ = self.dropped.send(());
    }
}

impl Bench {
    fn new(
        queue: usize,
        script: impl FnMut(&mut Batch<'_, Transcribe>) -> Result<(), Broken> + Send + 'static,
    ) -> Self {
        let mut bench = Self::cold(queue, Box::new(script), || Ok(()));
        assert!(matches!(bench.event(), Event::Loaded { .. }));
        assert!(matches!(bench.event(), Event::Ready { .. }));
        bench
    }

    fn cold(queue: usize, script: Script, warm: impl FnMut() -> Result<(), Broken> + Send + 'static) -> Self {
        let (tell_dropped, dropped) = channel();
        let model = Scripted { script, warm: Box::new(warm), dropped: tell_dropped };
        let (executor, events, registry) = start(queue, move || Ok(Box::new(model) as Box<dyn Model>));
        Self { executor, events, dropped, registry }
    }

    fn event(&mut self) -> Event {
        self.events.recv_timeout(SOON).expect("an event")
    }

    fn submit(&self) -> Responses<Transcribe> {
        let (job, answers) = new_job(None);
        self.executor.submit(job).expect("room in the queue");
        answers
    }

    /// The value of a metric, summed over its labels.
    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("a metric of that name");
        let value = |metric: &prometheus::proto::Metric| {
            metric.get_gauge().get_value()
                + metric.get_counter().get_value()
                + metric.get_histogram().get_sample_count() as f64
        };
        family.get_metric().iter().map(value).sum()
    }
}

pub(super) fn config() -> Config {
    Config {
        queue: 4,
        max_batch: 4,
        threads: None,
        device: DeviceChoice::Auto,
        require_gpu: false,
        dtype: DTypeChoice::Auto,
        cpu_kernels: Default::default(),
        max_failures: 3,
        weights: Some(Backing::Mapped),
        reserve: 0,
        leak_threshold: 0,
        references: ReferenceCacheConfig { memory: 0, folder: None, disk: 0 },
        programs: Default::default(),
        vllm_metric: true,
    }
}

fn start(
    queue: usize,
    load: impl FnOnce() -> Result<Box<dyn Model>, LoadError> + Send + 'static,
) -> (Executor, Receiver<Event>, prometheus::Registry) {
    set_up(Setup { queue, ..setup() }, load)
}

fn setup() -> Setup {
    Setup {
        name: ModelName::known("test/scripted"),
        device: DeviceId::Cpu,
        input_rates: BTreeMap::from([(TaskKind::Transcribe, 16_000)]),
        watermark: None,
        max_batch: 4,
        queue: 4,
        max_failures: 3,
        cold: false,
        scale: Scale::new(Arc::new(Installed::new(Host::here()))),
        health: Arc::default(),
        need: Some(90),
        leak_threshold: 1 << 20,
    }
}

fn set_up(
    setup: Setup,
    load: impl FnOnce() -> Result<Box<dyn Model>, LoadError> + Send + 'static,
) -> (Executor, Receiver<Event>, prometheus::Registry) {
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry, &config()).unwrap();
    let (sender, events) = channel();
    let executor = Executor::start(setup, &metrics, load, move |event| drop(sender.send(event))).unwrap();
    (executor, events, registry)
}

fn new_job(deadline: Option<Instant>) -> (Request<Transcribe>, Responses<Transcribe>) {
    let ask = Transcribe { audio: Pcm::new(vec![0.0; 16], 16_000), options: TranscribeOptions::default() };
    request("test".to_owned(), ask, deadline)
}

fn done() -> TranscriptEvent {
    TranscriptEvent::Done(Summary { language: "en".to_owned(), duration: 0.001, tokens: 0 })
}

/// Finishes every job, one by one, and admits newcomers.
fn obliging(jobs: &mut Batch<'_, Transcribe>) -> Result<(), Broken> {
    while let Some(job) = jobs.admit(1).pop() {
        job.finish(done());
    }
    Ok(())
}

/// A script that tells when it has a job, and finishes it when told to.
fn gated() -> (Script, Receiver<()>, Sender<()>) {
    let (tell_began, began) = channel();
    let (go, wait) = channel::<()>();
    let script = move |jobs: &mut Batch<'_, Transcribe>| {
        for job in jobs.admit(1) {
            tell_began.send(()).unwrap();
            let _ = wait.recv();
            job.finish(done());
        }
        Ok(())
    };
    (Box::new(script), began, go)
}

fn answer(mut answers: Responses<Transcribe>) -> Result<TranscriptEvent, RequestError> {
    answers.blocking_next().expect("an answer")
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "{what} did not come");
        std::thread::yield_now();
    }
}

#[test]
fn a_job_is_answered_on_the_thread_of_its_model() {
    let mut bench = Bench::new(4, |jobs| {
        assert_eq!(std::thread::current().name(), Some("model:scripted"));
        obliging(jobs)
    });
    assert!(matches!(answer(bench.submit()), Ok(TranscriptEvent::Done(_))));
    drop(bench.executor);
    assert!(matches!(bench.events.recv_timeout(SOON), Ok(Event::Ended { died: None, .. })));
    assert!(bench.dropped.try_recv().is_ok(), "the model is gone before its end is reported");
    bench.events = channel().1;
}

#[test]
fn a_full_queue_refuses_and_says_when_to_return() {
    let (script, began, go) = gated();
    let bench = Bench::new(2, script);
    let running = bench.submit();
    began.recv_timeout(SOON).unwrap();
    let waiting = [bench.submit(), bench.submit()];
    assert_eq!(bench.executor.queue_depth(), 2);
    assert_eq!(bench.metric("sconce_queue_depth"), 2.0);
    assert_eq!(bench.metric("vllm:num_requests_waiting"), 2.0);

    let refused = bench.executor.submit(new_job(None).0).unwrap_err();
    assert!(matches!(refused, Rejected::Full { depth: 2, retry_after } if retry_after >= Duration::from_secs(1)));
    assert_eq!(refused.kind(), Kind::Busy);

    drop(go);
    for answers in waiting.into_iter().chain([running]) {
        assert!(answer(answers).is_ok());
    }
    until("an empty gauge", || bench.metric("vllm:num_requests_waiting") == 0.0);
}

#[test]
fn who_waited_for_the_model_goes_before_who_came_later_even_into_a_full_queue() {
    let (tell, order) = channel();
    let (go, wait) = channel::<()>();
    let bench = Bench::new(1, move |jobs| {
        for job in jobs.admit(1) {
            tell.send(job.id.clone()).unwrap();
            let _ = wait.recv();
            job.finish(done());
        }
        Ok(())
    });
    let ask = |id: &str| {
        let ask = Transcribe { audio: Pcm::new(vec![0.0; 16], 16_000), options: TranscribeOptions::default() };
        request(id.to_owned(), ask, None)
    };
    let came = Instant::now();
    let (running, later, second, first) = (ask("running"), ask("later"), ask("second"), ask("first"));
    bench.executor.submit(running.0).unwrap();
    assert_eq!(order.recv_timeout(SOON).unwrap(), "running");
    bench.executor.submit(later.0).unwrap();
    assert!(bench.executor.submit(new_job(None).0).is_err(), "the queue is full");
    bench.executor.submit_in_line(second.0, came + Duration::from_nanos(1)).unwrap();
    bench.executor.submit_in_line(first.0, came).unwrap();
    drop(go);
    assert_eq!([(); 3].map(|()| order.recv_timeout(SOON).unwrap()), ["first", "second", "later"]);
}

#[test]
fn callers_who_left_make_way_in_a_full_queue() {
    let (script, began, go) = gated();
    let bench = Bench::new(1, script);
    let _running = bench.submit();
    began.recv_timeout(SOON).unwrap();
    drop(bench.submit());
    let stays = bench.submit();
    assert_eq!(bench.executor.queue_depth(), 1);
    drop(go);
    assert!(answer(stays).is_ok());
}

#[test]
fn a_job_whose_caller_left_or_whose_time_passed_is_never_worked_on() {
    let (script, began, go) = gated();
    let bench = Bench::new(8, script);
    let _running = bench.submit();
    began.recv_timeout(SOON).unwrap();
    drop(bench.submit());
    let (late, late_answers) = new_job(Some(Instant::now()));
    bench.executor.submit(late).unwrap();
    let last = bench.submit();

    go.send(()).unwrap();
    began.recv_timeout(SOON).expect("the last job, and no other");
    assert_eq!(answer(late_answers).unwrap_err(), RequestError::Deadline);
    drop(go);
    assert!(answer(last).is_ok());
    assert!(began.try_recv().is_err());
}

#[test]
fn those_who_wait_in_vain_are_answered_at_the_next_step() {
    let (tell_began, began) = channel();
    let (go, wait) = channel::<()>();
    let bench = Bench::new(4, move |jobs| {
        for job in jobs.admit(1) {
            tell_began.send(()).unwrap();
            wait.recv().unwrap();
            jobs.step();
            let _ = wait.recv();
            job.finish(done());
        }
        Ok(())
    });
    let _running = bench.submit();
    began.recv_timeout(SOON).unwrap();
    let (late, answers) = new_job(Some(Instant::now()));
    bench.executor.submit(late).unwrap();
    go.send(()).unwrap();
    assert_eq!(answer(answers).unwrap_err(), RequestError::Deadline);
    until("an empty queue", || bench.executor.queue_depth() == 0);
}

#[test]
fn newcomers_join_between_two_steps() {
    let (tell_size, size) = channel();
    let (go, wait) = channel::<()>();
    let bench = Bench::new(4, move |jobs| {
        let mut working = jobs.admit(1);
        tell_size.send(working.len()).unwrap();
        wait.recv().unwrap();
        jobs.step();
        working.extend(jobs.admit(2));
        tell_size.send(working.len()).unwrap();
        working.into_iter().for_each(|job| job.finish(done()));
        Ok(())
    });
    let first = bench.submit();
    assert_eq!(size.recv_timeout(SOON), Ok(1));
    let others = [bench.submit(), bench.submit()];
    go.send(()).unwrap();
    assert_eq!(size.recv_timeout(SOON), Ok(3));
    for answers in others.into_iter().chain([first]) {
        assert!(answer(answers).is_ok());
    }
    until("the measure of the batch", || bench.metric("sconce_batch_size") == 1.0);
    assert_eq!(bench.metric("sconce_compute_seconds"), 1.0);
    assert_eq!(bench.metric("sconce_queue_seconds"), 3.0);
}

#[test]
fn a_model_that_fails_every_request_is_taken_out() {
    let outcomes = [false, false, true, false, false, false];
    let mut outcomes = outcomes.into_iter();
    let mut bench = Bench::new(4, move |jobs| {
        for job in jobs.admit(1) {
            match outcomes.next() {
                Some(true) => job.finish(done()),
                _ => job.fail(RequestError::Broken),
            }
        }
        Ok(())
    });
    let answers: Vec<_> = (0..6).map(|_| answer(bench.submit()).is_ok()).collect();
    assert_eq!(answers, [false, false, true, false, false, false]);
    let Event::Ended { died: Some(reason), .. } = bench.event() else { panic!("it should have gone") };
    assert!(reason.contains("3 requests in a row"), "{reason}");
}

#[test]
fn a_panic_fails_everybody_and_ends_only_this_model() {
    let (go, wait) = channel::<()>();
    let mut bench = Bench::new(4, move |jobs| {
        let _held = jobs.admit(1);
        let _ = wait.recv();
        panic!("boom at /secret/path")
    });
    let answers = [bench.submit(), bench.submit(), bench.submit()];
    drop(go);
    let [first, second, third] = answers.map(|answers| answer(answers).unwrap_err());
    // What it had not come to can be asked for again; whether the second was in its hands is a matter of time.
    assert_eq!((first, third), (RequestError::Broken, RequestError::NotBegun));
    assert!(matches!(second, RequestError::Broken | RequestError::NotBegun), "{second:?}");
    assert!(RequestError::NotBegun.retry_after().is_some() && !RequestError::NotBegun.permanent());
    let Event::Ended { died: Some(reason), .. } = bench.event() else { panic!("it should have died") };
    assert!(!reason.contains("/secret"), "{reason}");
    assert!(bench.dropped.try_recv().is_ok());
    assert_eq!(bench.metric("sconce_model_panics_total"), 1.0);
    assert_eq!(bench.executor.submit(new_job(None).0), Err(Rejected::Closed));
    until("rest", || !bench.executor.pulse().busy());
}

#[test]
fn a_broken_model_goes() {
    let mut bench = Bench::new(4, |jobs| {
        jobs.admit(1).into_iter().for_each(|job| job.finish(done()));
        Err(Broken("the device is lost".into()))
    });
    assert!(answer(bench.submit()).is_ok());
    assert!(matches!(bench.event(), Event::Ended { died: Some(_), .. }));
    assert_eq!(bench.executor.submit(new_job(None).0), Err(Rejected::Closed));
}

#[test]
fn dropping_the_handle_finishes_what_is_queued() {
    let (script, began, go) = gated();
    let bench = Bench::new(4, script);
    let answers = [bench.submit(), bench.submit(), bench.submit()];
    began.recv_timeout(SOON).unwrap();
    let Bench { executor, events, .. } = bench;
    drop(executor);
    drop(go);
    for answers in answers {
        assert!(answer(answers).is_ok());
    }
    assert!(matches!(events.recv_timeout(SOON), Ok(Event::Ended { died: None, .. })));
}

#[test]
fn a_load_that_fails_or_panics_is_told_and_leaves_nobody_waiting() {
    let (executor, events, _) = start(4, || Err(LoadError::Missing("config.json".to_owned())));
    let Ok(Event::Failed(error)) = events.recv_timeout(SOON) else { panic!("it should have failed") };
    assert!(matches!(error, StartError::Load(LoadError::Missing(_))) && error.permanent());
    assert_eq!(executor.submit(new_job(None).0), Err(Rejected::Closed));

    let (_executor, events, _) = start(4, || panic!("in /secret"));
    let Ok(Event::Failed(error)) = events.recv_timeout(SOON) else { panic!("it should have failed") };
    assert!(!error.permanent() && !error.to_string().contains("/secret"));
}

#[test]
fn a_warm_up_that_fails_drops_the_model_before_it_is_told() {
    let mut bench = Bench::cold(4, Box::new(obliging), || Err(Broken("no kernel".into())));
    assert!(matches!(bench.event(), Event::Loaded { .. }));
    assert!(matches!(bench.event(), Event::Failed(StartError::WarmUp(_))));
    assert!(bench.dropped.try_recv().is_ok());
}

#[test]
fn a_model_without_a_step_counts_as_stalled_only_while_it_is_busy() {
    let (script, began, go) = gated();
    let bench = Bench::new(4, script);
    assert!(!bench.executor.stalled(Duration::ZERO));
    let answers = bench.submit();
    began.recv_timeout(SOON).unwrap();
    until("the stall", || bench.executor.stalled(Duration::from_millis(20)));
    assert!(!bench.executor.stalled(SOON));
    drop(go);
    assert!(answer(answers).is_ok());
    until("rest", || !bench.executor.stalled(Duration::ZERO));
}

#[test]
fn many_threads_may_submit_and_each_is_answered_once() {
    let bench = Arc::new(Bench::new(1000, obliging).executor);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let executor = bench.clone();
            std::thread::spawn(move || {
                for _ in 0..100 {
                    let (job, mut answers) = new_job(None);
                    executor.submit(job).unwrap();
                    assert!(matches!(answers.blocking_next(), Some(Ok(TranscriptEvent::Done(_)))));
                    assert!(answers.blocking_next().is_none());
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
}

#[test]
fn a_named_device_never_falls_back_silently() {
    let place = |device| {
        let config = Config { device, threads: Some(0), max_batch: 0, ..config() };
        let placer = Placer::new(&config, Arc::new(Installed::new(Host::here())))?;
        placer.place(&ModelName::known("a"), &placer::tests::Narrow, &PlacementOverrides::default(), None)
    };
    let cpu = place(DeviceChoice::Only(DeviceId::Cpu)).unwrap();
    assert_eq!((cpu.device, cpu.placement.dtype.as_str()), (DeviceId::Cpu, "f32"));
    assert_eq!((cpu.placement.threads, cpu.placement.max_batch), (1, 1), "there is always one");

    #[cfg(not(feature = "cuda"))]
    {
        let error = place(DeviceChoice::Only(DeviceId::Cuda(0))).unwrap_err();
        assert!(error.to_string().contains("cuda:0") && error.to_string().contains("--features cuda"));
    }
    #[cfg(not(feature = "metal"))]
    assert!(matches!(place(DeviceChoice::Only(DeviceId::Metal)), Err(PlacementError::NotBuilt { .. })));
}

#[test]
fn a_model_that_is_to_stay_cold_is_ready_without_an_inference() {
    let model = Scripted {
        script: Box::new(obliging),
        warm: Box::new(|| Err(Broken("it must not be asked".into()))),
        dropped: channel().0,
    };
    let (executor, events, _) = set_up(Setup { cold: true, ..setup() }, move || Ok(Box::new(model) as Box<dyn Model>));
    assert!(matches!(events.recv_timeout(SOON), Ok(Event::Loaded { .. })));
    assert!(matches!(events.recv_timeout(SOON), Ok(Event::Ready { .. })));
    assert_eq!(executor.device(), DeviceId::Cpu);
}
