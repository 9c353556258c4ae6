use std::{collections::VecDeque, time::Instant};

use candle_core::Device;
use serde::Deserialize;
use serde_json::json;

use super::{
    super::{Whisper, fixtures, transcription_options::SAMPLE_RATE},
    *,
};
use crate::{
    audio::Pcm,
    model::{
        Admission, Backing, Family, FlowLimits, Location, ModelFiles, Placement, Precision, Request, RequestError,
        Responses, request,
    },
    speech::{Segment, Summary, Timestamps, TranscribeOptions, TranscriptEvent},
};

/// Sequences of the widest request of the fixtures.
const BEAM: usize = 5;

#[derive(Deserialize)]
struct Case {
    seconds: f64,
    ask: Ask,
    language: String,
    segments: Vec<Expected>,
}

/// Arguments of openai-whisper's `transcribe`.
#[derive(Clone, Deserialize)]
#[serde(default)]
struct Ask {
    language: Option<String>,
    task: String,
    initial_prompt: Option<String>,
    without_timestamps: bool,
    word_timestamps: bool,
    condition_on_previous_text: bool,
    beam_size: Option<usize>,
    patience: Option<f32>,
    hallucination_silence_threshold: Option<f64>,
}

#[derive(Deserialize)]
struct Expected {
    seek: usize,
    start: f64,
    end: f64,
    text: String,
    tokens: Vec<u32>,
    avg_logprob: f32,
    no_speech_prob: f32,
    words: Vec<(String, f64, f64, f32)>,
}

/// Requests that arrive while others are worked on, each before a given step.
#[derive(Default)]
struct Queue {
    later: VecDeque<(usize, Request<Transcribe>)>,
    steps: usize,
    /// Dropped at a given step.
    leaving: Option<(usize, Responses<Transcribe>)>,
}

type Answer = std::result::Result<(Vec<Segment>, Summary), RequestError>;

// === impl Ask ===

impl Default for Ask {
    fn default() -> Self {
        Self {
            language: None,
            task: "transcribe".to_owned(),
            initial_prompt: None,
            without_timestamps: false,
            word_timestamps: false,
            condition_on_previous_text: true,
            beam_size: None,
            patience: None,
            hallucination_silence_threshold: None,
        }
    }
}

impl Ask {
    /// The same without fall-back, as the fixture was made.
    fn of(&self, audio: Pcm) -> Transcribe {
        let options = json!({
            "condition_on_previous_text": self.condition_on_previous_text, "logprob_threshold": null,
            "compression_ratio_threshold": null, "no_speech_threshold": null,
            "beam_size": self.beam_size, "patience": self.patience,
            "hallucination_silence_threshold": self.hallucination_silence_threshold,
        });
        let options = TranscribeOptions {
            language: self.language.clone(),
            mode: if self.task == "translate" { TranscribeMode::Translate } else { TranscribeMode::Transcribe },
            prompt: self.initial_prompt.clone(),
            timestamps: match (self.without_timestamps, self.word_timestamps) {
                (true, _) => Timestamps::None,
                (_, true) => Timestamps::Word,
                _ => Timestamps::Segment,
            },
            options: options.as_object().unwrap().clone(),
            ..TranscribeOptions::default()
        };
        Transcribe { audio, options }
    }
}

// === impl Queue ===

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

fn model(max_batch: usize) -> Box<dyn Model> {
    model_of(fixtures::files(), max_batch)
}

fn model_of(files: ModelFiles, max_batch: usize) -> Box<dyn Model> {
    let place = Placement {
        device: Device::Cpu,
        dtype: Precision::F32,
        weights: Backing::Mapped,
        threads: 1,
        max_batch,
        residency: Default::default(),
        references: Default::default(),
        programs: Default::default(),
    };
    Whisper.load(&files, &place).unwrap()
}

fn english() -> TranscribeOptions {
    TranscribeOptions { language: Some("en".to_owned()), ..TranscribeOptions::default() }
}

fn ask(audio: Pcm) -> Transcribe {
    Transcribe { audio, options: english() }
}

fn with(options: TranscribeOptions, seconds: f64) -> Transcribe {
    Transcribe { audio: recording(seconds), options }
}

/// As in `make.py`: noise whose loudness goes up and down.
fn recording(seconds: f64) -> Pcm {
    let noise = fixtures::noise(3, (seconds * f64::from(SAMPLE_RATE)).round() as usize);
    let loud = |index: usize| (index / 4000 % 7) as f32 / 64.0;
    Pcm::new(noise.iter().enumerate().map(|(index, sample)| sample * loud(index)).collect(), SAMPLE_RATE)
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

/// All asks in one call; those with a step arrive later.
fn answers(model: &mut dyn Model, asks: Vec<(usize, Transcribe)>) -> Vec<Answer> {
    let (mut first, mut queue, mut answers) = (Vec::new(), Queue::default(), Vec::new());
    for (step, ask) in asks {
        let (job, answer) = request(format!("job {}", answers.len()), ask, None);
        if step == 0 {
            first.push(job)
        } else {
            queue.later.push_back((step, job))
        }
        answers.push(answer);
    }
    model.transcribe(&mut Batch::new(first, &mut queue)).unwrap();
    answers.into_iter().map(answer).collect()
}

fn alone(model: &mut dyn Model, ask: Transcribe) -> Answer {
    answers(model, vec![(0, ask)]).remove(0)
}

#[test]
fn whole_answers_are_those_of_openai_whisper() {
    assert_answers(&mut *model(BEAM), "transcriptions.json");
}

#[test]
fn with_the_spectra_of_transformers_they_are_those_of_openai_whisper_as_well() {
    let mut files = fixtures::files();
    files.insert("model", "preprocessor_config.json", Location::Embedded(br#"{"spectrum_of": "window"}"#));
    assert_answers(&mut *model_of(files, BEAM), "transcriptions_by_window.json");
}

fn assert_answers(model: &mut dyn Model, fixture: &str) {
    for case in fixtures::read::<Vec<Case>>(fixture) {
        let (segments, summary) = alone(model, case.ask.of(recording(case.seconds))).unwrap();
        assert_eq!((summary.language, summary.duration), (case.language, case.seconds));
        assert!(segments.iter().enumerate().all(|(id, segment)| segment.id == id), "{segments:#?}");
        // The reference leaves out what its heads give no time; see `words::place`.
        let is_expected =
            |one: &&Segment| case.segments.iter().any(|other| (other.seek, &other.tokens) == (one.seek, &one.tokens));
        let (segments, untimed): (Vec<&Segment>, Vec<&Segment>) = segments.iter().partition(is_expected);
        assert!(untimed.iter().all(|segment| !segment.words.is_empty()), "{untimed:#?}");
        assert_eq!(segments.len(), case.segments.len(), "{segments:#?}");
        for (segment, expected) in segments.into_iter().zip(&case.segments) {
            assert_segment(segment, expected);
        }
    }
}

fn assert_segment(segment: &Segment, expected: &Expected) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert_eq!((segment.seek, &segment.tokens, &segment.text), (expected.seek, &expected.tokens, &expected.text));
    // A lone segment begins where it says, not with its window: see `segments`.
    let times = fixtures::tokens().timestamp_begin;
    let step = crate::families::whisper::segments::STEP;
    let said = segment.tokens.first().filter(|first| **first >= times).map(|first| f64::from(first - times) * step);
    let own = said.map(|seconds| segment.seek as f64 / 100.0 + seconds);
    let start = own.filter(|_| segment.words.is_empty()).unwrap_or(expected.start);
    // Nor one without a time before its window, where theirs takes a token of text for one.
    let start = start.max(segment.seek as f64 / 100.0);
    assert!(near(segment.start, start) && near(segment.end, expected.end), "{segment:?}");
    assert!((segment.avg_logprob - expected.avg_logprob).abs() < 1e-3, "{segment:?} {}", expected.avg_logprob);
    assert!((segment.no_speech_prob - expected.no_speech_prob).abs() < 1e-3, "{segment:?}");
    assert_eq!(segment.words.len(), expected.words.len(), "{segment:?}");
    for (word, (text, start, end, probability)) in segment.words.iter().zip(&expected.words) {
        assert!(
            word.word == *text && near(word.start, *start) && near(word.end, *end),
            "{word:?} {text} {start} {end}"
        );
        assert!((word.probability - probability).abs() < 1e-3, "{word:?} {probability}");
    }
}

#[test]
fn together_and_at_odd_times_they_get_the_same_answers_as_alone() {
    let cases = fixtures::read::<Vec<Case>>("transcriptions.json");
    let asks: Vec<Transcribe> = cases.iter().map(|case| case.ask.of(recording(case.seconds))).collect();
    let (mut small, mut large) = (model(BEAM), model(BEAM + 2));
    let expected: Vec<Answer> = asks.iter().map(|ask| alone(&mut *small, ask.clone())).collect();
    let arriving = asks.into_iter().enumerate().map(|(number, ask)| (number * 5, ask)).collect();
    for (together, alone) in answers(&mut *large, arriving).into_iter().zip(expected) {
        let (together, alone) = (together.unwrap(), alone.unwrap());
        assert_eq!(together.1, alone.1);
        let tokens = |segments: &[Segment]| segments.iter().map(|segment| segment.tokens.clone()).collect::<Vec<_>>();
        assert_eq!(tokens(&together.0), tokens(&alone.0));
    }
}

#[test]
fn requests_of_several_sequences_wait_for_room_and_those_that_are_too_wide_are_refused() {
    let wide = |option: &str, width: usize| {
        let mut ask = ask(recording(3.0));
        ask.options.options.insert(option.to_owned(), width.into());
        ask
    };
    let mut model = model(4);
    let expected = alone(&mut *model, wide("beam_size", 3)).unwrap();
    let asks = (0..6).map(|number| (number, wide("beam_size", 3))).collect();
    for answer in answers(&mut *model, asks) {
        assert_eq!(answer.unwrap(), expected);
    }
    for option in ["beam_size", "best_of"] {
        let refused = alone(&mut *model, wide(option, 5)).unwrap_err();
        let message = "beam_size and best_of are 4 here at most (max_batch), and not 5".to_owned();
        assert_eq!(refused, RequestError::Unsupported { param: "options", message });
    }
}

#[test]
fn the_best_of_several_drawn_texts_is_the_likeliest() {
    let drawn = |model: &mut dyn Model, best_of: usize| {
        let mut ask = ask(recording(1.7));
        ask.options.temperature = Some(1.0);
        for (name, value) in [("best_of", json!(best_of)), ("seed", json!(7)), ("no_speech_threshold", json!(null))] {
            ask.options.options.insert(name.to_owned(), value);
        }
        alone(model, ask).unwrap()
    };
    let mut model = model(8);
    let likely = |answer: &Answer| answer.as_ref().unwrap().0.iter().map(|segment| segment.avg_logprob).sum::<f32>();
    let (one, eight) = (Ok(drawn(&mut *model, 1)), Ok(drawn(&mut *model, 8)));
    assert!(likely(&eight) > likely(&one), "{one:?} {eight:?}");
    assert_eq!(Ok(drawn(&mut *model, 8)), eight, "the same seed, the same text");
}

#[test]
fn hot_words_are_told_to_every_window() {
    let mut model = model(1);
    let told = |model: &mut dyn Model, given: serde_json::Value| {
        let mut ask = ask(recording(4.0));
        ask.options.options = given.as_object().unwrap().clone();
        let (segments, _) = alone(model, ask).unwrap();
        segments.into_iter().map(|segment| (segment.seek, segment.tokens)).collect::<Vec<_>>()
    };
    let forgetful =
        json!({"condition_on_previous_text": false, "logprob_threshold": null, "no_speech_threshold": null});
    let mut hot = forgetful.clone();
    hot["hotwords"] = "kitchen lights".into();
    let (without, with) = (told(&mut *model, forgetful.clone()), told(&mut *model, hot));
    for seek in [0, 200] {
        let of_window = |found: &[(usize, Vec<u32>)]| {
            found.iter().filter(|(at, _)| at / 200 * 200 == seek).cloned().collect::<Vec<_>>()
        };
        assert_ne!(of_window(&without), of_window(&with), "{without:?} {with:?}");
    }
}

#[test]
fn one_who_leaves_is_dropped_within_a_step_and_the_others_are_answered() {
    let mut model = model(2);
    let (leaver, leaving) = request("leaver".to_owned(), ask(recording(600.0)), None);
    let (stayer, staying) = request("stayer".to_owned(), ask(recording(1.0)), None);
    let mut queue = Queue { leaving: Some((5, leaving)), ..Queue::default() };
    model.transcribe(&mut Batch::new(vec![leaver, stayer], &mut queue)).unwrap();
    assert!(answer(staying).is_ok());
    assert!(queue.steps < 500, "{} steps: ten minutes take thousands", queue.steps);
}

#[test]
fn a_slow_reader_is_waited_for_and_gets_the_same_segments() {
    let mut model = model(1);
    let case = fixtures::read::<Vec<Case>>("transcriptions.json").remove(0);
    let expected = alone(&mut *model, case.ask.of(recording(case.seconds))).unwrap();
    let (slow, answers) = request("slow".to_owned(), case.ask.of(recording(case.seconds)), None);
    // A few segments, and the model waits until they are read. A window makes several at once, which is within what
    // the bound forgives.
    let slow = slow.bounded(FlowLimits { bytes: 1024, ..FlowLimits::default() });
    let reader = std::thread::spawn(move || answer(answers));
    model.transcribe(&mut Batch::new(vec![slow], &mut Queue::default())).unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), expected);
}

#[test]
fn a_deadline_ends_the_work() {
    let mut model = model(1);
    let deadline = Instant::now() + std::time::Duration::from_millis(200);
    let (late, answers) = request("late".to_owned(), ask(recording(3600.0)), Some(deadline));
    model.transcribe(&mut Batch::new(vec![late], &mut Queue::default())).unwrap();
    assert_eq!(answer(answers).unwrap_err(), RequestError::Deadline);
}

#[test]
fn nothing_to_hear_is_answered_with_no_segments() {
    let mut model = model(1);
    for seconds in [0.0, 0.05, 0.099] {
        let (segments, summary) = alone(&mut *model, ask(recording(seconds))).unwrap();
        assert_eq!((segments, summary.language.as_str(), summary.tokens), (vec![], "en", 0));
        let unknown = with(TranscribeOptions::default(), seconds);
        assert_eq!(alone(&mut *model, unknown).unwrap().1.language, "und");
    }
}

#[test]
fn silence_costs_nothing_and_has_no_words() {
    let mut model = model(1);
    // Random weights find words in anything.
    let silence = |seconds: usize, level: f32| vec![level; seconds * SAMPLE_RATE as usize];
    for level in [0.0, 5e-5] {
        let (ask, answers) = request("silent".to_owned(), ask(Pcm::new(silence(600, level), SAMPLE_RATE)), None);
        let mut queue = Queue::default();
        model.transcribe(&mut Batch::new(vec![ask], &mut queue)).unwrap();
        let (segments, summary) = answer(answers).unwrap();
        assert_eq!((segments, summary.tokens, summary.duration), (vec![], 0, 600.0));
        assert!(queue.steps <= 301, "{} steps for 300 windows", queue.steps);
    }
    let later = [&silence(4, 0.0)[..], recording(1.7).samples()].concat();
    let (segments, _) = alone(&mut *model, ask(Pcm::new(later, SAMPLE_RATE))).unwrap();
    assert!(!segments.is_empty() && segments.iter().all(|segment| segment.seek >= 400), "{segments:?}");
}

#[test]
fn what_is_wrong_with_a_request_is_told_to_that_request_alone() {
    let mut model = model(4);
    let bad = [
        (TranscribeOptions { language: Some("klingon".to_owned()), ..english() }, "language", "klingon"),
        (TranscribeOptions { temperature: Some(1.5), ..english() }, "temperature", "1.5"),
        (TranscribeOptions { temperature: Some(f32::NAN), ..english() }, "temperature", "NaN"),
        (
            TranscribeOptions { options: [("sed".to_owned(), json!(1))].into_iter().collect(), ..english() },
            "options",
            "`sed`",
        ),
    ];
    let mut asks: Vec<(usize, Transcribe)> = bad.iter().map(|(options, ..)| (0, with(options.clone(), 0.5))).collect();
    asks.push((0, ask(recording(0.5))));
    let mut answers = answers(&mut *model, asks);
    assert!(answers.pop().unwrap().is_ok());
    for (answer, (_, expected, said)) in answers.into_iter().zip(bad) {
        let error = answer.unwrap_err();
        assert!(matches!(&error, RequestError::Invalid { param, .. } if *param == expected), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn dice_fall_alike_for_equal_seeds() {
    let mut model = model(2);
    let seeded = |seed: u64| {
        let options = [("seed".to_owned(), json!(seed))].into_iter().collect();
        with(TranscribeOptions { temperature: Some(0.8), options, ..english() }, 2.0)
    };
    let mut tokens = |seed| alone(&mut *model, seeded(seed)).unwrap().0.remove(0).tokens;
    assert_eq!(tokens(1), tokens(1));
    assert_ne!(tokens(1), tokens(2));
}

#[test]
fn doubted_text_is_decoded_anew_at_higher_temperatures() {
    let mut model = model(1);
    let (segments, _) = alone(&mut *model, ask(recording(1.7))).unwrap();
    assert!(segments.iter().all(|segment| segment.temperature > 0.0), "random weights make improbable text");
}

#[test]
fn a_rehearsal_leaves_nothing_behind() {
    let mut model = model(1);
    model.warm_up().unwrap();
    model.warm_up().unwrap();
    assert!(alone(&mut *model, ask(recording(0.5))).is_ok());
}
