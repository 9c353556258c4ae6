//! What `options` of a request may hold: what only one family has.

use std::{fmt, ops::Bound};

/// One of the `options` of a request that only a family has.
#[derive(Clone, Copy, Debug)]
pub struct Knob {
    pub name: &'static str,
    pub values: KnobValues,
    /// Whether it may be `null` as well.
    pub nullable: bool,
    /// What holds where nothing is said: as JSON writes it, or in words.
    pub usual: &'static str,
    pub about: &'static str,
}

/// Which values a knob takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KnobValues {
    Number(Bound<f64>, Bound<f64>),
    Whole(Bound<f64>, Bound<f64>),
    Truth,
    Text,
    /// A list or an object, told in words.
    Other(&'static str),
}

/// A bound that there is not.
pub const ANY: Bound<f64> = Bound::Unbounded;

// === impl Knob ===

impl Knob {
    pub const fn new(name: &'static str, values: KnobValues, usual: &'static str, about: &'static str) -> Self {
        Self { name, values, nullable: false, usual, about }
    }

    /// A number from `least` to `most`, both of which it may be.
    pub const fn number(name: &'static str, least: f64, most: f64, usual: &'static str, about: &'static str) -> Self {
        Self::new(name, KnobValues::Number(Bound::Included(least), Bound::Included(most)), usual, about)
    }

    /// A whole number from `least` to `most`, both of which it may be.
    pub const fn whole(name: &'static str, least: f64, most: f64, usual: &'static str, about: &'static str) -> Self {
        Self::new(name, KnobValues::Whole(Bound::Included(least), Bound::Included(most)), usual, about)
    }

    /// A whole number that is not below `least`.
    pub const fn count(name: &'static str, least: f64, usual: &'static str, about: &'static str) -> Self {
        Self::new(name, KnobValues::Whole(Bound::Included(least), ANY), usual, about)
    }

    /// A number that is not below `least`.
    pub const fn at_least(name: &'static str, least: f64, usual: &'static str, about: &'static str) -> Self {
        Self::new(name, KnobValues::Number(Bound::Included(least), ANY), usual, about)
    }

    /// A number above 0.
    pub const fn positive(name: &'static str, usual: &'static str, about: &'static str) -> Self {
        Self::new(name, KnobValues::Number(Bound::Excluded(0.0), ANY), usual, about)
    }

    /// Truth.
    pub const fn truth(name: &'static str, usual: &'static str, about: &'static str) -> Self {
        Self::new(name, KnobValues::Truth, usual, about)
    }

    /// The same, which `null` switches off.
    pub const fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// For people.
impl fmt::Display for KnobValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = match self {
            Self::Number(least, most) | Self::Whole(least, most) => (least, most),
            Self::Truth => return f.write_str("true or false"),
            Self::Text => return f.write_str("a text"),
            Self::Other(words) => return f.write_str(words),
        };
        match (least, most) {
            (Bound::Included(least), Bound::Included(most)) => write!(f, "{least} to {most}"),
            (Bound::Included(least), _) => write!(f, "{least} and above"),
            (Bound::Excluded(least), Bound::Included(most)) => write!(f, "above {least}, to {most}"),
            (Bound::Excluded(least), _) => write!(f, "above {least}"),
            (Bound::Unbounded, _) => f.write_str("any number"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_in_words() {
        let told = |knob: Knob| knob.values.to_string();
        assert_eq!(told(Knob::number("x", -0.5, 2.0, "1", "")), "-0.5 to 2");
        assert_eq!(told(Knob::whole("x", 0.0, 99.0, "1", "")), "0 to 99");
        assert_eq!(told(Knob::count("x", 1.0, "1", "")), "1 and above");
        assert_eq!(told(Knob::positive("x", "1", "")), "above 0");
        assert_eq!(told(Knob::new("x", KnobValues::Number(ANY, ANY), "1", "")), "any number");
        assert_eq!(told(Knob::truth("x", "true", "")), "true or false");
    }
}
