//! The clustering against a reference that is slow and obvious: dense vectors, sums computed anew
//! for every comparison.

use proptest::prelude::*;
use sojourn::journey::{Assign, Clusters, Groups, Icpc, ItemVectors, JourneyParams};

/// Terms in the random vocabulary: few, so that items share some.
const TERMS: usize = 12;

type Dense = [f64; TERMS];

fn dot(a: &Dense, b: &Dense) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn cosine(a: &Dense, b: &Dense) -> f64 {
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

fn sum<'a>(members: impl IntoIterator<Item = &'a u32>, items: &[Dense]) -> Dense {
    let mut sum = [0.0; TERMS];
    for &member in members {
        for (sum, weight) in sum.iter_mut().zip(items[member as usize]) {
            *sum += weight;
        }
    }
    sum
}

/// Equal but for the order in which floating-point sums were taken: such pairs may be decided
/// either way, and no data decides on the sixteenth digit.
const NOISE: f64 = 1e-9;

/// The reference. `None` when a decision hung on rounding noise.
fn reference(items: &[Dense], params: &JourneyParams) -> Option<Clusters> {
    let epsilon = f64::from(params.epsilon);
    let empty = |item: &Dense| item.iter().all(|&weight| weight == 0.0);
    let mut journeys: Vec<Vec<u32>> = Vec::new();
    for (number, item) in items.iter().enumerate() {
        if empty(item) {
            continue;
        }
        let similarities: Vec<f64> = journeys
            .iter()
            .map(|members| cosine(item, &sum(members, items)))
            .collect();
        let joined = join(&similarities, epsilon, params.assign)?;
        if joined.is_empty() {
            journeys.push(vec![number as u32]);
        }
        for journey in joined {
            journeys[journey].push(number as u32);
        }
    }

    let with_terms: Vec<u32> = (0..items.len() as u32)
        .filter(|&item| !empty(&items[item as usize]))
        .collect();
    let cohesion = mean_product(&with_terms, &with_terms, items)
        * (with_terms.len().saturating_sub(1) as f64).min(200.0);
    let threshold = params.merge.map(|share| f64::from(share) * cohesion);
    let walk: Vec<u32> = with_terms
        .iter()
        .map(|item| {
            let mut journeys = journeys.iter();
            journeys.position(|members| members.contains(item)).unwrap() as u32
        })
        .collect();
    if let Some(threshold) = threshold {
        loop {
            let closest: Vec<Option<(f64, usize)>> = (0..journeys.len())
                .map(|this| {
                    let closeness: Vec<f64> = (0..journeys.len())
                        .map(|other| {
                            let (this, other_one) = (&journeys[this], &journeys[other]);
                            if std::ptr::eq(this, other_one) {
                                return -1.0;
                            }
                            let smaller = this.len().min(other_one.len()) as f64;
                            let product = dot(&sum(this, items), &sum(other_one, items));
                            let pairs = (this.len() * other_one.len()) as f64;
                            // As where no term is shared, which no threshold makes a neighbour.
                            if product == 0.0 {
                                return -1.0;
                            }
                            product / pairs / smaller.powf(0.2)
                        })
                        .collect();
                    let similarities = closeness;
                    let closest = join(&similarities, threshold, Assign::Nearest)?;
                    Some(closest.first().map(|&at| (similarities[at], at)))
                })
                .collect::<Option<_>>()?;
            if !merge_closest(&mut journeys, &closest)? {
                break;
            }
        }
    }

    if params.reassign {
        let mut moved = vec![Vec::new(); journeys.len()];
        for (number, item) in items.iter().enumerate() {
            if empty(item) {
                continue;
            }
            let number = number as u32;
            let similarities: Vec<f64> = journeys
                .iter()
                .map(|members| {
                    let others: Vec<u32> = members
                        .iter()
                        .copied()
                        .filter(|&member| member != number)
                        .collect();
                    if others.is_empty() {
                        0.0
                    } else {
                        cosine(item, &sum(&others, items))
                    }
                })
                .collect();
            let mut joined = join(&similarities, epsilon, params.assign)?;
            if joined.is_empty() {
                joined = (0..journeys.len())
                    .filter(|&j| journeys[j].contains(&number))
                    .collect();
            }
            for journey in joined {
                moved[journey].push(number);
            }
        }
        moved.retain(|members: &Vec<u32>| !members.is_empty());
        journeys = moved;
    }

    journeys.sort();
    let (small, journeys): (Vec<Vec<u32>>, Vec<Vec<u32>>) = journeys
        .into_iter()
        .partition(|members| members.len() <= params.drop_at_most as usize);
    let least = f64::from(params.least_confidence);
    let confidences: Vec<f64> = journeys
        .iter()
        .map(|members| confidence(members, &with_terms, items))
        .collect();
    if confidences
        .iter()
        .any(|confidence| (confidence - least).abs() < NOISE)
    {
        return None;
    }
    let is_sure = |at: usize| confidences[at] >= least;
    let sure = |wanted: bool| -> Groups {
        let chosen = (0..journeys.len()).filter(|&at| is_sure(at) == wanted);
        chosen.map(|at| &journeys[at]).collect()
    };
    let without_terms = (0..items.len())
        .filter(|&at| empty(&items[at]))
        .map(|at| at as u32);
    Some(Clusters {
        confidences: (0..journeys.len())
            .filter(|&at| is_sure(at))
            .map(|at| confidences[at])
            .collect(),
        journeys: sure(true),
        unsure: sure(false),
        small: small.into_iter().collect(),
        without_terms: without_terms.collect(),
        merge_threshold: threshold,
        walk,
    })
}

/// Mean product of two different items, one of each list; 0 where there is no such pair.
fn mean_product(first: &[u32], second: &[u32], items: &[Dense]) -> f64 {
    let mut products = Vec::new();
    for &a in first {
        let others = second.iter().filter(|&&b| b != a);
        products.extend(others.map(|&b| dot(&items[a as usize], &items[b as usize])));
    }
    products.iter().sum::<f64>() / products.len().max(1) as f64
}

/// The confidence in a journey, from pairs of items.
fn confidence(members: &[u32], with_terms: &[u32], items: &[Dense]) -> f64 {
    let others: Vec<u32> = with_terms
        .iter()
        .copied()
        .filter(|item| !members.contains(item))
        .collect();
    let within = mean_product(members, members, items);
    if members.len() < 2 || within <= 0.0 {
        return 0.0;
    }
    let contrast = (within / (mean_product(members, &others, items) + 0.005)).ln();
    let most = (with_terms.len() as f64).min(200.0);
    let logit = 1.37 + 1.08 * contrast + 0.12 * (members.len() as f64).ln() - 0.95 * most.ln();
    1.0 / (1.0 + (-logit).exp())
}

/// Asserts that two results are the same but for rounding.
fn assert_same(found: &Clusters, expected: &Clusters) -> Result<(), TestCaseError> {
    let rounded = |of: &Clusters| {
        let digits = |value: f64| (value * 1e6).round();
        Clusters {
            confidences: of.confidences.iter().copied().map(digits).collect(),
            merge_threshold: of.merge_threshold.map(digits),
            ..of.clone()
        }
    };
    prop_assert_eq!(rounded(found), rounded(expected));
    Ok(())
}

/// The most similar first, every journey chooses its closest, unless that one has chosen another.
/// Of two that are each other's closest, the one that fewer are close to chooses, or else the
/// younger. Then of all that chose the same, the first half is merged with it. Says whether there
/// were any; `None` when it hung on rounding noise.
fn merge_closest(journeys: &mut Vec<Vec<u32>>, closest: &[Option<(f64, usize)>]) -> Option<bool> {
    let claims = |of: usize| {
        closest
            .iter()
            .flatten()
            .filter(|closest| closest.1 == of)
            .count()
    };
    let mut order: Vec<(usize, f64, usize)> = closest
        .iter()
        .enumerate()
        .filter_map(|(from, &closest)| closest.map(|(similarity, to)| (from, similarity, to)))
        .collect();
    order.sort_by(|a, b| {
        let first = b.1.total_cmp(&a.1);
        first
            .then(claims(a.0).cmp(&claims(b.0)))
            .then(b.0.cmp(&a.0))
    });
    let mut has_chosen = vec![false; journeys.len()];
    let mut chosen_by: Vec<Vec<(f64, usize)>> = vec![Vec::new(); journeys.len()];
    for &(from, similarity, to) in &order {
        if !has_chosen[to] && chosen_by[from].is_empty() {
            has_chosen[from] = true;
            chosen_by[to].push((similarity, from));
        }
    }
    for (to, chosen_by) in chosen_by.iter().enumerate() {
        let half = chosen_by.len().div_ceil(2);
        let (merged, left) = chosen_by.split_at(half);
        if let (Some(last), Some(next)) = (merged.last(), left.first())
            && last.0 - next.0 < NOISE
        {
            return None;
        }
        for &(_, from) in merged {
            let members = std::mem::take(&mut journeys[from]);
            journeys[to].extend(members);
            journeys[to].sort_unstable();
            journeys[to].dedup();
        }
    }
    journeys.retain(|members| !members.is_empty());
    journeys.sort();
    Some(!order.is_empty())
}

/// The journeys that an item of these similarities joins.
fn join(similarities: &[f64], least: f64, assign: Assign) -> Option<Vec<usize>> {
    if similarities
        .iter()
        .any(|similarity| (similarity - least).abs() < NOISE)
    {
        return None;
    }
    let near: Vec<usize> = (0..similarities.len())
        .filter(|&at| similarities[at] >= least)
        .collect();
    if assign == Assign::Every {
        return Some(near);
    }
    let Some(&first) = near.first() else {
        return Some(Vec::new());
    };
    let best = near.iter().fold(first, |best, &at| {
        if similarities[at] > similarities[best] {
            at
        } else {
            best
        }
    });
    let close = near
        .iter()
        .filter(|&&at| similarities[best] - similarities[at] < NOISE)
        .count();
    (close == 1).then(|| vec![best])
}

fn vectors(items: &[Dense]) -> ItemVectors {
    let mut vectors = ItemVectors::default();
    for item in items {
        // Catalogue terms are anything; spread them out.
        let terms = item.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
        vectors.push(terms.map(|(term, &weight)| (term as u32 * 1000 + 7, weight as f32)));
    }
    vectors
}

/// An item of up to four terms, of unit length in f32.
fn item() -> impl Strategy<Value = Dense> {
    prop::collection::vec((0..TERMS, 1u8..=255), 0..=4).prop_map(|terms| {
        let mut item = [0.0; TERMS];
        for (term, weight) in terms {
            item[term] = f64::from(weight);
        }
        let norm = dot(&item, &item).sqrt();
        if norm > 0.0 {
            for weight in &mut item {
                *weight = f64::from((*weight / norm) as f32);
            }
        }
        item
    })
}

fn params() -> impl Strategy<Value = JourneyParams> {
    let merge = prop::option::of(0.005f32..0.5);
    let least_confidence = prop_oneof![Just(0.0), 0.2f32..0.9];
    let drop = (0u32..4, least_confidence);
    (0.02f32..0.9, any::<bool>(), merge, any::<bool>(), drop).prop_map(
        |(epsilon, every, merge, reassign, (drop_at_most, least_confidence))| JourneyParams {
            epsilon,
            assign: if every {
                Assign::Every
            } else {
                Assign::Nearest
            },
            merge,
            reassign,
            drop_at_most,
            least_confidence,
            ..JourneyParams::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn inverted_lists_give_what_dense_vectors_give(
        items in prop::collection::vec(item(), 0..40),
        params in params(),
    ) {
        let Some(expected) = reference(&items, &params) else {
            return Err(TestCaseError::reject("a decision hangs on rounding noise"));
        };
        assert_same(Icpc::default().cluster(&vectors(&items), &params), &expected)?;
    }

    #[test]
    fn every_item_is_somewhere(
        items in prop::collection::vec(item(), 0..60),
        params in params(),
    ) {
        let mut icpc = Icpc::default();
        let found = icpc.cluster(&vectors(&items), &params);
        let mut seen: Vec<u32> = found.journeys.iter().chain(found.small.iter()).chain(found.unsure.iter()).flatten().copied()
            .chain(found.without_terms.iter().copied()).collect();
        seen.sort_unstable();
        if params.assign == Assign::Nearest {
            prop_assert_eq!(seen.len(), items.len(), "an item is in one place");
        }
        seen.dedup();
        prop_assert_eq!(seen, (0..items.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_clustered_before_changes_nothing(
        first in prop::collection::vec(item(), 0..40),
        second in prop::collection::vec(item(), 0..40),
        params in params(),
    ) {
        let mut used = Icpc::default();
        used.cluster(&vectors(&first), &params);
        let mut fresh = Icpc::default();
        let fresh = fresh.cluster(&vectors(&second), &params);
        prop_assert_eq!(used.cluster(&vectors(&second), &params), fresh);
    }
}
