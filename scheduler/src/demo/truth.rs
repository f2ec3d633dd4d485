//! How much of the truth about a population was found.

use std::collections::HashMap;

use sojourn::evaluation::adjusted_rand_index;
use sojourn::journey::Journey;

use super::population::{Population, SimulatedUser};

/// Mean over users of the adjusted Rand index between the interests that made a user look at items
/// and the journeys that these items ended up in. Stray clicks are left out; an item that is in no
/// journey counts as a group of its own, so that dropping is no way to a better score.
pub fn recovery<'a>(users: impl Iterator<Item = (&'a SimulatedUser, &'a [Journey])>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (user, journeys) in users {
        let mut found: HashMap<&str, usize> = HashMap::new();
        for (number, journey) in journeys.iter().enumerate() {
            for (item, _) in &journey.items {
                found.entry(item).or_insert(number);
            }
        }
        let labels: Vec<(usize, usize)> = user
            .history
            .iter()
            .enumerate()
            .filter_map(|(at, interaction)| {
                let id = Population::item_id(interaction.item);
                let alone = journeys.len() + at;
                let group = found.get(id.as_str()).copied().unwrap_or(alone);
                Some((interaction.interest?, group))
            })
            .collect();
        sum += adjusted_rand_index(&labels);
        count += 1.0;
    }
    if count == 0.0 { 0.0 } else { sum / count }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use sojourn::journey::{NameSource, Stage, StageActivity, StageDuration};

    use super::*;
    use crate::demo::SimulatedInteraction;

    /// A user whose items 0, 1, 2, ... were looked at for these interests.
    fn user(interests: &[Option<usize>]) -> SimulatedUser {
        let interaction = |(item, &interest)| SimulatedInteraction {
            item,
            timestamp: 0,
            interest,
        };
        SimulatedUser {
            id: "ann".into(),
            history: interests.iter().enumerate().map(interaction).collect(),
        }
    }

    fn journey(items: &[usize]) -> Journey {
        Journey {
            id: String::new(),
            name: String::new(),
            name_source: NameSource::Provisional,
            signature: String::new(),
            terms: Vec::new(),
            titles: Vec::new(),
            items: items
                .iter()
                .map(|&item| (Population::item_id(item).into(), 1.0))
                .collect(),
            size: items.len() as u32,
            strength: 0.0,
            confidence: 1.0,
            rank: 1,
            first: Timestamp::UNIX_EPOCH,
            last: Timestamp::UNIX_EPOCH,
            stage: Stage {
                duration: StageDuration::Situational,
                activity: StageActivity::Ended,
            },
        }
    }

    /// The score of one user with journeys of these items.
    fn score(interests: &[Option<usize>], journeys: &[&[usize]]) -> f64 {
        let journeys: Vec<Journey> = journeys.iter().map(|items| journey(items)).collect();
        recovery([(&user(interests), journeys.as_slice())].into_iter())
    }

    const TWO_INTERESTS: [Option<usize>; 6] =
        [Some(7), Some(7), Some(7), Some(9), Some(9), Some(9)];

    #[test]
    fn journeys_that_are_the_interests_score_one_in_any_order() {
        assert_eq!(score(&TWO_INTERESTS, &[&[0, 1, 2], &[3, 4, 5]]), 1.0);
        assert_eq!(score(&TWO_INTERESTS, &[&[5, 3, 4], &[2, 0, 1]]), 1.0);
    }

    #[test]
    fn two_interests_in_one_journey_score_zero_and_so_do_items_that_were_all_dropped() {
        assert_eq!(score(&TWO_INTERESTS, &[&[0, 1, 2, 3, 4, 5]]), 0.0);
        assert_eq!(score(&TWO_INTERESTS, &[]), 0.0);
    }

    #[test]
    fn every_dropped_item_lowers_the_score() {
        let one = score(&TWO_INTERESTS, &[&[0, 1, 2], &[3, 4]]);
        let two = score(&TWO_INTERESTS, &[&[0, 1], &[3, 4]]);
        assert!(0.0 < two && two < one && one < 1.0, "{two} {one}");
    }

    #[test]
    fn stray_clicks_change_nothing_wherever_they_end_up() {
        let mut interests = TWO_INTERESTS.to_vec();
        interests.extend([None, None]);
        for strays in [&[][..], &[6], &[6, 7]] {
            let second = [&[3, 4, 5], strays].concat();
            assert_eq!(score(&interests, &[&[0, 1, 2], &second]), 1.0);
            assert_eq!(score(&interests, &[&[0, 1, 2], &[3, 4, 5], strays]), 1.0);
        }
    }

    #[test]
    fn the_score_is_the_mean_over_users_and_zero_without_any() {
        let ann = user(&TWO_INTERESTS);
        let found = [journey(&[0, 1, 2]), journey(&[3, 4, 5])];
        let users = [(&ann, &found[..]), (&ann, &[][..])];
        assert_eq!(recovery(users.into_iter()), 0.5);
        assert_eq!(recovery(std::iter::empty()), 0.0);
    }
}
