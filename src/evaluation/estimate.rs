//! A mean, and how sure it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Standard deviations around the mean that hold 95 % of a normal distribution.
const NORMAL_95: f64 = 1.959_963_985;

/// A mean, with half of its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Mean; 0 of no values.
    pub mean: f64,
    /// Half of the interval; 0 where fewer than two values or groups tell nothing.
    pub half_width: f64,
    /// How many values, or groups of values that depend on each other.
    pub values: u64,
}

impl Estimate {
    /// Of values that do not depend on each other.
    pub fn of(values: &[f64]) -> Estimate {
        Estimate::of_groups(values.iter().enumerate().map(|(at, &value)| (at, value)))
    }

    /// Of values of which those of one group depend on each other: a sandwich estimator, with as many
    /// degrees of freedom as there are groups but one. Liang and Zeger, "Longitudinal data analysis
    /// using generalized linear models", 1986.
    pub fn of_groups<G: Ord>(values: impl Iterator<Item = (G, f64)> + Clone) -> Estimate {
        let count = values.clone().count() as f64;
        if count == 0.0 {
            return Estimate::default();
        }
        let mean = values.clone().map(|(_, value)| value).sum::<f64>() / count;
        let mut deviations: BTreeMap<G, f64> = BTreeMap::new();
        for (group, value) in values {
            *deviations.entry(group).or_default() += value - mean;
        }
        let groups = deviations.len();
        let half_width = if groups < 2 {
            0.0
        } else {
            let squares: f64 = deviations.values().map(|sum| sum * sum).sum();
            let freedom = groups as f64 - 1.0;
            let variance = groups as f64 / freedom * squares / (count * count);
            student_95(freedom) * variance.sqrt()
        };
        Estimate {
            mean,
            half_width,
            values: groups as u64,
        }
    }

    /// Whether all of the interval is above 0.
    pub fn is_positive(&self) -> bool {
        self.values > 1 && self.mean > self.half_width
    }
}

/// Standard errors around the mean that hold 95 % of Student's distribution: the first terms of its
/// expansion around the normal one (Abramowitz and Stegun, 26.7.5). Within 4 % from two degrees of
/// freedom on; too narrow by a quarter at one.
fn student_95(freedom: f64) -> f64 {
    let z = NORMAL_95;
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * freedom)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * freedom.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * freedom.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, quantile) in [(2.0, 4.303), (3.0, 3.182), (5.0, 2.571), (30.0, 2.042)] {
            let error = student_95(freedom) / quantile - 1.0;
            assert!(error.abs() < 0.04, "{freedom}: {}", student_95(freedom));
        }
    }

    #[test]
    fn the_interval_is_that_of_students_distribution() {
        // Standard deviation 2, of four values: t of three degrees of freedom times 2 / 2.
        let found = Estimate::of(&[1.0, 1.0, 1.0, 5.0]);
        assert_eq!((found.mean, found.values), (2.0, 4));
        assert!(
            (found.half_width - student_95(3.0)).abs() < 1e-12,
            "{found:?}"
        );
    }

    #[test]
    fn values_that_are_there_twice_are_no_surer() {
        let once = Estimate::of(&[0.1, 0.5, 0.9]);
        let twice = [
            ("a", 0.1),
            ("b", 0.5),
            ("c", 0.9),
            ("a", 0.1),
            ("b", 0.5),
            ("c", 0.9),
        ];
        let twice = Estimate::of_groups(twice.into_iter());
        assert!((once.half_width - twice.half_width).abs() < 1e-12);
        assert_eq!((once.values, twice.values), (3, 3));
    }

    #[test]
    fn one_value_is_not_sure_and_none_has_no_mean() {
        let one = Estimate::of(&[0.5]);
        assert_eq!((one.half_width, one.is_positive()), (0.0, false));
        assert!(Estimate::of(&[0.5, 0.51]).is_positive());
        assert!(!Estimate::of(&[1.0, -1.0]).is_positive());
        assert_eq!(Estimate::of(&[]), Estimate::default());
    }
}
