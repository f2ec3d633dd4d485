//! Histories: what one user did, in time order.

use rustc_hash::FxHashMap;
use std::num::NonZeroUsize;

use crate::item::ItemIndex;

/// How many distinct items of a history are held out to judge by them what was learned from the
/// others: those that were new last.
pub const HELD_OUT: NonZeroUsize = NonZeroUsize::new(5).unwrap();

/// Distinct items that a history has to have, for some to be held out.
pub const LEAST_TO_HOLD_OUT: usize = 20;

/// One interaction of a user with an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interaction {
    /// The item, as numbered by the dataset's catalogue.
    pub item: ItemIndex,
    /// When it happened, in milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp: i64,
    /// How much it counts (watch time, rating, satisfaction), 1 where the input has no such column.
    pub weight: f32,
}

/// All interactions of one user, ordered by (timestamp, item).
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The user id that the outside uses.
    pub user: String,
    /// Ordered by (timestamp, item).
    pub interactions: Vec<Interaction>,
}

/// Everything one user did with one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visit {
    /// The item.
    pub item: ItemIndex,
    /// First interaction, in milliseconds since 1970.
    pub first: i64,
    /// Last interaction, in milliseconds since 1970.
    pub last: i64,
    /// Sum of the weights of all interactions with the item; wider than these, as there may be
    /// millions.
    pub weight: f64,
}

impl History {
    /// The distinct items in the order of their first interaction (ties: item id).
    ///
    /// An item that a user came back to is one member of a journey, not several: otherwise thirty
    /// purchases of one bag would outweigh every other item of its journey.
    ///
    /// Takes memory for the distinct items only, however often a robot came back to them.
    pub fn visits(&self) -> Vec<Visit> {
        let mut seen: FxHashMap<ItemIndex, usize> = FxHashMap::default();
        let mut visits: Vec<Visit> = Vec::new();
        for interaction in &self.interactions {
            match seen.get(&interaction.item) {
                Some(&position) => {
                    let visit = &mut visits[position];
                    visit.last = visit.last.max(interaction.timestamp);
                    visit.weight += f64::from(interaction.weight);
                }
                None => {
                    seen.insert(interaction.item, visits.len());
                    visits.push(Visit {
                        item: interaction.item,
                        first: interaction.timestamp,
                        last: interaction.timestamp,
                        weight: f64::from(interaction.weight),
                    });
                }
            }
        }
        visits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history of (item, timestamp, weight).
    fn history(interactions: impl IntoIterator<Item = (u32, i64, f32)>) -> History {
        let interactions = interactions.into_iter();
        let interaction = |(item, timestamp, weight)| Interaction {
            item: ItemIndex(item),
            timestamp,
            weight,
        };
        History {
            user: "ann".into(),
            interactions: interactions.map(interaction).collect(),
        }
    }

    /// Item, first and last time, and weight of each visit.
    fn visits(interactions: &[(u32, i64, f32)]) -> Vec<(u32, i64, i64, f64)> {
        let visits = history(interactions.iter().copied()).visits().into_iter();
        visits
            .map(|visit| (visit.item.0, visit.first, visit.last, visit.weight))
            .collect()
    }

    #[test]
    fn an_item_that_a_user_came_back_to_is_one_visit_from_the_first_time_to_the_last() {
        assert_eq!(
            visits(&[(5, 10, 1.0), (3, 20, 2.0), (5, 30, 0.5), (5, 40, 0.25)]),
            [(5, 10, 40, 1.75), (3, 20, 20, 2.0)]
        );
    }

    #[test]
    fn items_first_visited_at_the_same_time_are_in_the_order_of_their_ids() {
        assert_eq!(
            visits(&[
                (2, 10, 1.0),
                (7, 10, 1.0),
                (9, 10, 1.0),
                (1, 20, 1.0),
                (7, 20, 1.0)
            ]),
            [
                (2, 10, 10, 1.0),
                (7, 10, 20, 2.0),
                (9, 10, 10, 1.0),
                (1, 20, 20, 1.0)
            ]
        );
    }

    #[test]
    fn the_largest_weights_add_up_to_a_number() {
        let [(.., weight)] = visits(&[(0, 1, f32::MAX), (0, 2, f32::MAX)])[..] else {
            panic!("one item is one visit");
        };
        assert_eq!(weight, 2.0 * f64::from(f32::MAX));
    }

    #[test]
    fn memory_follows_the_distinct_items_not_the_interactions() {
        let often = (0..100_000).map(|time| (time as u32 % 5, time, 1.0));
        let visits = history(often).visits();
        assert_eq!(visits.len(), 5);
        assert!(visits.capacity() < 100, "{}", visits.capacity());
    }
}
