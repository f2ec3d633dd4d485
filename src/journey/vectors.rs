//! The term vectors of one user's items, laid out for the clustering.

use std::collections::HashMap;

use crate::catalogue::Catalogue;
use crate::item::ItemIndex;

/// Terms of a history that is not worth a second thought.
const FEW_TERMS: usize = 4096;

/// How many times as many terms as the last history had there is room for in the next.
const MOST_ROOM: usize = 8;

/// Sparse vectors, one after the other.
///
/// Terms are renumbered 0, 1, 2, ... in the order in which they are first met, so that whatever is
/// kept per term is a plain array as long as this user's own vocabulary. All memory is kept when
/// the next user comes.
#[derive(Debug, Default)]
pub struct ItemVectors {
    local: HashMap<u32, u32, rustc_hash::FxBuildHasher>,
    catalogue_terms: Vec<u32>,
    /// `ends[i]` is where the vector of item `i` ends in `entries`.
    ends: Vec<u32>,
    /// Local term and weight: side by side, as they are always read together.
    entries: Vec<(u32, f32)>,
    /// `|x|^2` of each vector, which is asked for time and again.
    squares: Vec<f64>,
}

/// One sparse vector: local numbers of terms, each at most once, and their weights.
#[derive(Clone, Copy, Debug)]
pub struct Vector<'a> {
    entries: &'a [(u32, f32)],
    square: f64,
}

impl<'a> Vector<'a> {
    /// Pairs of local term and weight. The weights are f32 widened, so that sums of their products
    /// are exact to well below any threshold.
    pub fn iter(self) -> impl Iterator<Item = (u32, f64)> + 'a {
        self.entries
            .iter()
            .map(|&(term, weight)| (term, f64::from(weight)))
    }

    /// `|x|^2`
    pub fn square(self) -> f64 {
        self.square
    }

    /// Whether the vector has no term.
    pub fn is_empty(self) -> bool {
        self.entries.is_empty()
    }
}

impl ItemVectors {
    /// Holds the vectors of these items of a catalogue, in this order, and nothing else.
    pub fn fill(
        &mut self,
        catalogue: &Catalogue,
        items: impl IntoIterator<Item = ItemIndex, IntoIter: Clone>,
    ) {
        self.clear();
        for terms in catalogue.gather(items.into_iter()) {
            self.push(terms.map(|(term, weight)| (term.0, weight)));
        }
    }

    /// Forgets the vectors, keeps the memory.
    pub fn clear(&mut self) {
        // To clear a table takes as long as it is large. What a history of an unusual length has left
        // must not be paid for by all that come after it.
        self.local
            .shrink_to(MOST_ROOM * self.local.len().max(FEW_TERMS));
        self.local.clear();
        self.catalogue_terms.clear();
        self.ends.clear();
        self.entries.clear();
        self.squares.clear();
    }

    /// Adds the vector of the next item: pairs of catalogue term and weight, each term once and each
    /// weight above 0. Sums and indices of vectors take a term without weight for a new one, and so
    /// would have one twice; an opened catalogue has only vectors that keep to this.
    pub fn push(&mut self, vector: impl IntoIterator<Item = (u32, f32)>) {
        let start = self.entries.len();
        let mut square = 0.0;
        for (term, weight) in vector {
            debug_assert!(weight > 0.0, "term {term} has weight {weight}");
            let local = *self.local.entry(term).or_insert_with(|| {
                self.catalogue_terms.push(term);
                self.catalogue_terms.len() as u32 - 1
            });
            debug_assert!(
                self.entries[start..]
                    .iter()
                    .all(|&(there, _)| there != local),
                "term {term} occurs twice"
            );
            self.entries.push((local, weight));
            square += f64::from(weight) * f64::from(weight);
        }
        self.squares.push(square);
        self.ends.push(self.entries.len() as u32);
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many different terms there are.
    pub fn vocabulary(&self) -> usize {
        self.catalogue_terms.len()
    }

    /// The catalogue's number of a local term.
    pub fn catalogue_term(&self, local: u32) -> u32 {
        self.catalogue_terms[local as usize]
    }

    /// The vector of an item.
    pub fn get(&self, item: u32) -> Vector<'_> {
        let item = item as usize;
        let start = if item == 0 {
            0
        } else {
            self.ends[item - 1] as usize
        };
        Vector {
            entries: &self.entries[start..self.ends[item] as usize],
            square: self.squares[item],
        }
    }
}
