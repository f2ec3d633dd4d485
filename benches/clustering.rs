//! The clustering kernel against the obvious way: one hash map of term weights for each journey,
//! every journey compared with every item. Both find the same journeys; the ratio of their times
//! is what the inverted lists are worth.
//!
//! Then what a user costs with the default parameters, which merge and reassign as well: an
//! everyday history, and a star, where all items share one term and little else, so that every
//! journey has to be compared with every other.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sojourn::journey::{Assign, Clusters, Icpc, ItemVectors, JourneyParams};

/// As many terms as an item has in a catalogue with the default parameters.
const TERMS_PER_ITEM: usize = 16;

/// Interests of a user, each with a vocabulary of its own, and words that all of them use.
const INTERESTS: u32 = 12;
const TERMS_PER_INTEREST: u32 = 60;
const SHARED_TERMS: u32 = 200;

/// Share of an item's terms that are of its interest.
const OWN_TERMS: f64 = 0.6;

const SEED: u64 = 1;

type Item = Vec<(u32, f32)>;

fn history(length: usize) -> Vec<Item> {
    let mut rng = StdRng::seed_from_u64(SEED);
    (0..length)
        .map(|_| {
            let interest = rng.random_range(0..INTERESTS);
            let mut weights: HashMap<u32, f32> = HashMap::new();
            while weights.len() < TERMS_PER_ITEM {
                let term = if rng.random_bool(OWN_TERMS) {
                    interest * TERMS_PER_INTEREST + rng.random_range(0..TERMS_PER_INTEREST)
                } else {
                    INTERESTS * TERMS_PER_INTEREST + rng.random_range(0..SHARED_TERMS)
                };
                weights.insert(term, rng.random_range(0.2..1.0));
            }
            let mut item: Item = weights.into_iter().collect();
            // Before the weights are summed up: a map has another order in every process.
            item.sort_unstable_by_key(|&(term, _)| term);
            let norm = item.iter().map(|(_, w)| w * w).sum::<f32>().sqrt();
            for (_, weight) in &mut item {
                *weight /= norm;
            }
            item
        })
        .collect()
}

/// Items that share one term, each too little for two of them to be similar; then one item that is
/// of this term alone, which all of them are similar to.
fn star(length: usize) -> Vec<Item> {
    const COMMON: f32 = 0.24;
    let own = ((1.0 - COMMON * COMMON) / 3.0).sqrt();
    let ray = |number: u32| {
        let terms = (1..=3).map(|term| (3 * number + term, own));
        [(0, COMMON)].into_iter().chain(terms).collect()
    };
    let rays = (1..length as u32).map(ray);
    rays.chain([vec![(0, 1.0)]]).collect()
}

/// The walk only: what both sides do.
fn walk() -> JourneyParams {
    JourneyParams {
        epsilon: 0.3,
        assign: Assign::Nearest,
        merge: None,
        reassign: false,
        drop_at_most: 0,
        ..JourneyParams::default()
    }
}

fn inverted_lists<'a>(
    icpc: &'a mut Icpc,
    vectors: &mut ItemVectors,
    items: &[Item],
    params: &JourneyParams,
) -> &'a Clusters {
    vectors.clear();
    for item in items {
        vectors.push(item.iter().copied());
    }
    icpc.cluster(vectors, params)
}

fn map_per_journey(items: &[Item]) -> Vec<Vec<u32>> {
    let epsilon = f64::from(walk().epsilon);
    let mut journeys: Vec<(HashMap<u32, f64>, f64, Vec<u32>)> = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let mut best: Option<(usize, f64)> = None;
        for (at, (sum, square, _)) in journeys.iter().enumerate() {
            let dot: f64 = item
                .iter()
                .map(|(term, w)| f64::from(*w) * sum.get(term).copied().unwrap_or(0.0))
                .sum();
            let similarity = dot / square.sqrt();
            if similarity >= epsilon && best.is_none_or(|(_, most)| similarity > most) {
                best = Some((at, similarity));
            }
        }
        let at = best.map_or(journeys.len(), |(at, _)| at);
        if at == journeys.len() {
            journeys.push((HashMap::new(), 0.0, Vec::new()));
        }
        let (sum, square, members) = &mut journeys[at];
        for &(term, weight) in item {
            let weight = f64::from(weight);
            let entry = sum.entry(term).or_default();
            *square += 2.0 * *entry * weight + weight * weight;
            *entry += weight;
        }
        members.push(number as u32);
    }
    journeys
        .into_iter()
        .map(|(_, _, members)| members)
        .collect()
}

fn clustering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("clustering");
    for length in [20, 200, 2_000] {
        let items = history(length);
        let (mut icpc, mut vectors) = (Icpc::default(), ItemVectors::default());
        let found = inverted_lists(&mut icpc, &mut vectors, &items, &walk());
        assert_eq!(
            found.journeys.to_vecs(),
            map_per_journey(&items),
            "both sides find the same"
        );
        group.throughput(Throughput::Elements(length as u64));
        group.bench_with_input(
            BenchmarkId::new("inverted lists", length),
            &items,
            |b, items| {
                b.iter(|| {
                    inverted_lists(&mut icpc, &mut vectors, black_box(items), &walk())
                        .journeys
                        .len()
                });
            },
        );
        group.bench_with_input(
            BenchmarkId::new("map per journey", length),
            &items,
            |b, items| {
                b.iter(|| map_per_journey(black_box(items)));
            },
        );
    }
    group.finish();
}

/// A user with the default parameters.
fn default_parameters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("default parameters");
    let histories = [20, 200, 2_000].map(|length| ("history", history(length)));
    let stars = [200, 2_000].map(|length| ("star", star(length)));
    let params = JourneyParams::default();
    for (name, items) in histories.into_iter().chain(stars) {
        let (mut icpc, mut vectors) = (Icpc::default(), ItemVectors::default());
        group.throughput(Throughput::Elements(items.len() as u64));
        group.bench_with_input(BenchmarkId::new(name, items.len()), &items, |b, items| {
            b.iter(|| {
                inverted_lists(&mut icpc, &mut vectors, black_box(items), &params)
                    .journeys
                    .len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, clustering, default_parameters);
criterion_main!(benches);
