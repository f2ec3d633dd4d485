//! Logistic regression, for what is learned from a dataset about the dataset itself.

use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

/// L2 penalty: keeps a coefficient small that few examples tell anything about.
const PENALTY: f64 = 1.0;

/// Decimals of the coefficients that are kept: the last bits of a logarithm differ from machine to
/// machine, and rounding makes it most unlikely that what comes of the same data does.
const DECIMALS: f64 = 1e4;

/// What was learned: the log-odds are `bias + sum of weight * feature`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fitted<const N: usize> {
    pub bias: f64,
    pub weights: [f64; N],
}

/// Fits a regression to examples and their labels. None where all labels are the same, or no finite
/// coefficients are found.
pub(crate) fn fit<const N: usize>(
    mut examples: Vec<[f64; N]>,
    labels: &[bool],
) -> Option<Fitted<N>> {
    if !labels.contains(&true) || !labels.contains(&false) {
        return None;
    }
    let (means, scales) = centre(&mut examples);
    let classes: Vec<i32> = labels.iter().copied().map(i32::from).collect();
    let matrix = DenseMatrix::new(examples.len(), N, examples.into_flattened(), false).ok()?;
    let parameters = LogisticRegressionParameters::default().with_alpha(PENALTY);
    let model = LogisticRegression::fit(&matrix, &classes, parameters).ok()?;
    let mut bias = *model.intercept().get((0, 0));
    let mut weights = [0.0; N];
    for (at, weight) in weights.iter_mut().enumerate() {
        let learned = *model.coefficients().get((0, at)) / scales[at];
        bias -= learned * means[at];
        *weight = rounded(learned);
    }
    let bias = rounded(bias);
    let is_finite = bias.is_finite() && weights.iter().all(|weight| weight.is_finite());
    is_finite.then_some(Fitted { bias, weights })
}

fn rounded(value: f64) -> f64 {
    (value * DECIMALS).round() / DECIMALS
}

/// Brings every column to a mean of 0 and to a deviation of 1 at most, so that the fit converges. Returns
/// the means and scales. A small deviation stays: of a flag that a few examples have, the penalty would
/// else count for as little.
fn centre<const N: usize>(rows: &mut [[f64; N]]) -> ([f64; N], [f64; N]) {
    let count = rows.len() as f64;
    let (mut means, mut scales) = ([0.0; N], [1.0; N]);
    for column in 0..N {
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / count;
        let squares = rows
            .iter()
            .map(|row| (row[column] - mean) * (row[column] - mean));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        means[column] = mean;
        scales[column] = deviation.max(1.0);
        for row in rows.iter_mut() {
            row[column] = (row[column] - means[column]) / scales[column];
        }
    }
    (means, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance<const N: usize>(fitted: &Fitted<N>, example: [f64; N]) -> f64 {
        let terms = fitted.weights.iter().zip(example);
        let log_odds = fitted.bias + terms.map(|(weight, value)| weight * value).sum::<f64>();
        1.0 / (1.0 + (-log_odds).exp())
    }

    #[test]
    fn chances_are_those_of_the_examples_whatever_their_unit() {
        // So in one of ten where the second is 0, in nine of ten where it is 1000.
        let label = |at: usize| at.is_multiple_of(10) != (at >= 500);
        let example = |at: usize| [3.0, if at < 500 { 0.0 } else { 1000.0 }];
        let examples = (0..1000).map(example).collect();
        let fitted = fit(examples, &(0..1000).map(label).collect::<Vec<_>>()).unwrap();
        assert!(
            (chance(&fitted, [3.0, 0.0]) - 0.1).abs() < 0.01,
            "{fitted:?}"
        );
        assert!(
            (chance(&fitted, [3.0, 1000.0]) - 0.9).abs() < 0.01,
            "{fitted:?}"
        );
    }

    #[test]
    fn what_a_few_examples_have_tells_little() {
        // The second is had by five of a thousand, all of one label.
        let example = |at: usize| {
            [
                f64::from(at as u32 % 7),
                f64::from(u8::from(at.is_multiple_of(200))),
            ]
        };
        let labels: Vec<bool> = (0..1000_usize).map(|at| at.is_multiple_of(2)).collect();
        let fitted = fit((0..1000).map(example).collect(), &labels).unwrap();
        assert!((0.1..1.5).contains(&fitted.weights[1]), "{fitted:?}");
    }

    #[test]
    fn nothing_is_learned_of_what_is_always_so() {
        for label in [true, false] {
            assert_eq!(fit(vec![[1.0], [2.0]], &[label; 2]), None);
        }
        assert_eq!(fit::<2>(Vec::new(), &[]), None);
    }
}
