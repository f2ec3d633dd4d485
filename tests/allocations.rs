//! What finding journeys takes from the allocator: the clustering nothing, once it has grown to the histories that
//! there are, and a history of a million items no more than a long one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sojourn::catalogue::Catalogue;
use sojourn::history::{History, Interaction};
use sojourn::item::{Item, ItemIndex};
use sojourn::journey::{Assign, Extraction, Extractor, Icpc, ItemVectors, JourneyParams};
use sojourn::terms::{SalienceMethod, SalienceParams};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes, less those that the thread freed for others.
    static IN_USE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, which counts how often a thread asks it, and for how much.
struct Counting;

fn take(bytes: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    IN_USE.set(IN_USE.get() + bytes as i64);
    PEAK.set(PEAK.get().max(IN_USE.get()));
}

fn give_back(bytes: usize) {
    IN_USE.set(IN_USE.get() - bytes as i64);
}

// SAFETY: every call is handed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller keeps to what this one asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // For a moment there may be both.
        take(size);
        give_back(layout.size());
        // SAFETY: likewise.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        give_back(layout.size());
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

/// Items that a robot has come to.
const ITEMS: usize = 1_000_000;

/// What the visits of a history take for each item until the latest are chosen: a list, and a table of where in it
/// each item is, both with the room that they grow into.
const BYTES_PER_VISIT: i64 = 100;

/// What an extractor and its result have in the end: tables for the items that were looked at.
const BYTES_OF_TABLES: i64 = 16 << 20;

#[test]
fn a_million_items_of_one_term_take_the_memory_of_those_that_are_looked_at() {
    let found = journeys_of_a_robot(|_| vec!["bread".into()]);
    let [journey] = &found.journeys[..] else {
        panic!(
            "all items are about one thing: {} journeys",
            found.journeys.len()
        );
    };
    assert_eq!(u64::from(journey.size), looked_at());
}

#[test]
fn a_million_items_without_a_term_in_common_take_the_memory_of_those_that_are_looked_at() {
    let found = journeys_of_a_robot(|number| vec![format!("word{number}")]);
    assert_eq!(found.items_in_small_journeys, looked_at());
}

/// Each item has two of three terms and one of its own, which is so rare that no two items are alike: every item meets
/// every journey, and joins none.
#[test]
fn a_million_items_that_all_meet_and_never_join_take_the_memory_of_those_that_are_looked_at() {
    let found = journeys_of_a_robot(|number| {
        let shared = (0..3).filter(|kind| number % 3 != *kind);
        let shared = shared.map(|kind| format!("kind{kind}"));
        shared.chain([format!("word{number}")]).collect()
    });
    assert_eq!(found.items_in_small_journeys, looked_at());
}

fn looked_at() -> u64 {
    u64::from(JourneyParams::default().max_history)
}

/// What is found in a history of [`ITEMS`] items with these tags. Those that are not looked at are counted, and memory
/// is bounded.
fn journeys_of_a_robot(tags: impl Fn(usize) -> Vec<String>) -> Extraction {
    let item = |number| Item {
        id: format!("{number:07}"),
        tags: tags(number),
        ..Item::default()
    };
    let items: Vec<Item> = (0..ITEMS).map(item).collect();
    let salience = SalienceParams {
        method: SalienceMethod::Formula,
        // So that items may have no term in common and still have terms.
        min_df: 1,
        related_share: 0.0,
        ..SalienceParams::default()
    };
    let catalogue = Catalogue::of_items(&items, &salience).expect("room for a catalogue");
    drop(items);
    let catalogue = Arc::new(catalogue);
    let interaction = |number| Interaction {
        item: ItemIndex(number as u32),
        timestamp: number as i64,
        weight: 1.0,
    };
    let history = History {
        user: "robot".into(),
        interactions: (0..ITEMS).map(interaction).collect(),
    };

    let before = IN_USE.get();
    PEAK.set(before);
    let mut extractor = Extractor::new(catalogue, JourneyParams::default(), 0);
    let found = extractor.extract(&history);
    let (most, kept) = (PEAK.get() - before, IN_USE.get() - before);
    eprintln!("{most} bytes at most, {kept} in the end");
    assert!(most < ITEMS as i64 * BYTES_PER_VISIT, "{most}");
    assert!(kept < BYTES_OF_TABLES, "{kept}");
    assert_eq!(found.items, ITEMS as u64);
    assert_eq!(found.items_beyond_history, ITEMS as u64 - looked_at());
    found
}
