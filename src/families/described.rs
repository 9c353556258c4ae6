//! Families of one model each, as its files describe it.

use parking_lot::Mutex;

use crate::model::LoadError;

/// Different descriptions of models that there may be as long as the program runs, of each kind.
const MOST: usize = 4096;

/// Those of one kind that were ever described. Catalogs, requests and loaded models hold families for ever, so none is given
/// back; there is one for each different description.
pub struct DescribedFamilies<F: 'static>(Mutex<Vec<&'static F>>);

// === impl DescribedFamilies ===

impl<F: Sync> DescribedFamilies<F> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The one that `is` so described, or else what is made.
    pub fn find_or_add(&self, is: impl Fn(&F) -> bool, make: impl FnOnce() -> F) -> Result<&'static F, LoadError> {
        let mut all = self.0.lock();
        if let Some(known) = all.iter().find(|known| is(known)) {
            return Ok(known);
        }
        if all.len() == MOST {
            let reason =
                format!("{MOST} different models of its kind were described since the start; a new start helps");
            return Err(LoadError::Unsupported(reason));
        }
        let made: &'static F = Box::leak(Box::new(make()));
        all.push(made);
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_for_each_description_and_not_more_than_there_may_be() {
        static ALL: DescribedFamilies<usize> = DescribedFamilies::new();
        let described = |number: usize| ALL.find_or_add(|known| *known == number, || number);
        let first = described(0).unwrap();
        for number in 1..MOST {
            assert_eq!(described(number).unwrap(), &number);
        }
        assert!(std::ptr::eq(described(0).unwrap(), first));
        assert!(described(MOST).unwrap_err().to_string().contains("4096 different models"));
    }
}
