//! Speech at one loudness.

use sconce::{
    audio::{CEILING, Pcm, loudness},
    service::SpeakRequest,
    speech::SynthesizeOptions,
    text::Markup,
};

use crate::stage::{Stage, call, in_time};

const TEXT: &str = "some words that are said in tones. and some more of them, so that there is a loudness to be heard.";

async fn spoken(stage: &Stage, normalize_loudness: Option<bool>) -> Pcm {
    let options = SynthesizeOptions { seed: Some(1), ..SynthesizeOptions::default() };
    let text = TEXT.to_owned();
    let asked = SpeakRequest { text, markup: Markup::Plain, normalize: true, normalize_loudness, options };
    let speaking = in_time(stage.service().speak(call(), asked)).await.unwrap();
    in_time(speaking.whole()).await.unwrap().audio
}

fn lufs(pcm: &Pcm) -> f64 {
    loudness(pcm).unwrap().unwrap()
}

#[tokio::test]
async fn a_request_has_the_last_word_over_the_setting() {
    let usual = spoken(&Stage::new(&[]), None).await;
    assert!((lufs(&usual) + 23.0).abs() > 2.0, "{} LUFS is no test", lufs(&usual));
    let levelled = spoken(&Stage::new(&[]), Some(true)).await;
    assert!((lufs(&levelled) + 23.0).abs() < 1.5, "{}", lufs(&levelled));
    assert_eq!(levelled.frames(), usual.frames(), "nothing is lost at the ends");
    let ceiling = 10f64.powf(CEILING / 20.0) as f32;
    assert!(levelled.samples().iter().all(|sample| sample.abs() <= ceiling));

    let set = Stage::new(&[("SCONCE_SPEECH__NORMALIZE_LOUDNESS", "true")]);
    assert!(spoken(&set, None).await == levelled);
    assert!(spoken(&set, Some(false)).await == usual);
}
