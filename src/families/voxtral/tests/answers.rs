//! What a request is answered with.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::json;

use super::*;
use crate::{
    model::{Admission, Batch, FlowLimits, Request, RequestError, Responses, request},
    speech::{Segment, Summary, Timestamps, Transcribe, TranscribeMode, TranscribeOptions, TranscriptEvent},
};

/// Requests that arrive while others are worked on, each before a given step, and perhaps somebody who leaves at one.
#[derive(Default)]
struct Queue {
    later: VecDeque<(usize, Request<Transcribe>)>,
    steps: usize,
    leaving: Option<(usize, Responses<Transcribe>)>,
}

type Answer = Result<(Vec<Segment>, Summary), RequestError>;

/// To something that cannot be asked for.
type Change<'a> = &'a dyn Fn(&mut Transcribe);

impl Admission<Transcribe> for Queue {
    fn next(&mut self) -> Option<Request<Transcribe>> {
        let due = self.later.front().is_some_and(|(step, _)| *step <= self.steps);
        due.then(|| self.later.pop_front().unwrap().1)
    }

    fn step(&mut self) {
        self.steps += 1;
        self.leaving.take_if(|(step, _)| *step <= self.steps);
    }
}

fn answer(mut answers: Responses<Transcribe>) -> Answer {
    let mut segments = Vec::new();
    loop {
        match answers.blocking_next().expect("an answer ends with a last piece or an error")? {
            TranscriptEvent::Segment(segment) => segments.push(segment),
            TranscriptEvent::Partial(text) => panic!("{text} of what came whole"),
            TranscriptEvent::Done(summary) => return Ok((segments, summary)),
        }
    }
}

fn ask(case: &Case, options: Value) -> Transcribe {
    let options = TranscribeOptions {
        language: case.language.clone(),
        options: options.as_object().unwrap().clone(),
        ..TranscribeOptions::default()
    };
    Transcribe { audio: sound(case.seconds), options }
}

/// The same in as many tokens as the reference made.
fn greedy(case: &Case) -> Transcribe {
    ask(case, json!({ "max_new_tokens": case.ids.len() }))
}

fn alone(model: &mut dyn Model, ask: Transcribe) -> Answer {
    let (job, answers) = request("alone".to_owned(), ask, None);
    model.transcribe(&mut Batch::new(vec![job], &mut Queue::default())).unwrap();
    answer(answers)
}

fn text(segments: &[Segment]) -> String {
    segments.iter().map(|segment| segment.text.as_str()).collect()
}

fn ids(segments: &[Segment]) -> Vec<u32> {
    segments.iter().flat_map(|segment| segment.tokens.iter().copied()).collect()
}

#[test]
fn greedy_texts_are_those_of_transformers_and_one_request_leaves_nothing_to_the_next() {
    let (mut model, expected) = (model(&files()), Expected::read());
    for case in expected.cases.iter().chain(expected.cases.iter().rev()) {
        let (segments, summary) = alone(&mut *model, greedy(case)).unwrap();
        assert_eq!((ids(&segments), text(&segments)), (case.ids.clone(), case.text.clone()));
        let language = case.language.as_deref().unwrap_or("und");
        assert_eq!((summary.language.as_str(), summary.duration), (language, case.seconds));
        assert_eq!(summary.tokens, case.ids.len());
        for (id, segment) in segments.iter().enumerate() {
            assert_eq!((segment.id, segment.start, segment.end), (id, 0.0, case.seconds));
            assert!(segment.avg_logprob < 0.0 && segment.compression_ratio > 0.0, "{segment:?}");
        }
    }
}

/// All asks in one call; those with a step arrive later.
fn together(model: &mut dyn Model, asks: Vec<(usize, Transcribe)>) -> (Vec<Answer>, usize) {
    let (mut first, mut queue, mut answers) = (Vec::new(), Queue::default(), Vec::new());
    for (step, ask) in asks {
        let (job, answer) = request(format!("job {}", answers.len()), ask, None);
        match step {
            0 => first.push(job),
            later => queue.later.push_back((later, job)),
        }
        answers.push(answer);
    }
    let most = model.max_batch();
    model.transcribe(&mut Batch::new(first, &mut queue).at_most(most)).unwrap();
    (answers.into_iter().map(answer).collect(), queue.steps)
}

#[test]
fn together_and_at_odd_times_they_get_the_same_answers_as_alone() {
    let expected = Expected::read();
    let drawn = |at: usize| {
        let mut ask = greedy(&expected.cases[at]);
        ask.options.temperature = Some(1.0);
        ask
    };
    let asks = (0..4).chain(0..4).map(|at| greedy(&expected.cases[at])).chain((0..4).map(drawn)).collect::<Vec<_>>();
    let mut one = model(&files());
    let alone: Vec<_> = asks.iter().map(|ask| alone(&mut *one, ask.clone())).collect();
    for (max_batch, apart) in [(12, 0), (12, 3), (5, 2)] {
        let mut many = model_of(&files(), max_batch);
        assert_eq!(many.max_batch(), max_batch);
        let asks = asks.iter().enumerate().map(|(number, ask)| (number * apart, ask.clone())).collect();
        assert_eq!(together(&mut *many, asks).0, alone, "{max_batch} at once, one every {apart} steps");
    }
}

/// Each takes a step for a window, and another for every token but the first.
#[test]
fn those_who_write_go_on_together_while_others_are_read() {
    let (mut model, expected) = (model_of(&files(), 8), Expected::read());
    let asks = expected.cases.iter().cycle().take(8).map(|case| (0, greedy(case))).collect();
    let (answers, steps) = together(&mut *model, asks);
    for (case, answer) in expected.cases.iter().cycle().zip(answers) {
        assert_eq!(ids(&answer.unwrap().0), case.ids);
    }
    let windows: usize = expected.cases.iter().map(|case| (case.seconds / 2.0).ceil() as usize).sum();
    let longest = expected.cases.iter().map(|case| case.ids.len()).max().unwrap();
    assert!(steps <= 2 * windows + longest, "{steps} steps for {} windows and {longest} tokens", 2 * windows);
}

#[test]
fn recordings_that_are_too_long_together_wait_for_each_other() {
    let (mut model, expected) = (model_of(&files(), 3), Expected::read());
    let long = || Transcribe { audio: long().audio, ..ask(&expected.cases[0], json!({ "max_new_tokens": 4 })) };
    let one = alone(&mut *model, long()).unwrap();
    let asks = vec![(0, long()), (0, long()), (0, greedy(&expected.cases[0])), (2, long())];
    let (answers, steps) = together(&mut *model, asks);
    for (at, answer) in answers.into_iter().enumerate() {
        let (segments, _) = answer.unwrap();
        assert_eq!(ids(&segments), if at == 2 { expected.cases[0].ids.clone() } else { ids(&one.0) });
    }
    assert!(steps >= 3 * config().longest(), "{steps}");
}

#[test]
fn a_text_ends_with_the_token_that_the_files_name() {
    let expected = Expected::read();
    let case = &expected.cases[0];
    let (end, length) = (case.ids[5], case.ids.iter().position(|id| *id == case.ids[5]).unwrap());
    let ends = json!({"eos_token_id": [2, end]}).to_string();
    let mut model = model(&files_with("generation_config.json", ends.into()));
    let (segments, summary) = alone(&mut *model, ask(case, json!({}))).unwrap();
    assert_eq!((ids(&segments), summary.tokens), (case.ids[..length].to_vec(), length));
}

#[test]
fn without_an_end_it_stops_where_there_is_no_more_room() {
    let (mut model, expected) = (model(&files()), Expected::read());
    let case = &expected.cases[0];
    for (asked, made) in [(json!({"max_new_tokens": 3}), 3), (json!({"max_new_tokens": 1u64 << 40}), 448)] {
        let (_, summary) = alone(&mut *model, ask(case, asked)).unwrap();
        assert!(summary.tokens <= made && (made > 3 || summary.tokens == made), "{summary:?}");
    }
}

#[test]
fn the_dice_follow_their_seed() {
    let (mut model, expected) = (model(&files()), Expected::read());
    let mut drawn = |seed: u64| {
        let mut ask = ask(&expected.cases[0], json!({"seed": seed, "max_new_tokens": 16}));
        ask.options.temperature = Some(1.0);
        ids(&alone(&mut *model, ask).unwrap().0)
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn tokens_are_told_with_their_probabilities_where_asked_for() {
    let (mut model, expected) = (model(&files()), Expected::read());
    let mut ask = greedy(&expected.cases[0]);
    ask.options.logprobs = true;
    let (segments, _) = alone(&mut *model, ask).unwrap();
    let told: Vec<u8> = segments.iter().flat_map(|one| &one.logprobs).flat_map(|one| one.bytes.clone()).collect();
    assert_eq!(String::from_utf8_lossy(&told), expected.cases[0].text);
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let (mut model, expected) = (model(&files()), Expected::read());
    let mut refused = |change: Change| {
        let mut ask = greedy(&expected.cases[0]);
        change(&mut ask);
        match alone(&mut *model, ask).unwrap_err() {
            RequestError::Invalid { param, message } | RequestError::Unsupported { param, message } => {
                format!("{param}: {message}")
            }
            other => panic!("{other:?}"),
        }
    };
    let option = |name: &str, value: Value| {
        let options = json!({ name: value }).as_object().unwrap().clone();
        move |ask: &mut Transcribe| ask.options.options = options.clone()
    };
    let longest = config().longest() as f64 * config().frames() as f64 / 100.0;
    let cases: [(&str, Change); 7] = [
        ("timestamps: this model does not tell when a word", &|ask| ask.options.timestamps = Timestamps::Word),
        ("task: ", &|ask| ask.options.mode = TranscribeMode::Translate),
        ("prompt: ", &|ask| ask.options.prompt = Some("Sconce".to_owned())),
        ("language: \"klingon\" is no language", &|ask| ask.options.language = Some("klingon".to_owned())),
        ("options: max_new_tokens is 0", &option("max_new_tokens", json!(0))),
        ("options: options: unknown field `beam_size`", &option("beam_size", json!(5))),
        ("audio: the recording has", &|ask| ask.audio = sound(longest + 0.01)),
    ];
    for (said, change) in cases {
        let found = refused(change);
        assert!(found.starts_with(said), "{found}");
    }
}

#[test]
fn nothing_to_hear_is_answered_with_no_segments() {
    let mut model = model(&files());
    let silent = Transcribe { audio: sound(0.0), options: TranscribeOptions::default() };
    let (segments, summary) = alone(&mut *model, silent).unwrap();
    assert_eq!((segments, summary.language.as_str(), summary.tokens), (vec![], "und", 0));
}

/// Which takes hundreds of steps.
fn long() -> Transcribe {
    let seconds = config().longest() as f64 * config().frames() as f64 / 100.0;
    Transcribe { audio: sound(seconds), options: TranscribeOptions::default() }
}

#[test]
fn one_who_leaves_is_dropped_within_a_step_while_listening_and_while_writing() {
    let mut model = model(&files());
    for leaves in [3, config().longest() + 5] {
        let (job, leaving) = request("leaver".to_owned(), long(), None);
        let mut queue = Queue { leaving: Some((leaves, leaving)), ..Queue::default() };
        model.transcribe(&mut Batch::new(vec![job], &mut queue)).unwrap();
        assert_eq!(queue.steps, leaves);
    }
}

#[test]
fn one_who_leaves_and_one_who_is_late_are_dropped_and_the_others_are_answered() {
    let (mut model, expected) = (model_of(&files(), 4), Expected::read());
    let case = &expected.cases[1];
    let (leaver, leaving) = request("leaver".to_owned(), long(), None);
    let (late, too_late) = request("late".to_owned(), long(), Some(Instant::now() + Duration::from_millis(30)));
    let (stayer, staying) = request("stayer".to_owned(), greedy(case), None);
    let mut queue = Queue { leaving: Some((5, leaving)), ..Queue::default() };
    model.transcribe(&mut Batch::new(vec![leaver, late, stayer], &mut queue)).unwrap();
    assert_eq!(ids(&answer(staying).unwrap().0), case.ids);
    assert_eq!(answer(too_late).unwrap_err(), RequestError::Deadline);
}

#[test]
fn a_deadline_ends_the_work() {
    let mut model = model(&files());
    let (late, answers) = request("late".to_owned(), long(), Some(Instant::now() + Duration::from_millis(30)));
    model.transcribe(&mut Batch::new(vec![late], &mut Queue::default())).unwrap();
    assert_eq!(answer(answers).unwrap_err(), RequestError::Deadline);
}

#[test]
fn a_slow_reader_is_waited_for_and_gets_the_same() {
    let (mut model, expected) = (model(&files()), Expected::read());
    let case = &expected.cases[0];
    let (slow, answers) = request("slow".to_owned(), greedy(case), None);
    let slow = slow.bounded(FlowLimits { bytes: 512, ..FlowLimits::default() });
    let reader = std::thread::spawn(move || answer(answers));
    model.transcribe(&mut Batch::new(vec![slow], &mut Queue::default())).unwrap();
    assert_eq!(ids(&reader.join().unwrap().unwrap().0), case.ids);
}

/// Who waits for a reader holds nobody up.
#[test]
fn a_slow_reader_is_waited_for_while_others_go_on() {
    let (mut model, expected) = (model_of(&files(), 2), Expected::read());
    let case = &expected.cases[0];
    let (slow, unread) = request("slow".to_owned(), greedy(case), None);
    let slow = slow.bounded(FlowLimits { bytes: 512, ..FlowLimits::default() });
    let (quick, answers) = request("quick".to_owned(), greedy(case), None);
    let reader = std::thread::spawn(move || (answer(answers), answer(unread)));
    model.transcribe(&mut Batch::new(vec![slow, quick], &mut Queue::default())).unwrap();
    let (quick, slow) = reader.join().unwrap();
    assert_eq!((ids(&quick.unwrap().0), ids(&slow.unwrap().0)), (case.ids.clone(), case.ids.clone()));
}

#[test]
fn silence_warms_it_up_and_weights_that_are_no_numbers_show() {
    model(&files()).warm_up().unwrap();
    let mut weights = fixture("model.safetensors");
    let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    weights[header..].fill(0xff);
    let mut spoiled = Voxtral.load(&files_with("model.safetensors", weights), &place(Precision::F32)).unwrap();
    assert!(spoiled.warm_up().unwrap_err().to_string().contains("no numbers"));
}
