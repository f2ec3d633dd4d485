//! How much of an input is out of order.

use super::rejects::Position;

/// Counts interactions that came earlier in the input than an older one of the same user. It sees
/// them by user and time, and remembers two numbers.
#[derive(Debug, Default)]
pub(super) struct OrderCheck {
    /// Time of the last interaction that was seen.
    time: i64,
    /// Of the user's interactions that are older than that, the number of the row that came last.
    older: Option<u64>,
    /// The same of those of that time.
    equal: Option<u64>,
    count: u64,
    first: Option<(u64, Position)>,
}

impl OrderCheck {
    /// Sees the next interaction: of the same user as the last one, or of a new one. `row` is its
    /// number in the input.
    pub fn see(&mut self, new_user: bool, time: i64, row: u64, position: Position) {
        if new_user {
            (self.older, self.equal) = (None, None);
        } else if time != self.time {
            self.older = self.older.max(self.equal.take());
        }
        self.time = time;
        self.equal = self.equal.max(Some(row));
        if self.older > Some(row) {
            self.count += 1;
            if self.first.is_none_or(|(first, _)| row < first) {
                self.first = Some((row, position));
            }
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Where the first of them stands in the input.
    pub fn first(&self) -> Option<Position> {
        self.first.map(|(_, position)| position)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(row: usize) -> Position {
        Position {
            file: 0,
            line: row as u64 + 1,
        }
    }

    proptest! {
        #[test]
        fn the_count_is_that_of_comparing_all_pairs(
            log in proptest::collection::vec((0..4_u8, 0..6_i64), 0..40),
        ) {
            let is_early = |(row, (user, time)): &(usize, &(u8, i64))| {
                log[row + 1..].iter().any(|(other, older)| other == user && older < time)
            };
            let early: Vec<usize> =
                log.iter().enumerate().filter(is_early).map(|(row, _)| row).collect();

            let mut sorted: Vec<(u8, i64, usize)> = log
                .iter()
                .enumerate()
                .map(|(row, &(user, time))| (user, time, row))
                .collect();
            sorted.sort_unstable();
            let mut check = OrderCheck::default();
            let mut last = None;
            for (user, time, row) in sorted {
                check.see(last != Some(user), time, row as u64, position(row));
                last = Some(user);
            }
            prop_assert_eq!(check.count(), early.len() as u64);
            prop_assert_eq!(check.first(), early.first().map(|&row| position(row)));
        }
    }
}
