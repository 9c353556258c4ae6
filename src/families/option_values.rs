//! What the `options` of families have in common when they are read.

use std::{
    hash::{BuildHasher, RandomState},
    ops::RangeInclusive,
};

use crate::model::RequestError;

/// A count that has to lie in a range, where one is given.
pub fn counted(name: &str, asked: Option<usize>, right: RangeInclusive<usize>) -> Result<Option<usize>, RequestError> {
    match asked {
        Some(count) if !right.contains(&count) => {
            let (least, most) = (right.start(), right.end());
            Err(invalid(format!("{name} is {count}; {least} to {most} would be right")))
        }
        asked => Ok(asked),
    }
}

/// A seed where none is given, halved often enough for the numbers of JSON.
pub fn by_chance() -> u64 {
    RandomState::new().hash_one("seed") >> 11
}

pub fn invalid(message: String) -> RequestError {
    RequestError::Invalid { param: "options", message }
}
