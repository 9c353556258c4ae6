//! Models that wait for those who read their answers.

use super::*;
use crate::{
    model::FlowLimits,
    speech::{Convert, ConvertOptions, SpeechEvent, SpeechSummary, Synthesize},
};

const RATE: u32 = 8_000;

/// Speaks a second for each letter, a second at each step, as long as the reader keeps up. Converts at once.
struct Speaker {
    most: usize,
}

struct Row {
    request: Request<Synthesize>,
    left: usize,
}

impl Model for Speaker {
    fn max_batch(&self) -> usize {
        self.most
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let newcomers = requests.admit(usize::MAX).into_iter();
            rows.extend(newcomers.map(|request| Row { left: request.ask().text.len(), request }));
            for row in rows.extract_if(.., |row| row.left == 0 || row.request.over().is_some()) {
                row.end();
            }
            if rows.is_empty() {
                return Ok(());
            }
            if rows.iter().all(|row| !row.request.has_room()) {
                requests.park(rows.iter().map(|row| &row.request));
                continue;
            }
            for row in rows.iter_mut().filter(|row| row.request.has_room()) {
                row.left -= 1;
                row.request.emit(SpeechEvent::Audio(Pcm::new(vec![0.0; RATE as usize], RATE)));
            }
            requests.step();
        }
    }

    fn convert(&mut self, requests: &mut Batch<'_, Convert>) -> Result<(), Broken> {
        while let Some(request) = requests.admit(1).pop() {
            request.finish(SpeechEvent::Done(SpeechSummary::default()));
        }
        Ok(())
    }
}

impl Row {
    fn end(self) {
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None => self.request.finish(SpeechEvent::Done(SpeechSummary::default())),
        }
    }
}

struct Stage {
    executor: Executor,
    registry: prometheus::Registry,
    _events: Receiver<Event>,
}

impl Stage {
    fn new(most: usize) -> Self {
        let (executor, events, registry) = set_up(setup(), move || Ok(Box::new(Speaker { most }) as Box<dyn Model>));
        assert!(matches!(events.recv_timeout(SOON), Ok(Event::Loaded { .. })));
        assert!(matches!(events.recv_timeout(SOON), Ok(Event::Ready { .. })));
        Self { executor, registry, _events: events }
    }

    /// To speak so many seconds, of which two may wait for the reader.
    fn speak(&self, seconds: usize, deadline: Option<Instant>) -> Responses<Synthesize> {
        let ask = Synthesize { text: "a".repeat(seconds), ..Synthesize::default() };
        let (request, responses) = request("test".to_owned(), ask, deadline);
        let limits = FlowLimits { bytes: usize::MAX, sound: Duration::from_secs(2) };
        self.executor.submit(request.bounded(limits)).expect("room in the queue");
        responses
    }

    fn convert(&self, deadline: Option<Instant>) -> Responses<Convert> {
        let ask = Convert { audio: Pcm::new(vec![0.0], RATE), options: ConvertOptions::default() };
        let (request, responses) = request("test".to_owned(), ask, deadline);
        self.executor.submit(request).expect("room in the queue");
        responses
    }

    fn parks(&self) {
        until("the pause", || self.executor.pulse().parked());
    }
}

/// Seconds that were spoken.
fn heard(mut responses: Responses<Synthesize>) -> Result<usize, RequestError> {
    let mut seconds = 0;
    loop {
        match responses.blocking_next().expect("a last piece")? {
            SpeechEvent::Audio(_) => seconds += 1,
            SpeechEvent::Stem(..) | SpeechEvent::Progress(_) | SpeechEvent::Checkpoint(_) => {
                panic!("sound alone was expected")
            }
            SpeechEvent::Done(_) => return Ok(seconds),
        }
    }
}

#[test]
fn a_slow_reader_parks_the_model_and_loses_nothing() {
    let stage = Stage::new(4);
    let slow = stage.speak(50, None);
    stage.parks();
    assert!(stage.executor.pulse().busy());
    assert!(!stage.executor.stalled(Duration::ZERO), "who waits for a reader is not stuck");
    assert_eq!(heard(slow), Ok(50));
    until("rest", || !stage.executor.pulse().busy());
    until("the time that it was parked", || {
        let families = stage.registry.gather();
        let parked = families.iter().find(|family| family.name() == "sconce_parked_seconds_total").unwrap();
        parked.get_metric()[0].get_counter().get_value() > 0.0
    });
}

#[test]
fn newcomers_pass_those_who_are_slow() {
    let stage = Stage::new(2);
    let slow = stage.speak(50, None);
    stage.parks();
    for seconds in [3, 1, 7] {
        assert_eq!(heard(stage.speak(seconds, None)), Ok(seconds));
    }
    assert_eq!(heard(slow), Ok(50));
}

#[test]
fn newcomers_of_the_same_task_pass_those_of_another_while_all_wait_for_a_reader() {
    let stage = Stage::new(2);
    let slow = stage.speak(50, None);
    stage.parks();
    let mut other = stage.convert(None);
    assert_eq!(heard(stage.speak(3, None)), Ok(3));
    assert_eq!(heard(slow), Ok(50));
    assert!(matches!(other.blocking_next(), Some(Ok(SpeechEvent::Done(_)))));
}

#[test]
fn a_deadline_ends_one_who_never_reads() {
    let stage = Stage::new(1);
    let deadline = Instant::now() + Duration::from_millis(100);
    let never = stage.speak(50, Some(deadline));
    assert_eq!(heard(stage.speak(1, None)), Ok(1), "the place is free again");
    assert!(Instant::now() >= deadline);
    assert_eq!(heard(never), Err(RequestError::Deadline));
}

#[test]
fn one_who_waits_behind_a_slow_reader_is_answered_when_its_time_passes() {
    let stage = Stage::new(1);
    let _slow = stage.speak(50, None);
    stage.parks();
    let mut late = stage.convert(Some(Instant::now() + Duration::from_millis(50)));
    assert_eq!(late.blocking_next(), Some(Err(RequestError::Deadline)));
}

#[test]
fn one_who_leaves_frees_the_model() {
    let stage = Stage::new(1);
    let slow = stage.speak(50, None);
    stage.parks();
    drop(slow);
    assert_eq!(heard(stage.speak(1, None)), Ok(1));
}

#[test]
fn a_task_that_a_model_does_not_do_is_refused() {
    let bench = Bench::new(4, obliging);
    let ask = Synthesize { text: "a".to_owned(), ..Synthesize::default() };
    let (request, mut responses) = request("test".to_owned(), ask, None);
    bench.executor.submit(request).unwrap();
    let answer = responses.blocking_next().unwrap().unwrap_err();
    assert_eq!(answer.to_string(), "this model does not synthesize");
    assert!(matches!(answer, RequestError::Unsupported { param: "model", .. }));
    assert_eq!(
        (bench.executor.input_rate(TaskKind::Synthesize), bench.executor.input_rate(TaskKind::Transcribe)),
        (None, Some(16_000))
    );
}
