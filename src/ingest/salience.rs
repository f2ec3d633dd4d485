//! Weighing the terms of the catalogue: by the formula at once, or by what is learned from histories.
//!
//! Interactions name items by their places in the catalogue, so that it has to be there before they
//! are read; what is learned from them is known only afterwards. So where weights are to be learned, a
//! catalogue without terms is written first.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::IngestError;
use super::items::CountedItems;
use super::pipeline::Ingest;
use super::shards::{sample, sampled};
use crate::dataset::{Counts, ShardSummary};
use crate::history::{HELD_OUT, History, LEAST_TO_HOLD_OUT};
use crate::terms::{Fold, Salience, SalienceMethod, Transition};

/// Transitions that are learned from, about. More would take more memory, about 500 bytes each.
const TRANSITIONS: u64 = 1 << 17;

/// Writes a catalogue in which items can be looked up. Returns the items if their terms are still to be
/// weighed.
pub(super) fn begin(
    ingest: &Ingest<'_>,
    mut items: CountedItems,
    counts: &mut Counts,
) -> Result<Option<CountedItems>, IngestError> {
    let params = &ingest.options.salience;
    match params.method {
        SalienceMethod::Formula => {
            items.write_catalogue(ingest, &Salience::formula(params), counts)?;
            Ok(None)
        }
        SalienceMethod::Learned => {
            items.write_places(ingest, counts.items)?;
            Ok(Some(items))
        }
    }
}

/// Writes the catalogue of items whose terms were still to be weighed. Returns what was learned, if
/// anything was.
pub(super) fn finish(
    ingest: &Ingest<'_>,
    items: Option<CountedItems>,
    shards: &[ShardSummary],
    counts: &mut Counts,
) -> Result<Option<BTreeMap<String, f64>>, IngestError> {
    let Some(mut items) = items else {
        return Ok(None);
    };
    let mut transitions = Vec::new();
    let mut seen = 0_u64;
    let interactions: u64 = sampled(shards).map(|shard| shard.interactions).sum();
    let every = interactions.div_ceil(TRANSITIONS).max(1);
    sample(ingest, shards, counts.items as usize, |history| {
        for transition in transitions_of(&history) {
            if seen.is_multiple_of(every) {
                transitions.push(transition);
            }
            seen += 1;
        }
    })?;
    let salience = items.learn_salience(ingest, transitions, counts.items)?;
    items.write_catalogue(ingest, &salience, counts)?;
    Ok(salience.coefficients())
}

/// The transitions between the distinct items of a history. Of long histories the items that were new
/// last are left out, so that what is learned can be judged by them: see `sojourn eval next`.
///
/// Items of one basket have one time, and come in an order of chance: by their ids, which go by kind,
/// neighbours would be alike whatever users did.
fn transitions_of(history: &History) -> Vec<Transition> {
    let mut visits = history.visits();
    if visits.len() >= LEAST_TO_HOLD_OUT {
        visits.truncate(visits.len() - HELD_OUT.get());
    }
    let user = xxh3_64(history.user.as_bytes());
    visits.sort_by_key(|visit| {
        let chance = xxh3_64_with_seed(&visit.item.0.to_le_bytes(), user);
        (visit.first, chance)
    });
    let fold = match user % 2 {
        0 => Fold::Counted,
        _ => Fold::Exemplary,
    };
    let pairs = visits.windows(2);
    pairs
        .map(|pair| Transition {
            from: pair[0].item,
            to: pair[1].item,
            fold,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::history::Interaction;
    use crate::item::ItemIndex;

    /// Comes back to the first item at the end.
    fn history(items: u32) -> History {
        let interaction = |at: u32| Interaction {
            item: ItemIndex(at % items),
            timestamp: i64::from(at),
            weight: 1.0,
        };
        History {
            user: "ann".into(),
            interactions: (0..=items).map(interaction).collect(),
        }
    }

    #[test]
    fn transitions_lead_from_one_new_item_to_the_next() {
        let transitions = transitions_of(&history(3));
        let pairs: Vec<(u32, u32)> = transitions.iter().map(|t| (t.from.0, t.to.0)).collect();
        assert_eq!(pairs, [(0, 1), (1, 2)]);
    }

    #[test]
    fn items_of_one_basket_are_not_taken_up_in_the_order_of_their_ids() {
        let mut baskets = history(12);
        for interaction in &mut baskets.interactions {
            interaction.timestamp /= 6;
        }
        let mut orders = HashSet::new();
        for user in ["ann", "bob", "cid"] {
            baskets.user = user.into();
            let transitions = transitions_of(&baskets);
            let order: Vec<u32> = transitions.iter().map(|t| t.from.0).collect();
            assert!(
                order[..6].iter().all(|&item| item < 6),
                "baskets in their order"
            );
            orders.insert(order);
        }
        assert_eq!(orders.len(), 3);
    }

    #[test]
    fn what_is_held_out_to_judge_by_is_not_learned_from() {
        let most = |items| transitions_of(&history(items)).iter().map(|t| t.to.0).max();
        assert_eq!(most(19), Some(18));
        assert_eq!(most(20), Some(14));
        assert_eq!(most(40), Some(34));
    }
}
