//! What many figures are together.

use serde::Serialize;

/// Of what several runs gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

/// Of times, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quantiles {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub highest: f64,
}

// === impl Spread ===

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values = sorted(values);
        let (lowest, highest) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, lowest, highest })
    }

    /// Of what is one over it.
    pub fn inverse(self) -> Self {
        Self { median: 1.0 / self.median, lowest: 1.0 / self.highest, highest: 1.0 / self.lowest }
    }
}

// === impl Quantiles ===

impl Quantiles {
    /// The nearest ranks: each is a time that was measured. `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values = sorted(values);
        let highest = *values.last()?;
        let at = |share: f64| values[((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1];
        Some(Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), highest })
    }
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), Some(Spread { median: 2.5, lowest: 1.0, highest: 4.0 }));
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap().median, 2.0);
        assert_eq!(Spread::of([]), None);
        assert_eq!(
            Spread { median: 2.0, lowest: 1.0, highest: 4.0 }.inverse(),
            Spread { median: 0.5, lowest: 0.25, highest: 1.0 }
        );
    }

    #[test]
    fn a_quantile_is_one_of_the_times() {
        let all = Quantiles::of((1..=100).map(f64::from)).unwrap();
        assert_eq!((all.p50, all.p95, all.p99, all.highest), (50.0, 95.0, 99.0, 100.0));
        let few = Quantiles::of([7.0, 5.0]).unwrap();
        assert_eq!((few.p50, few.p95, few.p99), (5.0, 7.0, 7.0));
        assert_eq!(Quantiles::of([]), None);
    }
}
