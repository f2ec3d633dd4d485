//! Weighing the terms of the catalogue: by the formula at once, or by what is learned from histories.
//!
//! Interactions name items by their places in the catalogue, so that it has to be there before they
//! are read; what is learned from them is known only afterwards. So where weights are to be learned, a
//! catalogue without terms is written first.

use super::IngestError;
use super::items::CountedItems;
use super::pipeline::Ingest;
use super::shards::{sample, sampled};
use crate::dataset::{Counts, ShardSummary};
use crate::history::{HELD_OUT, History, LEAST_TO_HOLD_OUT};
use crate::terms::{Relevance, Salience, SalienceMethod, Transition};

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
) -> Result<Option<Relevance>, IngestError> {
    let Some(mut items) = items else {
        return Ok(None);
    };
    let mut transitions = Vec::new();
    let (mut seen, mut half) = (0_u64, false);
    let interactions: u64 = sampled(shards).map(|shard| shard.interactions).sum();
    let every = interactions.div_ceil(TRANSITIONS).max(1);
    sample(ingest, shards, counts.items as usize, |history| {
        for transition in transitions_of(&history, half) {
            if seen.is_multiple_of(every) {
                transitions.push(transition);
            }
            seen += 1;
        }
        half = !half;
    })?;
    let salience = items.learn_salience(ingest, transitions, counts.items)?;
    items.write_catalogue(ingest, &salience, counts)?;
    Ok(salience.relevance())
}

/// The transitions between the distinct items of a history. Of long histories the items that were new
/// last are left out, so that what is learned can be judged by them: see `sojourn eval next`.
fn transitions_of(history: &History, half: bool) -> Vec<Transition> {
    let mut visits = history.visits();
    if visits.len() >= LEAST_TO_HOLD_OUT {
        visits.truncate(visits.len() - HELD_OUT.get());
    }
    let pairs = visits.windows(2);
    pairs
        .map(|pair| Transition {
            from: pair[0].item,
            to: pair[1].item,
            half,
        })
        .collect()
}

#[cfg(test)]
mod tests {
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
        let transitions = transitions_of(&history(3), true);
        let pairs: Vec<(u32, u32)> = transitions.iter().map(|t| (t.from.0, t.to.0)).collect();
        assert_eq!(pairs, [(0, 1), (1, 2)]);
        assert!(transitions.iter().all(|transition| transition.half));
    }

    #[test]
    fn what_is_held_out_to_judge_by_is_not_learned_from() {
        let most = |items| {
            transitions_of(&history(items), false)
                .iter()
                .map(|t| t.to.0)
                .max()
        };
        assert_eq!(most(19), Some(18));
        assert_eq!(most(20), Some(14));
        assert_eq!(most(40), Some(34));
    }
}
