//! Journeys under construction: their term sums as inverted lists.

use super::vectors::Vector;

/// End of a list.
const NONE: u32 = u32::MAX;

/// The sums `S_J` of the members' vectors of a growing set of journeys, from term to journeys.
///
/// For each term there is a linked list of postings (journey, weight of the term in `S_J`); the
/// postings of all lists lie in one vector. A similarity costs one step per posting of the item's
/// own terms, whatever the number of journeys, and nothing is allocated per item once the vectors
/// have grown: `clear` keeps them for the next user.
///
/// Weights are kept in f64, so that the result does not hang on the order in which a list happens
/// to be walked.
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

    /// Opens a journey without members. Journeys are numbered from 0 in the order of opening.
    pub fn open(&mut self) -> u32 {
        self.norms.push(0.0);
        self.dots.push(0.0);
        self.norms.len() as u32 - 1
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
                None => {
                    let next = self.heads[term as usize];
                    self.heads[term as usize] = self.postings.len() as u32;
                    self.postings.push(Posting {
                        journey,
                        next,
                        weight,
                    });
                }
            }
        }
        // |S + x|^2 = |S|^2 + 2 S.x + |x|^2
        self.norms[journey as usize] += 2.0 * dot + vector.square();
    }

    fn find(&self, term: u32, journey: u32) -> Option<u32> {
        let mut posting = self.heads[term as usize];
        while posting != NONE {
            let Posting {
                journey: of, next, ..
            } = self.postings[posting as usize];
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
                let Posting {
                    journey,
                    next,
                    weight: sum,
                } = self.postings[posting as usize];
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
