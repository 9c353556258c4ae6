//! How long a model stays in memory after its last request, as a request may say it.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Units of Go's durations, which Ollama's users write, in seconds; longer names first.
const UNITS: [(&str, f64); 7] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// How long a model stays in memory after its last request, as Ollama's users say it: seconds, or a text such as `5m`
/// and `1h30m`; 0 unloads it right after, anything negative keeps it until somebody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    For(Duration),
    Forever,
}

/// Why a text says no such thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no time to keep a model; write seconds or a duration such as 5m, 0 to unload, -1 to keep it")]
pub struct NoKeepAlive {
    text: String,
}

// === impl KeepAlive ===

impl KeepAlive {
    pub fn seconds(seconds: f64) -> Option<Self> {
        match seconds {
            seconds if seconds.is_nan() => None,
            seconds if seconds < 0.0 => Some(Self::Forever),
            // A time beyond the end of time is for ever.
            seconds => Some(Duration::try_from_secs_f64(seconds).map_or(Self::Forever, Self::For)),
        }
    }
}

impl Serialize for KeepAlive {
    /// Seconds, negative for ever: what is read back as the same.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(time) => serializer.serialize_f64(time.as_secs_f64()),
            Self::Forever => serializer.serialize_f64(-1.0),
        }
    }
}

impl FromStr for KeepAlive {
    type Err = NoKeepAlive;

    fn from_str(text: &str) -> Result<Self, NoKeepAlive> {
        let trimmed = text.trim();
        let (sign, rest) = trimmed.strip_prefix('-').map_or((1.0, trimmed), |rest| (-1.0, rest));
        let seconds = decimal(rest).or_else(|| duration(rest)).and_then(|seconds| Self::seconds(sign * seconds));
        seconds.ok_or_else(|| NoKeepAlive { text: text.to_owned() })
    }
}

/// `1h30m`.
fn duration(mut text: &str) -> Option<f64> {
    let mut sum = None;
    while !text.is_empty() {
        let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let unit = rest.split_at(rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len()));
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit.0)?;
        sum = Some(sum.unwrap_or(0.0) + decimal(number)? * length);
        text = unit.1;
    }
    sum
}

/// Digits and a point; no exponent, no sign, no `inf`.
fn decimal(text: &str) -> Option<f64> {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then(|| text.parse().ok())?
}

impl<'de> Deserialize<'de> for KeepAlive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = KeepAlive;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds, or a duration such as \"5m\"")
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<KeepAlive, E> {
                KeepAlive::seconds(seconds).ok_or_else(|| E::invalid_value(de::Unexpected::Float(seconds), &self))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<KeepAlive, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<KeepAlive, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<KeepAlive, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_as_ollama_says_it() {
        let kept = |seconds: f64| Ok(KeepAlive::For(Duration::from_secs_f64(seconds)));
        for (text, seconds) in
            [("5m", 300.0), ("1h30m", 5400.0), ("90", 90.0), ("0", 0.0), ("0s", 0.0), ("1.5s", 1.5), ("250ms", 0.25)]
        {
            assert_eq!(text.parse(), kept(seconds), "{text}");
        }
        for text in ["-1", "-1s", "-5m", "99999999999999999999999h"] {
            assert_eq!(text.parse(), Ok(KeepAlive::Forever), "{text}");
        }
        for text in ["", "-", "soon", "5 m", "5x", "m", "1h30", "1e3", "inf", "NaN", ".", "--1"] {
            assert!(text.parse::<KeepAlive>().is_err(), "{text}");
        }
    }

    #[test]
    fn in_json_it_is_a_number_or_a_text() {
        let read = |text: &str| serde_json::from_str::<KeepAlive>(text).map_err(|error| error.to_string());
        assert_eq!(read("-1"), Ok(KeepAlive::Forever));
        assert_eq!(read("0"), Ok(KeepAlive::For(Duration::ZERO)));
        assert_eq!(read("2.5"), Ok(KeepAlive::For(Duration::from_millis(2500))));
        assert_eq!(read("\"10m\""), Ok(KeepAlive::For(Duration::from_secs(600))));
        for kept in [KeepAlive::Forever, KeepAlive::For(Duration::from_millis(2500))] {
            assert_eq!(read(&serde_json::to_string(&kept).unwrap()), Ok(kept));
        }
        assert!(read("\"soon\"").unwrap_err().contains("such as 5m"));
        assert!(read("true").unwrap_err().contains("such as \"5m\""));
    }
}
