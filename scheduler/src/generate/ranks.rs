//! Ranks by Zipf's law.

use rand::Rng;
use rand_distr::{Distribution, Zipf};

/// Draws the ranks 0, 1, 2, ... below a bound, the k-th (from 1) in proportion to `k^-exponent`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranks(Zipf<f64>);

impl Ranks {
    /// `count` ranks; one if it is 0.
    pub fn new(count: u32, exponent: f64) -> Ranks {
        let zipf = Zipf::new(f64::from(count.max(1)), exponent);
        Ranks(zipf.expect("there is a rank, and the exponent is not negative"))
    }
}

impl Distribution<u32> for Ranks {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u32 {
        self.0.sample(rng) as u32 - 1
    }
}
