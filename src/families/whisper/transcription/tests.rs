use candle_core::{Device, Tensor};

use super::{
    super::{
        fixtures, generation::Generation, generation_config::GenerationConfig, transcription_options::SAMPLE_RATE,
    },
    *,
};
use crate::{
    audio::Pcm,
    nn::sampler::Chooser,
    speech::{TranscribeMode, TranscribeOptions},
};

fn ask(seconds: f64) -> Transcribe {
    let samples = vec![0.0; (seconds * f64::from(SAMPLE_RATE)) as usize];
    Transcribe { audio: Pcm::new(samples, SAMPLE_RATE), options: english() }
}

fn english() -> TranscribeOptions {
    TranscribeOptions { language: Some("en".to_owned()), ..TranscribeOptions::default() }
}

/// Logits that all but decide for one token.
fn sure(token: u32) -> Vec<f32> {
    let mut logits = vec![0.0; fixtures::config().vocab_size];
    logits[token as usize] = 30.0;
    logits
}

/// Has a transcription choose from the logits of its one sequence, and again where another try begins with them.
fn take_logits(transcription: &mut Transcription, logits: Vec<f32>) -> Result<Vec<Segment>, NoDistribution> {
    let logits = Tensor::new(vec![logits], &Device::Cpu).unwrap();
    loop {
        let chosen = Chooser::default().choose(&logits, &transcription.choices(0)).unwrap();
        let segments = transcription.take(chosen)?;
        if transcription.next_step() != NextStep::Decode(Vec::new()) {
            return Ok(segments);
        }
    }
}

/// Feeds a transcription the tokens of each window in turn; gives its segments and the prompt of each window.
fn play(transcription: &mut Transcription, windows: &[&[u32]]) -> (Vec<Segment>, Vec<Vec<u32>>) {
    let end = transcription.decoding.tokens.eot;
    let (mut segments, mut prompts) = (Vec::new(), Vec::new());
    for window in windows {
        assert!(matches!(transcription.next_step(), NextStep::Encode { .. }), "{:?}", transcription.next_step());
        transcription.encoded();
        let mut prompt = Vec::new();
        let mut script = window.iter().chain([&end]);
        while let Some(DecoderInput { tokens, .. }) = next_input(transcription) {
            let prompting = prompt.len() < 3 || !prompt.ends_with(&sot_sequence(transcription));
            if prompting {
                prompt.extend(tokens);
            }
            let whole = prompt.ends_with(&sot_sequence(transcription));
            let next = if prompting && !whole { sure(0) } else { sure(*script.next().unwrap()) };
            segments.extend(take_logits(transcription, next).unwrap());
        }
        prompts.push(prompt);
    }
    (segments, prompts)
}

/// Of the one sequence that is followed.
fn next_input(transcription: &Transcription) -> Option<DecoderInput> {
    match transcription.next_step() {
        NextStep::Decode(inputs) => inputs.into_iter().next(),
        _ => None,
    }
}

fn sot_sequence(transcription: &Transcription) -> Vec<u32> {
    transcription.decoding.tokens.sot_sequence("en", TranscribeMode::Transcribe)
}

#[test]
fn windows_follow_each_other_from_end_to_end_of_segments() {
    let decoding = fixtures::decoding_config();
    let time = decoding.tokens.timestamp_begin;
    let mut transcription = Transcription::new(decoding.clone(), &ask(3.0)).unwrap();
    let first = [time, 300, time + 40, time + 45, 301];
    let second = [time, 302, time + 70];
    let third = [time, 303, time + 50];
    let (segments, prompts) = play(&mut transcription, &[&first, &second, &third]);
    assert!(transcription.is_over());
    let seen: Vec<_> = segments.iter().map(|s| (s.id, s.seek, s.start, s.end)).collect();
    assert_eq!(seen, [(0, 0, 0.0, 0.8), (1, 80, 0.8, 2.2), (2, 280, 2.8, 3.8)]);
    let opening = decoding.tokens.sot_sequence("en", TranscribeMode::Transcribe);
    let previous = decoding.tokens.sot_prev.unwrap();
    assert_eq!(prompts[0], opening);
    assert_eq!(prompts[1], [&[previous, time, 300, time + 40], &opening[..]].concat());
    assert_eq!(prompts[2], [&[previous, time, 300, time + 40, time, 302, time + 70], &opening[..]].concat());
}

#[test]
fn tokens_of_the_text_have_their_log_probabilities_when_they_are_asked_for() {
    let decoding = fixtures::decoding_config();
    let time = decoding.tokens.timestamp_begin;
    for asked in [true, false] {
        let mut transcription = Transcription::new(
            decoding.clone(),
            &Transcribe { options: TranscribeOptions { logprobs: asked, ..english() }, ..ask(1.8) },
        )
        .unwrap();
        let (segments, _) = play(&mut transcription, &[&[time, 300, 301, time + 40, time + 40, 302, time + 80]]);
        assert_eq!(segments.len(), 2);
        for (segment, text) in segments.iter().zip([&[300, 301][..], &[302]]) {
            let bytes: Vec<&[u8]> = segment.logprobs.iter().map(|token| token.bytes.as_slice()).collect();
            let expected: Vec<&[u8]> = text.iter().map(|id| decoding.tokens.bytes(*id)).collect();
            assert_eq!(bytes, if asked { expected } else { vec![] });
            assert!(segment.logprobs.iter().all(|token| (-1e-3..=0.0).contains(&token.logprob)), "{segment:?}");
        }
    }
}

#[test]
fn a_model_that_is_not_used_to_times_in_its_prompt_gets_none() {
    let (tokens, config) = (fixtures::tokens(), fixtures::config());
    let given = GenerationConfig { prompt_timestamps: Some(false), ..GenerationConfig::default() };
    let generation = Generation::new(&given, &tokens, &config).unwrap();
    let decoding = Arc::new(DecodingConfig::new(tokens, generation, &config));
    let time = decoding.tokens.timestamp_begin;
    let mut transcription = Transcription::new(decoding.clone(), &ask(3.0)).unwrap();
    let (_, prompts) = play(&mut transcription, &[&[time, 300, time + 40, time + 40], &[time, 302, time + 70]]);
    let opening = decoding.tokens.sot_sequence("en", TranscribeMode::Transcribe);
    assert_eq!(prompts[1], [&[decoding.tokens.sot_prev.unwrap(), 300], &opening[..]].concat());
}

#[test]
fn a_silent_window_is_passed_over_and_told_to_nobody() {
    let decoding = fixtures::decoding_config();
    let mut transcription = Transcription::new(decoding.clone(), &ask(4.0)).unwrap();
    transcription.encoded();
    take_logits(&mut transcription, sure(decoding.tokens.no_speech.unwrap())).unwrap();
    // Nothing is likelier than anything else: improbable, at whatever temperature.
    while let NextStep::Decode(_) = transcription.next_step() {
        let flat = vec![0.0; fixtures::config().vocab_size];
        assert_eq!(take_logits(&mut transcription, flat).unwrap(), []);
    }
    assert_eq!(transcription.next_step(), NextStep::Encode { seek: 200, frames: decoding.window });
}

#[test]
fn the_encoder_sees_all_of_a_window_or_no_less_than_its_sound() {
    let decoding = fixtures::decoding_config();
    let window = decoding.window;
    let frames = |seconds: f64, audio_ctx: usize| {
        let mut ask = ask(seconds);
        ask.options.options.insert("audio_ctx".to_owned(), audio_ctx.into());
        let next = Transcription::new(decoding.clone(), &ask).unwrap().next_step();
        let NextStep::Encode { seek: 0, frames } = next else { panic!("{next:?}") };
        frames
    };
    assert_eq!(frames(0.5, 0), window);
    assert_eq!(frames(0.5, 1), 50);
    assert_eq!(frames(0.51, 1), 52);
    assert_eq!(frames(0.5, 40), 80);
    assert_eq!(frames(0.5, window), window);
    assert_eq!(frames(0.5, usize::MAX), window);
    assert_eq!(frames(9.0, 1), window);
}

#[test]
fn the_language_is_the_likeliest_of_those_that_there_are() {
    let decoding = fixtures::decoding_config();
    let mut transcription =
        Transcription::new(decoding.clone(), &Transcribe { options: TranscribeOptions::default(), ..ask(1.0) })
            .unwrap();
    transcription.encoded();
    assert_eq!(
        transcription.next_step(),
        NextStep::Decode(vec![DecoderInput { from: 0, keep: 0, tokens: vec![decoding.tokens.sot] }])
    );
    let mut logits = sure(300);
    let (_, german) = decoding.tokens.languages().iter().find(|(code, _)| *code == "de").unwrap();
    logits[*german as usize] = 3.0;
    take_logits(&mut transcription, logits).unwrap();
    assert_eq!(transcription.summary().language, "de");
}

#[test]
fn numbers_that_are_no_distribution_fail_the_request() {
    let mut transcription = Transcription::new(fixtures::decoding_config(), &ask(1.0)).unwrap();
    transcription.encoded();
    take_logits(&mut transcription, sure(0)).unwrap();
    assert_eq!(take_logits(&mut transcription, vec![f32::NAN; fixtures::config().vocab_size]), Err(NoDistribution));
}

#[test]
fn what_a_window_is_fed_never_exceeds_the_decoder() {
    let decoding = fixtures::decoding_config();
    let options = TranscribeOptions { prompt: Some("the quick brown fox ".repeat(50)), ..english() };
    let long = Transcribe { options, ..ask(1.0) };
    let mut transcription = Transcription::new(decoding.clone(), &long).unwrap();
    transcription.encoded();
    let mut most = 0;
    while let Some(DecoderInput { keep, tokens, .. }) = next_input(&transcription) {
        most = most.max(keep + tokens.len());
        take_logits(&mut transcription, vec![0.0; fixtures::config().vocab_size]).unwrap();
    }
    assert!(most <= decoding.context && most > decoding.context / 2, "{most} of {}", decoding.context);
}
