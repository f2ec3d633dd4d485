//! What the clustering takes from the allocator: nothing, once it has grown to the histories that there are.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sojourn::journey::{Assign, Icpc, ItemVectors, JourneyParams};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts how often a thread asks it.
struct Counting;

// SAFETY: every call is handed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps to what this one asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: likewise.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: likewise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Terms of an item, of interests with words of their own and some that all have.
fn item(rng: &mut StdRng) -> Vec<(u32, f32)> {
    let interest = rng.random_range(0..8);
    let own = (0..9).map(|slot| 100 * interest + 10 * slot + rng.random_range(0..4));
    let mut terms: Vec<(u32, f32)> = own.map(|term| (term, 0.3)).collect();
    terms.push((900 + rng.random_range(0..5), 0.5));
    terms
}

#[test]
fn a_history_is_clustered_without_an_allocation() {
    let mut rng = StdRng::seed_from_u64(1);
    let items: Vec<Vec<(u32, f32)>> = (0..2_000).map(|_| item(&mut rng)).collect();
    let (mut icpc, mut vectors) = (Icpc::default(), ItemVectors::default());
    for assign in [Assign::Nearest, Assign::Every] {
        let params = JourneyParams {
            assign,
            ..JourneyParams::default()
        };
        let mut cluster = |items: &[Vec<(u32, f32)>]| {
            let before = ALLOCATIONS.get();
            vectors.clear();
            for item in items {
                vectors.push(item.iter().copied());
            }
            let found = icpc.cluster(&vectors, &params);
            let journeys = found.journeys.len() + found.unsure.len();
            (ALLOCATIONS.get() - before, journeys)
        };
        // A shorter history may have more of something, such as small journeys.
        let lengths = [items.len(), items.len() / 2];
        let first = lengths.map(|length| cluster(&items[..length]));
        assert!(first[0].0 > 0, "nobody counts");
        for (length, (_, journeys)) in lengths.into_iter().zip(first) {
            assert!(journeys > 0);
            assert_eq!(cluster(&items[..length]), (0, journeys), "{assign:?}");
        }
    }
}
