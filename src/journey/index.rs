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
    norms: Vec<Norm>,
    /// Dot products of the vector that was looked up last; 0 for journeys it does not touch.
    dots: Vec<f64>,
    /// Begins with the `met` journeys whose entry in `dots` is in use; as long as if all were, and one
    /// more, since the place after the last is written, too.
    touched: Vec<u32>,
    met: usize,
    /// Postings that were looked at: what the time goes into.
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<u64>,
}

/// How long a journey's sum is.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// `|S_J|^2`.
    pub square: f64,
    /// `1 / |S_J|`: an item is compared with many journeys and joins one, so the root is drawn when a
    /// journey changes, and not for each comparison.
    pub inverse: f64,
}

impl From<f64> for Norm {
    fn from(square: f64) -> Norm {
        let inverse = square.sqrt().recip();
        Norm { square, inverse }
    }
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
        self.touched.push(0);
        self.met = 0;
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
        self.norms.push(square.into());
        self.dots.push(0.0);
        self.touched.push(0);
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
        let norm = &mut self.norms[journey as usize];
        *norm = (norm.square + 2.0 * dot + vector.square()).into();
    }

    fn find(&self, term: u32, journey: u32) -> Option<u32> {
        let mut at = self.heads[term as usize];
        while at != NONE {
            #[cfg(test)]
            self.steps.set(self.steps.get() + 1);
            let posting = &self.postings[at as usize];
            if posting.journey == journey {
                return Some(at);
            }
            at = posting.next;
        }
        None
    }

    /// Every journey that shares a term with `vector`, with `vector . S_J` and `|S_J|`, in no
    /// particular order.
    pub fn dots(
        &mut self,
        vector: impl Iterator<Item = (u32, f64)>,
    ) -> impl Iterator<Item = (u32, f64, Norm)> + '_ {
        let JourneyIndex {
            heads,
            postings,
            norms,
            dots,
            touched,
            met,
            #[cfg(test)]
            steps,
        } = self;
        for &journey in &touched[..*met] {
            dots[journey as usize] = 0.0;
        }
        *met = 0;
        for (term, weight) in vector {
            let mut at = heads[term as usize];
            while at != NONE {
                #[cfg(test)]
                steps.set(steps.get() + 1);
                let Posting {
                    journey,
                    next,
                    weight: sum,
                } = postings[at as usize];
                let dot = &mut dots[journey as usize];
                // Weights are positive, so 0 means that this journey was not met yet. Written in any
                // case, and counted if it is new: a processor cannot foresee which are.
                touched[*met] = journey;
                *met += usize::from(*dot == 0.0);
                *dot += weight * sum;
                at = next;
            }
        }
        let (dots, norms) = (&dots[..], &norms[..]);
        touched[..*met].iter().map(move |&journey| {
            let at = journey as usize;
            (journey, dots[at], norms[at])
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
