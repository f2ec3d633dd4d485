//! Which items are in which journeys.

/// Groups of items of a history, one after the other in one vector; no group is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    items: Vec<u32>,
    /// `ends[g]` is where group `g` ends in `items`.
    ends: Vec<u32>,
}

impl Groups {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The items of a group, in ascending order.
    pub fn get(&self, group: usize) -> &[u32] {
        let start = match group {
            0 => 0,
            group => self.ends[group - 1],
        };
        &self.items[start as usize..self.ends[group] as usize]
    }

    /// All groups.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> + Clone {
        (0..self.len()).map(|group| self.get(group))
    }

    /// Each group as a vector of its own.
    pub fn to_vecs(&self) -> Vec<Vec<u32>> {
        self.iter().map(<[u32]>::to_vec).collect()
    }

    /// Adds a group.
    pub fn push(&mut self, items: &[u32]) {
        self.items.extend_from_slice(items);
        self.ends.push(self.items.len() as u32);
    }

    /// Forgets all groups, keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.ends.clear();
    }
}

impl<G: AsRef<[u32]>> FromIterator<G> for Groups {
    fn from_iter<I: IntoIterator<Item = G>>(groups: I) -> Groups {
        let mut all = Groups::default();
        for group in groups {
            all.push(group.as_ref());
        }
        all
    }
}

/// An item and a journey that it is in.
#[derive(Clone, Copy, Debug)]
struct Join {
    item: u32,
    journey: u32,
}

/// Items and journeys as they are assigned to each other, to be seen from both sides.
///
/// The truth is the list of joins in the order of the items; [`Assignment::group`] derives from it
/// what is in each journey. All memory is used again for the next history.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    joins: Vec<Join>,
    journeys: Groups,
    /// Scratch: for each journey something about it.
    of_journey: Vec<u32>,
}

/// What a journey that was not met has in [`Assignment::of_journey`].
const NONE: u32 = u32::MAX;

impl Assignment {
    /// Forgets all joins.
    pub fn clear(&mut self) {
        self.joins.clear();
    }

    /// Puts an item into a journey. Items come in ascending order, each with all of its journeys.
    pub fn join(&mut self, item: u32, journey: u32) {
        self.joins.push(Join { item, journey });
    }

    /// What is in each journey, as of the last call of [`Assignment::group`].
    pub fn journeys(&self) -> &Groups {
        &self.journeys
    }

    /// The items that are in a journey, in ascending order, with all of their journeys.
    pub fn items(&self) -> impl Iterator<Item = (u32, impl Iterator<Item = u32> + Clone)> {
        let of_item = self.joins.chunk_by(|a, b| a.item == b.item);
        of_item.map(|joins| (joins[0].item, joins.iter().map(|join| join.journey)))
    }

    /// Gives every journey the number that `label` has for it, numbers them anew in the order of
    /// their first items, and groups. An item that is in two journeys of one label is in one.
    pub fn relabel(&mut self, label: impl Fn(u32) -> u32) {
        for join in &mut self.joins {
            join.journey = label(join.journey);
        }
        self.group();
    }

    /// Numbers the journeys anew in the order of their first items, and derives what is in each.
    pub fn group(&mut self) {
        let most = self.joins.iter().map(|join| join.journey + 1).max();
        // A new number for each old one, in the order in which they are met.
        let number = &mut self.of_journey;
        number.clear();
        number.resize(most.unwrap_or(0) as usize, NONE);
        let mut journeys = 0;
        for join in &mut self.joins {
            let number = &mut number[join.journey as usize];
            if *number == NONE {
                *number = journeys;
                journeys += 1;
            }
            join.journey = *number;
        }
        // One that was in several journeys that have become one.
        let last = &mut self.of_journey;
        last.clear();
        last.resize(journeys as usize, NONE);
        self.joins.retain(|join| {
            std::mem::replace(&mut last[join.journey as usize], join.item) != join.item
        });
        // A counting sort by journey, which keeps the items in their order.
        let Groups { items, ends } = &mut self.journeys;
        ends.clear();
        ends.resize(journeys as usize, 0);
        for join in &self.joins {
            ends[join.journey as usize] += 1;
        }
        let mut start = 0;
        for end in ends.iter_mut() {
            start += std::mem::replace(end, start);
        }
        items.clear();
        items.resize(self.joins.len(), 0);
        for join in &self.joins {
            let end = &mut ends[join.journey as usize];
            items[*end as usize] = join.item;
            *end += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(joins: &[(u32, u32)]) -> Assignment {
        let mut assignment = Assignment::default();
        for &(item, journey) in joins {
            assignment.join(item, journey);
        }
        assignment.group();
        assignment
    }

    #[test]
    fn journeys_are_in_the_order_of_their_first_items_whatever_their_numbers() {
        let found = assignment(&[(0, 7), (1, 2), (3, 7), (5, 0), (6, 2)]);
        assert_eq!(
            *found.journeys(),
            Groups::from_iter([vec![0, 3], vec![1, 6], vec![5]])
        );
        let items: Vec<(u32, Vec<u32>)> = found.items().map(|(i, of)| (i, of.collect())).collect();
        assert_eq!(items[2], (3, vec![0]));
    }

    #[test]
    fn an_item_of_two_journeys_that_become_one_is_in_it_once() {
        let mut found = assignment(&[(0, 0), (0, 1), (1, 1), (2, 2)]);
        assert_eq!(found.journeys().len(), 3);
        found.relabel(|journey| if journey == 1 { 0 } else { journey });
        assert_eq!(*found.journeys(), Groups::from_iter([vec![0, 1], vec![2]]));
    }

    #[test]
    fn nothing_of_one_history_is_left_in_the_next() {
        let mut found = assignment(&[(0, 0), (4, 1)]);
        found.clear();
        found.join(2, 0);
        found.group();
        assert_eq!(*found.journeys(), Groups::from_iter([[2]]));
        found.clear();
        found.group();
        assert!(found.journeys().is_empty());
    }
}
