//! Requests and batches, as both of their ends see them.

use std::{
    collections::VecDeque,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures::{FutureExt, executor::block_on};

use super::*;
use crate::{
    audio::Pcm,
    speech::{Convert, ConvertOptions, SpeechEvent, SpeechSummary, Synthesize},
};

const RATE: u32 = 8_000;

/// One second.
fn block() -> SpeechEvent {
    SpeechEvent::Audio(Pcm::new(vec![0.0; RATE as usize], RATE))
}

fn done() -> SpeechEvent {
    SpeechEvent::Done(SpeechSummary::default())
}

fn speak() -> (Request<Synthesize>, Responses<Synthesize>) {
    speak_until(None)
}

fn speak_until(deadline: Option<Instant>) -> (Request<Synthesize>, Responses<Synthesize>) {
    request("test".to_owned(), Synthesize { text: "la".to_owned(), ..Synthesize::default() }, deadline)
}

/// So many seconds of sound.
fn seconds(seconds: u64) -> FlowLimits {
    FlowLimits { bytes: usize::MAX, sound: Duration::from_secs(seconds) }
}

/// Those who come later.
#[derive(Default)]
struct Later<T: crate::speech::Task>(VecDeque<Request<T>>);

impl<T: crate::speech::Task> Admission<T> for Later<T> {
    fn next(&mut self) -> Option<Request<T>> {
        self.0.pop_front()
    }

    fn step(&mut self) {}
}

fn nobody() -> Later<Synthesize> {
    Later(VecDeque::new())
}

#[test]
fn there_is_room_for_so_much_sound_and_reading_makes_room() {
    let (request, mut responses) = speak();
    let mut request = request.bounded(seconds(2));
    assert!(request.has_room());
    request.emit(block());
    assert!(request.has_room());
    request.emit(block());
    assert!(!request.has_room());
    assert!(matches!(responses.blocking_next(), Some(Ok(SpeechEvent::Audio(_)))));
    assert!(request.has_room());
}

#[test]
fn there_is_room_for_so_many_bytes() {
    let (request, _responses) = speak();
    let mut request = request.bounded(FlowLimits { bytes: 4 * RATE as usize, sound: Duration::MAX });
    request.emit(block());
    assert!(!request.has_room());
}

#[test]
fn what_was_made_beyond_the_room_is_still_read_to_the_end() {
    let (request, mut responses) = speak();
    let mut request = request.bounded(seconds(1));
    request.emit(block());
    request.emit(block());
    request.finish(done());
    let mut pieces = Vec::new();
    while let Some(piece) = responses.blocking_next() {
        pieces.push(piece.unwrap());
    }
    assert_eq!(pieces, [block(), block(), done()]);
}

#[test]
fn a_model_that_never_looks_is_stopped_with_an_error_and_not_with_a_gap() {
    let (request, mut responses) = speak();
    let mut request = request.bounded(seconds(2));
    for _ in 0..100 {
        request.emit(block());
    }
    assert_eq!(request.over(), Some(RequestError::Gone));
    for _ in 0..8 {
        assert_eq!(responses.blocking_next(), Some(Ok(block())));
    }
    assert_eq!(responses.blocking_next(), Some(Err(RequestError::Overrun)));
    assert_eq!(responses.blocking_next(), None);
}

#[test]
fn a_request_that_is_dropped_fails() {
    let (request, mut responses) = speak();
    drop(request);
    assert_eq!(responses.blocking_next(), Some(Err(RequestError::Broken)));
    assert_eq!(responses.blocking_next(), None);
}

#[test]
fn input_arrives_in_order_and_ends() {
    let (mut request, mut sender, _responses) = live(seconds(9));
    assert_eq!(request.input(), Input::Pending);
    block_on(sender.send("a".to_owned())).unwrap();
    block_on(sender.send("b".to_owned())).unwrap();
    sender.finish();
    assert_eq!(request.input(), Input::More("a".to_owned()));
    assert_eq!(request.input(), Input::More("b".to_owned()));
    assert_eq!(request.input(), Input::End);
    assert_eq!(request.over(), None);
}

#[test]
fn a_request_that_came_whole_has_no_more_input() {
    assert_eq!(speak().0.input(), Input::End);
}

#[test]
fn who_sends_faster_than_the_model_takes_is_held_back() {
    let (mut request, mut sender, _responses) = live(FlowLimits { bytes: 4, sound: Duration::MAX });
    assert_eq!(sender.send("long".to_owned()).now_or_never(), Some(Ok(())));
    assert!(!sender.has_room());
    assert_eq!(sender.send("more".to_owned()).now_or_never(), None);
    assert_eq!(request.input(), Input::More("long".to_owned()));
    assert_eq!(sender.send("more".to_owned()).now_or_never(), Some(Ok(())));
}

#[test]
fn who_waits_to_send_is_told_when_the_request_is_over() {
    let (request, mut sender, _responses) = live(FlowLimits { bytes: 1, sound: Duration::MAX });
    block_on(sender.send("a".to_owned())).unwrap();
    let waiting = thread::spawn(move || block_on(sender.send("b".to_owned())));
    request.finish(done());
    assert_eq!(waiting.join().unwrap(), Err(InputClosed));
}

#[test]
fn an_input_that_breaks_off_is_a_caller_who_left() {
    let (request, sender, _responses) = live(seconds(1));
    assert_eq!(request.over(), None);
    drop(sender);
    assert_eq!(request.over(), Some(RequestError::Gone));
}

fn live(limits: FlowLimits) -> (Request<Synthesize>, InputSender<Synthesize>, Responses<Synthesize>) {
    let (request, responses) = speak();
    let (request, sender) = request.live(limits);
    (request, sender, responses)
}

#[test]
fn no_more_are_admitted_than_the_model_takes() {
    let mut later = Later((0..5).map(|_| speak().0).collect());
    // Their callers have left.
    assert!(Batch::new(Vec::new(), &mut later).at_most(2).admit(9).is_empty());

    let (requests, _responses): (Vec<_>, Vec<_>) = (0..5).map(|_| speak()).unzip();
    let mut nobody = nobody();
    let mut batch = Batch::new(requests, &mut nobody).at_most(2);
    let mut working = batch.admit(9);
    assert_eq!(working.len(), 2);
    assert!(batch.admit(9).is_empty());
    working.pop().unwrap().finish(done());
    assert_eq!(batch.admit(9).len(), 1);
}

#[test]
fn a_model_that_takes_no_input_refuses_what_is_still_to_come() {
    let (request, _sender, mut responses) = live(seconds(1));
    let mut nobody = nobody();
    assert!(Batch::new(vec![request], &mut nobody).admit(1).is_empty());
    let answer = responses.blocking_next().unwrap();
    assert!(matches!(answer, Err(RequestError::Unsupported { param: "stream", .. })), "{answer:?}");

    let (request, _sender, _responses) = live(seconds(1));
    assert_eq!(Batch::new(vec![request], &mut nobody).admit_live(1).len(), 1);
}

/// Parks with one request that is full, and tells whether `caller` woke it, who acts a moment later.
fn woken_by(caller: impl FnOnce(Responses<Synthesize>) + Send + 'static) {
    let (request, responses) = speak();
    let mut nobody = nobody();
    let mut batch = Batch::new(vec![request.bounded(seconds(1))], &mut nobody);
    let mut working = batch.admit(1);
    working[0].emit(block());
    assert!(!working[0].has_room());
    let caller = thread::spawn(move || caller(responses));
    while !working[0].has_room() && working[0].over().is_none() {
        batch.park(&working);
    }
    caller.join().unwrap();
}

#[test]
fn a_reader_who_makes_room_wakes_the_model() {
    woken_by(|mut responses| drop(responses.blocking_next()));
}

#[test]
fn a_reader_who_leaves_wakes_the_model() {
    woken_by(drop);
}

#[test]
fn a_deadline_wakes_the_model() {
    let (request, _responses) = speak_until(Some(Instant::now() + Duration::from_millis(20)));
    let mut nobody = nobody();
    let mut batch = Batch::new(vec![request.bounded(seconds(0))], &mut nobody);
    let working = batch.admit(1);
    while working[0].over().is_none() {
        batch.park(&working);
    }
    assert_eq!(working[0].over(), Some(RequestError::Deadline));
}

#[test]
fn input_that_arrives_wakes_the_model() {
    let ask = Convert { audio: Pcm::new(vec![], RATE), options: ConvertOptions::default() };
    let (request, _responses) = request("test".to_owned(), ask, None);
    let (request, mut sender) = request.live(seconds(1));
    let mut nobody = Later(VecDeque::new());
    let mut batch = Batch::new(vec![request], &mut nobody);
    let mut working = batch.admit_live(1);
    assert_eq!(working[0].input(), Input::Pending);
    let caller = thread::spawn(move || {
        block_on(sender.send(Pcm::new(vec![0.5], RATE))).unwrap();
        sender.finish();
    });
    let mut parts = Vec::new();
    loop {
        match working[0].input() {
            Input::More(part) => parts.push(part),
            Input::Pending => batch.park(&working),
            Input::End => break,
        }
    }
    assert_eq!(parts, [Pcm::new(vec![0.5], RATE)]);
    caller.join().unwrap();
}

#[test]
fn what_a_signal_of_others_raises_wakes_the_model_too() {
    let (request, _responses) = speak();
    let (signal, mut nobody) = (Arc::new(Signal::default()), nobody());
    let mut batch = Batch::new(vec![request], &mut nobody).woken_by(signal.clone());
    let working = batch.admit(1);
    signal.raise();
    batch.park(&working);
}

#[test]
fn with_nothing_in_hand_nobody_sleeps() {
    Batch::new(Vec::new(), &mut nobody()).park([]);
}
