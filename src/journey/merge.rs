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
    /// What comes of it, in memory that is used again.
    claims: Vec<u32>,
    moves: Vec<Option<Move>>,
    path: Vec<usize>,
    joiners: Vec<Joiner>,
    joining: Vec<Option<u32>>,
}

/// A journey that would join a hub.
#[derive(Clone, Copy, Debug)]
struct Joiner {
    hub: u32,
    similarity: f64,
    journey: u32,
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
    /// A journey joins its nearest, a hub, unless that one joins another itself: then its similarity
    /// to what comes of the two is not known, and the next round decides. Of two that are each
    /// other's nearest, the hub is the one that is nearest to more others (ties: the older).
    ///
    /// Of the journeys that would join one hub, the nearer half does; the others are compared with
    /// what the hub has become. So far pairs wait for near ones, and still a hub takes in all its
    /// neighbours in as many rounds as their number can be halved. None of this hangs on the order
    /// of the journeys but for ties.
    pub fn joining(&mut self) -> &[Option<u32>] {
        self.decide();
        let Neighbours {
            nearest,
            moves,
            joiners,
            joining,
            ..
        } = self;
        joiners.clear();
        for (journey, (its_move, nearest)) in (0..).zip(moves.iter().zip(&*nearest)) {
            if let (Some(Move::Joins), Some((hub, similarity))) = (its_move, *nearest) {
                joiners.push(Joiner {
                    hub,
                    similarity,
                    journey,
                });
            }
        }
        // Journeys differ, so the order is one whatever sorts.
        joiners.sort_unstable_by(|a, b| {
            let by_hub = a.hub.cmp(&b.hub);
            by_hub
                .then(b.similarity.total_cmp(&a.similarity))
                .then(a.journey.cmp(&b.journey))
        });
        joining.clear();
        joining.resize(nearest.len(), None);
        for of_hub in joiners.chunk_by(|a, b| a.hub == b.hub) {
            for joiner in &of_hub[..of_hub.len().div_ceil(2)] {
                joining[joiner.journey as usize] = Some(joiner.hub);
            }
        }
        joining
    }

    /// What each journey would do if hubs took in everybody.
    fn decide(&mut self) {
        let Neighbours {
            nearest,
            claims,
            moves,
            path,
            ..
        } = self;
        claims.clear();
        claims.resize(nearest.len(), 0);
        for &(nearest, _) in nearest.iter().flatten() {
            claims[nearest as usize] += 1;
        }
        let next = |journey: usize| Some(nearest[journey]?.0 as usize);
        moves.clear();
        moves.resize(nearest.len(), None);
        for start in 0..nearest.len() {
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
        neighbours.joining().to_vec()
    }

    #[test]
    fn the_nearer_half_of_its_neighbours_joins_a_hub_wherever_it_is() {
        assert_eq!(
            joining(4, &[(0, 1, 0.2), (0, 2, 0.4), (0, 3, 0.3)]),
            [None, None, Some(0), Some(0)]
        );
        assert_eq!(
            joining(4, &[(0, 3, 0.2), (1, 3, 0.4), (2, 3, 0.3)]),
            [None, Some(3), Some(3), None]
        );
    }

    #[test]
    fn of_equally_near_neighbours_of_a_hub_the_older_join_first() {
        assert_eq!(
            joining(5, &[(0, 4, 0.2), (1, 4, 0.2), (2, 4, 0.2), (3, 4, 0.2)]),
            [Some(4), Some(4), None, None, None]
        );
    }

    #[test]
    fn a_journey_waits_whose_nearest_joins_another() {
        // 2 is a hub; 1 is among the nearer half of its neighbours, and the nearest of 0.
        let hub = [(1, 2, 0.38), (2, 3, 0.4), (2, 4, 0.35), (2, 5, 0.34)];
        let similarities = [&[(0, 1, 0.2)][..], &hub].concat();
        assert_eq!(
            joining(6, &similarities),
            [None, Some(2), None, Some(2), None, None]
        );
    }

    #[test]
    fn of_two_journeys_that_are_alone_the_younger_joins_and_of_equals_the_oldest_is_nearest() {
        assert_eq!(joining(2, &[(0, 1, 0.2)]), [None, Some(0)]);
        let equal = [(0, 1, 0.2), (0, 2, 0.2), (1, 2, 0.2)];
        assert_eq!(joining(3, &equal), [None, Some(0), None]);
    }

    #[test]
    fn journeys_that_are_similar_to_none_stay() {
        assert_eq!(joining(3, &[(0, 2, 0.2)]), [None, None, Some(0)]);
    }
}
