//! How much memory something needed, and how much there was.

use std::fmt;

/// Bytes of a device's memory, as far as they are known. Reads well after what there was too little memory for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What was needed, about.
    pub need: Option<u64>,
    /// What was free when that failed.
    pub free: Option<u64>,
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.need, self.free) {
            (Some(need), Some(free)) => write!(f, " (it needs about {need} bytes, and {free} are free)"),
            (Some(need), None) => write!(f, " (it needs about {need} bytes)"),
            (None, Some(free)) => write!(f, " ({free} bytes are free)"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told() {
        let said = |need, free| format!("too little memory{}", Room { need, free });
        assert_eq!(said(Some(90), Some(7)), "too little memory (it needs about 90 bytes, and 7 are free)");
        assert_eq!(said(Some(90), None), "too little memory (it needs about 90 bytes)");
        assert_eq!(said(None, Some(7)), "too little memory (7 bytes are free)");
        assert_eq!(said(None, None), "too little memory");
    }
}
