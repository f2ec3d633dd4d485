//! Which journeys become one: decided for all journeys at once, round after round.

/// The nearest other journey of each journey, at or above a threshold; collected pair by pair.
///
/// A similarity is entered for both of its journeys at once, so that a journey's nearest one has a
/// nearest one itself, at least as similar; and as the oldest of equals counts, following nearest
/// ones from any journey ends at two that are each other's. [`Neighbours::joining`] rests on that.
#[derive(Debug, Default)]
pub struct Neighbours {
    /// A journey and how similar it is.
    nearest: Vec<Option<(u32, f64)>>,
}

/// What a journey does in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Joins,
    Stays,
}

impl Neighbours {
    /// Forgets all journeys.
    pub fn clear(&mut self) {
        self.nearest.clear();
    }

    /// Adds the next younger journey with its nearest among the older ones.
    pub fn push(&mut self, nearest: Option<(u32, f64)>) {
        self.nearest.push(nearest);
    }

    /// Says how similar `older` is to `younger`, which is younger than all that it was told of.
    pub fn tell(&mut self, older: u32, younger: u32, similarity: f64) {
        let nearest = &mut self.nearest[older as usize];
        if nearest.is_none_or(|(_, most)| similarity > most) {
            *nearest = Some((younger, similarity));
        }
    }

    /// For each journey the one that it joins, if any; that one joins none.
    ///
    /// A journey joins its nearest, unless that one joins another itself: then its similarity to
    /// what comes of the two is not known, and the next round decides. Of two that are each other's
    /// nearest, the one that is nearest to fewer others joins (ties: the younger), so that all of
    /// its neighbours can join a hub in one round. None of this hangs on the order of the journeys
    /// but for ties.
    pub fn joining(&self) -> Vec<Option<u32>> {
        let mut claims = vec![0_u32; self.nearest.len()];
        for &(nearest, _) in self.nearest.iter().flatten() {
            claims[nearest as usize] += 1;
        }
        let next = |journey: usize| Some(self.nearest[journey]?.0 as usize);
        let mut moves: Vec<Option<Move>> = vec![None; self.nearest.len()];
        let mut path = Vec::new();
        for start in 0..self.nearest.len() {
            // Follows nearest ones to a journey whose move is known; then back, as each decides
            // the one before it.
            let mut at = start;
            while moves[at].is_none() {
                let Some(to) = next(at) else {
                    moves[at] = Some(Move::Stays);
                    break;
                };
                if next(to) == Some(at) {
                    let (older, younger) = (at.min(to), at.max(to));
                    let younger_stays = claims[younger] > claims[older];
                    let (stays, joins) = if younger_stays {
                        (younger, older)
                    } else {
                        (older, younger)
                    };
                    moves[stays] = Some(Move::Stays);
                    moves[joins] = Some(Move::Joins);
                    break;
                }
                path.push(at);
                at = to;
            }
            while let Some(before) = path.pop() {
                let is_free = moves[at] == Some(Move::Stays);
                moves[before] = Some(if is_free { Move::Joins } else { Move::Stays });
                at = before;
            }
        }
        let joins = moves.iter().map(|its_move| *its_move == Some(Move::Joins));
        joins
            .zip(&self.nearest)
            .map(|(joins, nearest)| nearest.filter(|_| joins).map(|(journey, _)| journey))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who joins whom, of journeys with these similarities between two (older, younger).
    fn joining(journeys: usize, similarities: &[(u32, u32, f64)]) -> Vec<Option<u32>> {
        let mut neighbours = Neighbours::default();
        for this in 0..journeys as u32 {
            let older = similarities
                .iter()
                .filter(|&&(_, younger, _)| younger == this);
            let mut nearest: Option<(u32, f64)> = None;
            for &(journey, _, similarity) in older {
                if nearest.is_none_or(|(_, most)| similarity > most) {
                    nearest = Some((journey, similarity));
                }
                neighbours.tell(journey, this, similarity);
            }
            neighbours.push(nearest);
        }
        neighbours.joining()
    }

    #[test]
    fn all_journeys_whose_nearest_is_a_hub_join_it_in_one_round_wherever_it_is() {
        assert_eq!(
            joining(4, &[(0, 1, 0.2), (0, 2, 0.4), (0, 3, 0.3)]),
            [None, Some(0), Some(0), Some(0)]
        );
        assert_eq!(
            joining(4, &[(0, 3, 0.2), (1, 3, 0.4), (2, 3, 0.3)]),
            [Some(3), Some(3), Some(3), None]
        );
    }

    #[test]
    fn a_journey_waits_whose_nearest_joins_another() {
        // 2 - 3 is the most similar pair; 1 is nearest to 2, and 0 to 1.
        let chain = [(0, 1, 0.2), (1, 2, 0.3), (2, 3, 0.4)];
        assert_eq!(joining(4, &chain), [None, Some(2), None, Some(2)]);
    }

    #[test]
    fn of_two_journeys_that_are_alone_the_younger_joins_and_of_equals_the_oldest_is_nearest() {
        assert_eq!(joining(2, &[(0, 1, 0.2)]), [None, Some(0)]);
        let equal = [(0, 1, 0.2), (0, 2, 0.2), (1, 2, 0.2)];
        assert_eq!(joining(3, &equal), [None, Some(0), Some(0)]);
    }

    #[test]
    fn journeys_that_are_similar_to_none_stay() {
        assert_eq!(joining(3, &[(0, 2, 0.2)]), [None, None, Some(0)]);
    }
}
