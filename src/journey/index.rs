//! Journeys under construction: their term sums as inverted lists.

use super::vectors::Vector;

/// End of a list.
const NONE: u32 = u32::MAX;

/// The sums `S_J` of the members' vectors of a growing set of journeys, from term to journeys.
///
/// For each term there is a linked list of postings (journey, weight of the term in `S_J`); the
/// postings of all lists lie in one vector. Comparing an item with all journeys costs one step for
/// each posting of its own terms: journeys that it shares no term with cost nothing, a term that
/// all journeys have costs as many steps as there are journeys. So a history takes a number of
/// steps between linear and quadratic in its items. Nothing is allocated per item once the vectors
/// have grown: `clear` keeps them for the next user.
///
/// Weights and norms are kept in f64: `|S_J|^2` is added up over all members, and a member's share
/// is taken out of it again, which in f32 would leave rounding noise of the size of a member.
#[derive(Debug, Default)]
pub struct JourneyIndex {
    /// First posting of each local term.
    heads: Vec<u32>,
    postings: Vec<Posting>,
    /// `|S_J|^2`.
    norms: Vec<f64>,
    /// Dot products of the vector that was looked up last; 0 for journeys it does not touch.
    dots: Vec<f64>,
    /// Journeys whose entry in `dots` is in use.
    touched: Vec<u32>,
    /// Postings that were looked at: what the time goes into.
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<u64>,
}

#[derive(Debug)]
struct Posting {
    journey: u32,
    next: u32,
    weight: f64,
}

impl JourneyIndex {
    /// Forgets all journeys; `vocabulary` is how many local terms there will be.
    pub fn clear(&mut self, vocabulary: usize) {
        self.heads.clear();
        self.heads.resize(vocabulary, NONE);
        self.postings.clear();
        self.norms.clear();
        self.dots.clear();
        self.touched.clear();
    }

    /// Opens a journey with this sum, no term twice. Journeys are numbered from 0 in the order of
    /// opening.
    pub fn open(&mut self, sum: impl Iterator<Item = (u32, f64)>) -> u32 {
        let journey = self.norms.len() as u32;
        let mut square = 0.0;
        for (term, weight) in sum {
            self.push(term, journey, weight);
            square += weight * weight;
        }
        self.norms.push(square);
        self.dots.push(0.0);
        journey
    }

    /// Enters a journey into the list of a term that it is not in yet.
    fn push(&mut self, term: u32, journey: u32, weight: f64) {
        let head = &mut self.heads[term as usize];
        let next = std::mem::replace(head, self.postings.len() as u32);
        self.postings.push(Posting {
            journey,
            next,
            weight,
        });
    }

    /// Adds a member's vector to a journey's sum.
    pub fn add(&mut self, journey: u32, vector: Vector<'_>) {
        let mut dot = 0.0;
        for (term, weight) in vector.iter() {
            match self.find(term, journey) {
                Some(posting) => {
                    let sum = &mut self.postings[posting as usize].weight;
                    dot += *sum * weight;
                    *sum += weight;
                }
                None => self.push(term, journey, weight),
            }
        }
        // |S + x|^2 = |S|^2 + 2 S.x + |x|^2
        self.norms[journey as usize] += 2.0 * dot + vector.square();
    }

    /// The lists are walked through here alone.
    fn posting(&self, at: u32) -> &Posting {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
        &self.postings[at as usize]
    }

    fn find(&self, term: u32, journey: u32) -> Option<u32> {
        let mut posting = self.heads[term as usize];
        while posting != NONE {
            let &Posting {
                journey: of, next, ..
            } = self.posting(posting);
            if of == journey {
                return Some(posting);
            }
            posting = next;
        }
        None
    }

    /// Every journey that shares a term with `vector`, with `vector . S_J` and `|S_J|^2`, in no
    /// particular order.
    pub fn dots(
        &mut self,
        vector: impl Iterator<Item = (u32, f64)>,
    ) -> impl Iterator<Item = (u32, f64, f64)> + '_ {
        for journey in self.touched.drain(..) {
            self.dots[journey as usize] = 0.0;
        }
        for (term, weight) in vector {
            let mut posting = self.heads[term as usize];
            while posting != NONE {
                let &Posting {
                    journey,
                    next,
                    weight: sum,
                } = self.posting(posting);
                let dot = &mut self.dots[journey as usize];
                // Weights are positive, so 0 means that this journey was not met yet.
                if *dot == 0.0 {
                    self.touched.push(journey);
                }
                *dot += weight * sum;
                posting = next;
            }
        }
        self.touched.iter().map(|&journey| {
            (
                journey,
                self.dots[journey as usize],
                self.norms[journey as usize],
            )
        })
    }
}

/// The most similar of some journeys at or above `least`; the oldest of equally similar ones.
pub fn nearest(similarities: impl Iterator<Item = (u32, f64)>, least: f64) -> Option<(u32, f64)> {
    similarities
        .filter(|&(_, similarity)| similarity >= least)
        .reduce(|best, candidate| {
            let closer = candidate.1 > best.1 || (candidate.1 == best.1 && candidate.0 < best.0);
            if closer { candidate } else { best }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_equally_similar_journeys_is_nearest_whatever_their_order() {
        let journeys = [(3, 0.5), (1, 0.5), (2, 0.4), (0, 0.1)];
        let mut reversed = journeys;
        reversed.reverse();
        for journeys in [journeys, reversed] {
            assert_eq!(nearest(journeys.into_iter(), 0.2), Some((1, 0.5)));
        }
    }

    #[test]
    fn a_journey_at_the_threshold_is_near_and_one_below_is_not() {
        assert_eq!(nearest([(0, 0.5)].into_iter(), 0.5), Some((0, 0.5)));
        assert_eq!(nearest([(0, 0.5)].into_iter(), 0.51), None);
    }
}
