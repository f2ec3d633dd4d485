//! Histories: what one user did, in time order.

use std::collections::HashMap;

use crate::item::ItemIndex;

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
    /// Sum of the weights of all interactions with the item.
    pub weight: f32,
}

impl History {
    /// The distinct items in the order of their first interaction (ties: item id).
    ///
    /// An item that a user came back to is one member of a journey, not several: otherwise thirty
    /// purchases of one bag would outweigh every other item of its journey.
    pub fn visits(&self) -> Vec<Visit> {
        let mut seen: HashMap<ItemIndex, usize> = HashMap::with_capacity(self.interactions.len());
        let mut visits: Vec<Visit> = Vec::with_capacity(self.interactions.len());
        for interaction in &self.interactions {
            match seen.get(&interaction.item) {
                Some(&position) => {
                    let visit = &mut visits[position];
                    visit.last = visit.last.max(interaction.timestamp);
                    visit.weight += interaction.weight;
                }
                None => {
                    seen.insert(interaction.item, visits.len());
                    visits.push(Visit {
                        item: interaction.item,
                        first: interaction.timestamp,
                        last: interaction.timestamp,
                        weight: interaction.weight,
                    });
                }
            }
        }
        visits
    }
}
