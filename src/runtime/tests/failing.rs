//! What becomes of requests and models when their device fails.

use parking_lot::Mutex;

use super::*;

/// An accelerator that is lost once somebody says so.
#[derive(Default)]
struct Failing(Mutex<Option<String>>);

impl Devices for Failing {
    fn accelerators(&self) -> Vec<DeviceId> {
        vec![DeviceId::Cuda(0)]
    }

    fn open(&self, _device: DeviceId) -> Result<candle_core::Device, PlacementError> {
        Ok(candle_core::Device::Cpu)
    }

    fn memory(&self, _device: DeviceId) -> Option<DeviceMemory> {
        Some(DeviceMemory { free: 7, total: 100 })
    }

    fn lost(&self, _device: DeviceId) -> Option<String> {
        self.0.lock().clone()
    }
}

/// Takes all who wait in hand, and fails as often as it has errors.
struct Breaking {
    errors: Vec<&'static str>,
    recovers: bool,
    /// Requests that are taken in hand before it fails.
    together: usize,
}

impl Model for Breaking {
    fn max_batch(&self) -> usize {
        4
    }

    fn transcribe(&mut self, jobs: &mut Batch<'_, Transcribe>) -> Result<(), Broken> {
        let mut hand = jobs.admit(4);
        match self.errors.pop() {
            Some(error) => {
                while hand.len() < self.together {
                    hand.extend(jobs.admit(4));
                }
                drop(hand);
                Err(Broken(error.into()))
            }
            None => {
                hand.into_iter().for_each(|job| job.finish(done()));
                Ok(())
            }
        }
    }

    fn recover(&mut self) -> bool {
        self.recovers
    }
}

struct Place {
    device: Arc<Failing>,
    health: Arc<DeviceHealth>,
}

impl Place {
    fn new() -> Self {
        Self { device: Arc::default(), health: Arc::default() }
    }

    fn start(&self, model: Breaking) -> (Executor, Receiver<Event>) {
        let scale = Scale::new(self.device.clone());
        let setup = Setup { device: DeviceId::Cuda(0), scale, health: self.health.clone(), ..setup() };
        let (executor, events, _) = set_up(setup, move || Ok(Box::new(model) as Box<dyn Model>));
        assert!(matches!(events.recv_timeout(SOON), Ok(Event::Loaded { .. })));
        assert!(matches!(events.recv_timeout(SOON), Ok(Event::Ready { .. })));
        (executor, events)
    }
}

fn ask(executor: &Executor) -> Responses<Transcribe> {
    let (job, answers) = new_job(None);
    executor.submit(job).unwrap();
    answers
}

fn answer(mut answers: Responses<Transcribe>) -> Result<TranscriptEvent, RequestError> {
    answers.blocking_next().expect("an answer")
}

const NO_MEMORY: &str = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";

#[test]
fn a_request_that_finds_no_memory_alone_will_find_none_again() {
    let (executor, _events) = Place::new().start(Breaking { errors: vec![NO_MEMORY], recovers: true, together: 1 });
    let error = answer(ask(&executor)).unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (Kind::WontFit, None), "{error}");
    assert!(error.to_string().contains("(7 bytes are free)"), "{error}");
    assert!(answer(ask(&executor)).is_ok(), "the model goes on");
}

#[test]
fn requests_that_find_no_memory_together_may_come_again() {
    let (executor, _events) = Place::new().start(Breaking { errors: vec![NO_MEMORY], recovers: true, together: 2 });
    for answers in [ask(&executor), ask(&executor)].map(answer) {
        let error = answers.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.retry_after().is_some());
    }
    assert!(answer(ask(&executor)).is_ok(), "the model goes on");
}

#[test]
fn no_memory_ends_a_model_that_cannot_recover_and_counts_as_no_failure_of_one_that_can() {
    let errors = vec![NO_MEMORY; 2 * setup().max_failures];
    let (executor, _events) = Place::new().start(Breaking { errors, recovers: true, together: 1 });
    for _ in 0..2 * setup().max_failures {
        assert_eq!(answer(ask(&executor)).unwrap_err().kind(), Kind::WontFit);
    }
    assert!(answer(ask(&executor)).is_ok());
    let (executor, events) = Place::new().start(Breaking { errors: vec![NO_MEMORY], recovers: false, together: 1 });
    assert_eq!(answer(ask(&executor)).unwrap_err(), RequestError::Broken);
    assert!(matches!(events.recv_timeout(SOON), Ok(Event::Ended { died: Some(_), .. })));
}

#[test]
fn a_model_that_finds_no_memory_says_what_it_needs_and_what_there_is() {
    let place = Place::new();
    let scale = Scale::new(place.device.clone());
    let there = Setup { device: DeviceId::Cuda(0), scale, ..setup() };
    let load = || Err(LoadError::Device(candle_core::Error::msg(NO_MEMORY)));
    let (_executor, events, _) = set_up(there.clone(), load);
    let Ok(Event::Failed(error)) = events.recv_timeout(SOON) else { panic!("it was loaded") };
    let said = "cuda:0 has too little memory for it (it needs about 90 bytes, and 7 are free)";
    assert_eq!((error.to_string().as_str(), error.kind(), error.permanent()), (said, Kind::Unavailable, false));
    let load = || Err(LoadError::Device(candle_core::Error::msg("CUDA_ERROR_UNKNOWN")));
    let (_executor, events, _) = set_up(there, load);
    let Ok(Event::Failed(error)) = events.recv_timeout(SOON) else { panic!("it was loaded") };
    assert_eq!(error.to_string(), "the device failed: CUDA_ERROR_UNKNOWN");
}

#[test]
fn a_lost_device_takes_out_all_its_models_at_once() {
    let place = Place::new();
    let idle = || Breaking { errors: Vec::new(), recovers: true, together: 1 };
    let (_other, other_events) = place.start(idle());
    let (executor, events) =
        place.start(Breaking { errors: vec!["CUBLAS_STATUS_EXECUTION_FAILED"], recovers: true, together: 1 });
    *place.device.0.lock() = Some("CUDA_ERROR_ILLEGAL_ADDRESS".to_owned());
    assert_eq!(answer(ask(&executor)).unwrap_err(), RequestError::Broken);
    for events in [&events, &other_events] {
        let Ok(Event::Ended { died: Some(died), .. }) = events.recv_timeout(SOON) else { panic!("it lives on") };
        assert!(died.contains("cuda:0 is lost to this process (CUDA_ERROR_ILLEGAL_ADDRESS)"), "{died}");
    }
    assert!(place.health.lost(DeviceId::Cuda(0)).is_some());
    // One that is started there nevertheless ends as well.
    let (_late, late_events) = place.start(idle());
    assert!(matches!(late_events.recv_timeout(SOON), Ok(Event::Ended { died: Some(_), .. })));
}
