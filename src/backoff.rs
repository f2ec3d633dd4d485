//! Pauses while Redis is in trouble: longer and longer, and never in step with others.

use std::time::Duration;

use rand::RngExt;

/// First pause; doubled while the trouble goes on.
const FIRST: Duration = Duration::from_millis(100);

/// Longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// The pauses of one trouble.
#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Backoff(FIRST)
    }
}

impl Backoff {
    /// How long to wait before the next attempt.
    pub fn pause(&mut self) -> Duration {
        let pause = jittered(self.0);
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}

/// Half to all of `pause`, so that those who were stopped together do not come back together.
pub fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let longest = [100, 200, 400, 800, 1600, 3200, 5000, 5000];
        for longest in longest.map(Duration::from_millis) {
            let pause = backoff.pause();
            assert!(pause >= longest / 2 && pause < longest, "{pause:?}");
        }
    }
}
