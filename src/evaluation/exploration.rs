//! Whether one can tell who is about to take up something new.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::clusterer::Clusterer;
use crate::history::History;
use crate::item::ItemIndex;
use crate::journey::Exploration;

/// How well it is told whether the next item of a history opens a journey. Learned from half of the
/// users, and looked at in the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplorationFigures {
    /// Items of which it was told.
    pub items: u64,
    /// Share of them that opened a journey.
    pub opened: f64,
    /// How often an item that opened a journey was given a higher chance than one that did not.
    pub auc: f64,
    /// The same where the chance is what share of the items before opened one.
    pub auc_of_share: f64,
}

impl ExplorationFigures {
    /// None where there is nothing to learn, or to tell.
    pub(super) fn of(histories: &[History], clusterer: &mut Clusterer<'_>) -> Option<Self> {
        let (mut known, mut others) = (Vec::new(), Vec::new());
        for history in histories {
            let items: Vec<ItemIndex> = history.visits().iter().map(|visit| visit.item).collect();
            let walk = clusterer.walk(&items).to_vec();
            // By the user, so that it does not hang on who else is in the dataset.
            if xxh3_64(history.user.as_bytes()).is_multiple_of(2) {
                known.push(walk);
            } else {
                others.push(walk);
            }
        }
        let learned = Exploration::learned(&known)?;
        let told: Vec<(f64, f64, bool)> =
            others.iter().flat_map(|walk| learned.told(walk)).collect();
        let opened = told.iter().filter(|&&(.., opened)| opened).count();
        let by = |score: fn(&(f64, f64, bool)) -> f64| {
            auc(told.iter().map(|told| (score(told), told.2)).collect())
        };
        Some(ExplorationFigures {
            items: told.len() as u64,
            opened: opened as f64 / told.len().max(1) as f64,
            auc: by(|told| told.0)?,
            auc_of_share: by(|told| told.1)?,
        })
    }
}

/// The area under the curve of true and false positives: how often a true one has a higher score than
/// a false one, where half of the equal ones count. None where there are no true or no false ones.
fn auc(mut scored: Vec<(f64, bool)>) -> Option<f64> {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs) = (0.0, 0.0);
    let mut trues = 0.0;
    for equal in scored.chunk_by(|a, b| a.0 == b.0) {
        let true_here = equal.iter().filter(|&&(_, is_true)| is_true).count() as f64;
        let false_here = equal.len() as f64 - true_here;
        pairs += true_here * (below + false_here / 2.0);
        below += false_here;
        trues += true_here;
    }
    let all = trues * below;
    (all > 0.0).then(|| pairs / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_share_of_pairs_in_the_right_order() {
        let of = |scored: &[(f64, bool)]| auc(scored.to_vec());
        assert_eq!(
            of(&[(0.1, false), (0.2, true), (0.3, false), (0.4, true)]),
            Some(0.75)
        );
        assert_eq!(of(&[(0.5, false), (0.5, true), (0.5, true)]), Some(0.5));
        assert_eq!(of(&[(0.9, false), (0.1, true)]), Some(0.0));
        assert_eq!(of(&[(0.9, true)]), None);
        assert_eq!(of(&[]), None);
    }
}
