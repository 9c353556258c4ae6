use super::*;
use crate::text::Span;

fn say(text: &str, prosody: Prosody) -> Part {
    Part::Say(Span { text: text.to_owned(), phonemes: None, prosody })
}

fn pause(milliseconds: u64) -> Part {
    Part::Boundary(Boundary::Pause(Duration::from_millis(milliseconds)))
}

#[track_caller]
fn check(body: &str, expected: &[Part]) {
    assert_eq!(parse(&format!("<speak>{body}</speak>"), true).as_deref(), Ok(expected));
}

#[track_caller]
fn refuse(source: &str, message: &str) {
    let error = parse(source, true).unwrap_err().to_string();
    assert!(error.starts_with(message), "{error}\nnot {message}");
}

const USUAL: Prosody = Prosody { rate: 1.0, pitch: 0.0, volume: 0.0 };

#[test]
fn text_and_what_says_nothing_more_is_one_span() {
    check(
        "Hello <emphasis level='strong'>you</emphasis> &amp; <!-- not this --> <![CDATA[<b>]]> &#233;.",
        &[say("Hello you &  <b> é.", USUAL)],
    );
    let whole = "\u{FEFF}<?xml version='1.0'?>\n<speak version='1.1' xml:lang='en-US'>Hi</speak>\n";
    assert_eq!(parse(whole, true), Ok(vec![say("Hi", USUAL)]));
}

#[test]
fn blocks_end_with_boundaries() {
    let (paragraph, sentence) = (Part::Boundary(Boundary::Paragraph), Part::Boundary(Boundary::Sentence));
    check(
        "<p><s>One</s> <s>two</s></p><p>Three</p>",
        &[
            paragraph.clone(),
            say("One", USUAL),
            sentence,
            say("two", USUAL),
            paragraph.clone(),
            say("Three", USUAL),
            paragraph,
        ],
    );
}

#[test]
fn breaks_are_pauses() {
    check(
        "a<break/>b<break time='1.5s'/>c<break strength='none'/>d<break strength='strong'></break>",
        &[say("a", USUAL), pause(400), say("b", USUAL), pause(1500), say("cd", USUAL), pause(700)],
    );
}

#[test]
fn prosody_is_relative_to_what_surrounds_it() {
    let outer = Prosody { rate: 0.8, pitch: 2.0, volume: -6.0 };
    let inner = Prosody { rate: 0.8 * 0.5, pitch: 2.0 + 12.0, volume: -96.0 };
    check(
        "<prosody rate='80%' pitch='+2st' volume='-6dB'>a<prosody rate='x-slow' pitch='+100%' volume='silent'>b</prosody>\
         </prosody>c",
        &[say("a", outer), say("b", inner), say("c", USUAL)],
    );
    check("<prosody rate='+10%'>a</prosody>", &[say("a", Prosody { rate: 1.1, ..USUAL })]);
    check("<prosody rate='1.2'>a</prosody>", &[say("a", Prosody { rate: 1.2, ..USUAL })]);
}

#[test]
fn words_can_be_replaced() {
    let phonemes =
        Part::Say(Span { text: "tomato".to_owned(), phonemes: Some("təˈmɑːtoʊ".to_owned()), prosody: USUAL });
    check("<phoneme alphabet='ipa' ph='təˈmɑːtoʊ'>tomato</phoneme>!", &[phonemes, say("!", USUAL)]);
    check("<sub alias='World Wide Web'>WWW</sub>", &[say("World Wide Web", USUAL)]);
    let said = |kind: &str, text: &str, spoken: &str| {
        check(&format!("<say-as interpret-as='{kind}'>{text}</say-as>"), &[say(spoken, USUAL)]);
    };
    said("characters", "AB-3", "A B three");
    said("digits", "2024", "two zero two four");
    said("telephone", "555-12", "five five five, one two");
    said("ordinal", "21", "twenty-first");
    said("cardinal", "1,984", "one thousand nine hundred eighty-four");
    said("date", "5/3/2024", "5/3/2024");
    let german = parse("<speak><say-as interpret-as='ordinal'>21</say-as></speak>", false);
    assert_eq!(german, Ok(vec![say("21", USUAL)]));
}

#[test]
fn faults_name_their_place() {
    refuse(
        "<speak>Hi\n <voice>you</voice></speak>",
        "the SSML is wrong at line 2, column 2: <voice> is not supported; there are",
    );
    refuse("Hello", "the SSML is wrong at line 1, column 1: the whole must stand in one <speak> element");
    refuse("", "the SSML is wrong at line 1, column 1: the whole must stand in one <speak>");
    refuse("<p>Hello</p>", "the SSML is wrong at line 1, column 1: the whole must stand");
    refuse("<speak/><speak/>", "the SSML is wrong at line 1, column 9: the whole must stand");
    refuse("<speak>é<p>", "the SSML is wrong at line 1, column 12: it is not well-formed XML");
    refuse("<speak><p></speak>", "the SSML is wrong at line 1, column 11: it is not well-formed XML");
    refuse("<speak><p", "the SSML is wrong at line 1, column 8: it is not well-formed XML");
    refuse("<speak>a < b</speak>", "the SSML is wrong at line 1, column 10: it is not well-formed XML");
    refuse("<speak>a & b</speak>", "the SSML is wrong at line 1, column 10: it is not well-formed XML");
    refuse("<speak>&nbsp;</speak>", "the SSML is wrong at line 1, column 8: &nbsp; is not known");
    refuse(
        "<!DOCTYPE speak [<!ENTITY a 'b'>]><speak>&a;</speak>",
        "the SSML is wrong at line 1, column 1: a document type",
    );
    refuse("<speak><break time='5'/></speak>", "the SSML is wrong at line 1, column 8: \"5\" is no length of time");
    refuse(
        "<speak><break time='61s'/></speak>",
        "the SSML is wrong at line 1, column 8: 61 s is longer than the limit",
    );
    refuse("<speak><break>a</break></speak>", "the SSML is wrong at line 1, column 15: <break> may hold text only");
    refuse("<speak><sub>a</sub></speak>", "the SSML is wrong at line 1, column 8: <sub> needs the attribute alias");
    refuse(
        "<speak><sub alias='a'><p/></sub></speak>",
        "the SSML is wrong at line 1, column 23: <sub> may hold text only",
    );
    refuse(
        "<speak><phoneme ph='a'> </phoneme></speak>",
        "the SSML is wrong at line 1, column 25: <phoneme> needs the word",
    );
    refuse(
        "<speak><phoneme alphabet='x-sampa' ph='a'>a</phoneme></speak>",
        "the SSML is wrong at line 1, column 8: alphabet=\"x-sampa\"",
    );
    refuse(
        "<speak><say-as interpret-as='song'>a</say-as></speak>",
        "the SSML is wrong at line 1, column 8: interpret-as=\"song\"",
    );
}

#[test]
fn prosody_has_bounds() {
    for attribute in [
        "rate='0%'",
        "rate='-100%'",
        "rate='9'",
        "rate='NaN'",
        "rate='inf'",
        "rate=''",
        "pitch='-100%'",
        "pitch='+25st'",
        "pitch='200Hz'",
        "volume='+25dB'",
        "volume='loudest'",
        "range='high'",
    ] {
        let source = format!("<speak><prosody {attribute}>a</prosody></speak>");
        let name = attribute.split('=').next().unwrap();
        refuse(&source, &format!("the SSML is wrong at line 1, column 8: {name}="));
    }
    let nested = format!("<speak>{}a{}</speak>", "<prosody rate='2'>".repeat(3), "</prosody>".repeat(3));
    refuse(&nested, "the SSML is wrong at line 1, column 44: rate=");
}

#[test]
fn depth_and_attributes_have_bounds() {
    let nested = |depth: usize| {
        format!("{}a{}", "<speak>".to_owned() + &"<p>".repeat(depth - 1), "</p>".repeat(depth - 1) + "</speak>")
    };
    assert!(parse(&nested(DEPTH), true).is_ok());
    refuse(&nested(DEPTH + 1), "the SSML is wrong at line 1, column 35: elements are nested more than 10 deep");
    let attributes: String = (0..17).map(|number| format!(" a{number}=''")).collect();
    refuse(&format!("<speak{attributes}>a</speak>"), "the SSML is wrong at line 1, column 1: <speak> has more than 16");
    refuse("<speak a='' a=''>b</speak>", "the SSML is wrong at line 1, column 1: it is not well-formed XML");
}
