//! `<prosody>`: rate, pitch and volume within the bounds of [`Prosody`], relative to what surrounds the element.

use super::attributes::{Attributes, value};
use crate::text::{Prosody, error::SsmlFault};

const RATES: &str = "write a percentage such as 80%, a factor such as 1.2, or x-slow, slow, medium, fast, x-fast; at the \
                     end between a quarter and four times the usual speed";
const PITCHES: &str = "write semitones such as +2st, a change such as -10%, or x-low, low, medium, high, x-high; at the end \
                       within 24 semitones";
const VOLUMES: &str =
    "write decibels such as -6dB, or silent, x-soft, soft, medium, loud, x-loud; at the end at most +24 dB";

/// The manner inside an element with `attributes`, which stands within `outer`.
pub(super) fn inside(outer: Prosody, attributes: &Attributes) -> Result<Prosody, SsmlFault> {
    let mut inner = outer;
    for (name, text) in attributes.iter() {
        let given = text.trim();
        let (read, expected) = match name.as_str() {
            "rate" => (rate(given).map(|rate| inner.rate = outer.rate * rate), RATES),
            "pitch" => (pitch(given).map(|pitch| inner.pitch = outer.pitch + pitch), PITCHES),
            "volume" => (volume(given).map(|volume| inner.volume = (outer.volume + volume).max(-96.0)), VOLUMES),
            _ => (None, "prosody has rate, pitch and volume"),
        };
        let fits = (0.25..=4.0).contains(&inner.rate) && inner.pitch.abs() <= 24.0 && inner.volume <= 24.0;
        if read.is_none() || !fits {
            return Err(value(name, text, expected));
        }
    }
    Ok(inner)
}

/// Times the usual speed.
fn rate(text: &str) -> Option<f32> {
    let named = match text {
        "x-slow" => 0.5,
        "slow" => 0.75,
        "medium" | "default" => 1.0,
        "fast" => 1.25,
        "x-fast" => 1.75,
        _ => return percentage(text).or_else(|| number(text)),
    };
    Some(named)
}

/// Semitones.
fn pitch(text: &str) -> Option<f32> {
    let named = match text {
        "x-low" => -6.0,
        "low" => -3.0,
        "medium" | "default" => 0.0,
        "high" => 3.0,
        "x-high" => 6.0,
        _ => return text.strip_suffix("st").and_then(number).or_else(|| Some(12.0 * percentage(text)?.log2())),
    };
    Some(named)
}

/// Decibels.
fn volume(text: &str) -> Option<f32> {
    let named = match text {
        "silent" => -96.0,
        "x-soft" => -12.0,
        "soft" => -6.0,
        "medium" | "default" => 0.0,
        "loud" => 6.0,
        "x-loud" => 12.0,
        _ => return text.strip_suffix("dB").and_then(number),
    };
    Some(named)
}

/// `80%` is 0.8, `+10%` is 1.1, `-10%` is 0.9.
fn percentage(text: &str) -> Option<f32> {
    let percent = text.strip_suffix('%')?;
    let part = number(percent)? / 100.0;
    Some(if percent.starts_with(['+', '-']) { 1.0 + part } else { part })
}

fn number(text: &str) -> Option<f32> {
    let plain =
        text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-'));
    text.parse().ok().filter(|_| plain)
}
