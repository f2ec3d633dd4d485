//! The ways of finding journeys that are evaluated here; others are tried by other programs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::agreement::Agreement;
use super::clusterer::Clusterer;
use super::folder::{EvaluationError, Found, MethodHeader};
use super::mixes::{Difficulty, Half, Mix};
use crate::catalogue::Catalogue;
use crate::item::{Item, ItemIndex};
use crate::journey::{Assign, JourneyParams};
use crate::terms::SalienceParams;

/// Thresholds that the plain algorithm is tried with, as that of the source is not known.
const EPSILONS: [f32; 10] = [0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4];

/// A way of finding journeys.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// In names of files.
    pub name: &'static str,
    /// In tables.
    pub label: &'static str,
    /// How it is set.
    pub parameters: Parameters,
}

/// How a method is set.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameters {
    /// As given.
    Given(JourneyParams),
    /// The best of these on the tune halves of all sources together.
    BestOf(Vec<JourneyParams>),
    /// Every item is in one journey.
    Together,
    /// No item is in any journey.
    Apart,
}

/// All methods that are part of Sojourn, and the two groupings that need none.
///
/// The plain algorithm assigns to the nearest journey, as later accounts of its authors have it, so
/// that what it finds can be compared with a partition.
pub fn methods(defaults: JourneyParams) -> Vec<Method> {
    let plain = |epsilon| JourneyParams {
        epsilon,
        assign: Assign::Nearest,
        drop_at_most: defaults.drop_at_most,
        ..JourneyParams::plain()
    };
    let method = |name, label, parameters| Method {
        name,
        label,
        parameters,
    };
    vec![
        method("sojourn", "Sojourn", Parameters::Given(defaults)),
        method(
            "icpc",
            "plain ICPC",
            Parameters::BestOf(EPSILONS.map(plain).into()),
        ),
        method("together", "all together", Parameters::Together),
        method("apart", "all apart", Parameters::Apart),
    ]
}

/// A source whose mixes can be clustered.
pub struct Prepared {
    catalogue: Catalogue,
    represented_in: Duration,
    /// Mixes and their items.
    mixes: Vec<(Mix, Vec<ItemIndex>)>,
}

impl Prepared {
    /// Counts and weighs the terms of the items, and looks up those of the mixes.
    ///
    /// # Errors
    /// When there is no room for scratch files, or a mix has an item that is not among the items.
    pub fn new(
        mixes: Vec<Mix>,
        items: &[Item],
        salience: &SalienceParams,
    ) -> Result<Prepared, EvaluationError> {
        let begun = Instant::now();
        let catalogue = Catalogue::of_items(items, salience)?;
        let represented_in = begun.elapsed();
        let with_items = |mix: Mix| {
            let find = |id: &String| {
                catalogue.find(id).ok_or_else(|| EvaluationError::Source {
                    name: mix.id.clone(),
                    reason: format!("it has an item {id:?} that is not among the items"),
                })
            };
            let items: Result<Vec<ItemIndex>, EvaluationError> =
                mix.items.iter().map(find).collect();
            let items = items?;
            Ok((mix, items))
        };
        let mixes = mixes
            .into_iter()
            .map(with_items)
            .collect::<Result<_, EvaluationError>>()?;
        Ok(Prepared {
            mixes,
            catalogue,
            represented_in,
        })
    }
}

/// What a method found in the mixes of each source, in the same order.
pub fn find(method: &Method, sources: &[Prepared]) -> Vec<(MethodHeader, Vec<Found>)> {
    let each =
        |of: &dyn Fn(&Prepared) -> (MethodHeader, Vec<Found>)| sources.iter().map(of).collect();
    match &method.parameters {
        Parameters::Given(parameters) => each(&|source| clustered(method, source, parameters)),
        Parameters::BestOf(candidates) => {
            let parameters = best(candidates, sources);
            each(&|source| clustered(method, source, &parameters))
        }
        Parameters::Together => {
            each(&|source| trivial(method, source, |items| vec![(0..items).collect()]))
        }
        Parameters::Apart => each(&|source| trivial(method, source, |_| Vec::new())),
    }
}

fn clustered(
    method: &Method,
    source: &Prepared,
    parameters: &JourneyParams,
) -> (MethodHeader, Vec<Found>) {
    let mut clusterer = Clusterer::new(&source.catalogue, *parameters);
    let begun = Instant::now();
    let journeys: Vec<Vec<Vec<u32>>> = source
        .mixes
        .iter()
        .map(|(_, items)| clusterer.cluster(items).journeys.to_vecs())
        .collect();
    let cluster_seconds = begun.elapsed().as_secs_f64();
    let found = source
        .mixes
        .iter()
        .zip(journeys)
        .map(|((mix, _), journeys)| Found {
            mix: mix.id.clone(),
            journeys,
        });
    let header = MethodHeader {
        represent_seconds: source.represented_in.as_secs_f64(),
        cluster_seconds,
        parameters: said(parameters),
        ..header(method, source)
    };
    (header, found.collect())
}

fn trivial(
    method: &Method,
    source: &Prepared,
    journeys: impl Fn(u32) -> Vec<Vec<u32>>,
) -> (MethodHeader, Vec<Found>) {
    let found = source.mixes.iter().map(|(mix, items)| Found {
        mix: mix.id.clone(),
        journeys: journeys(items.len() as u32),
    });
    (header(method, source), found.collect())
}

fn header(method: &Method, source: &Prepared) -> MethodHeader {
    MethodHeader {
        label: method.label.into(),
        told_k: false,
        parameters: String::new(),
        items: source.catalogue.len() as u64,
        represent_seconds: 0.0,
        clustered_items: source
            .mixes
            .iter()
            .map(|(_, items)| items.len() as u64)
            .sum(),
        cluster_seconds: 0.0,
    }
}

fn said(parameters: &JourneyParams) -> String {
    let mut said = format!("epsilon {}", parameters.epsilon);
    if let Some(merge) = parameters.merge {
        said += &format!(", merge {merge}");
    }
    if parameters.least_confidence > 0.0 {
        said += &format!(", least confidence {}", parameters.least_confidence);
    }
    said
}

/// Those with the highest score; of equals the first.
fn best(candidates: &[JourneyParams], sources: &[Prepared]) -> JourneyParams {
    let mut best: Option<(f64, JourneyParams)> = None;
    for parameters in candidates {
        let score = tuning_score(sources, parameters);
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, *parameters));
        }
    }
    best.map(|(_, parameters)| parameters).unwrap_or_default()
}

/// Mean ARI over the tune halves, in which each source, difficulty and share of noise counts the same.
fn tuning_score(sources: &[Prepared], parameters: &JourneyParams) -> f64 {
    let mut means = Vec::new();
    for source in sources {
        let mut clusterer = Clusterer::new(&source.catalogue, *parameters);
        let mut scores: BTreeMap<(Difficulty, u32), (f64, f64)> = BTreeMap::new();
        for (mix, items) in source
            .mixes
            .iter()
            .filter(|(mix, _)| mix.half == Half::Tune)
        {
            let score = scores.entry((mix.difficulty, mix.noise)).or_default();
            score.0 += Agreement::of(&mix.labels, &clusterer.cluster(items).journeys.to_vecs()).ari;
            score.1 += 1.0;
        }
        means.extend(scores.into_values().map(|(sum, mixes)| sum / mixes));
    }
    means.iter().sum::<f64>() / means.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ukuleles and breads, one after the other.
    fn items() -> Vec<Item> {
        let kind = |at: usize| {
            if at.is_multiple_of(2) {
                "ukulele"
            } else {
                "bread"
            }
        };
        let item = |at: usize| Item {
            id: format!("s-{at:02}"),
            title: format!("{} number{at}", kind(at)),
            ..Item::default()
        };
        (0..12).map(item).collect()
    }

    /// A mix of two clear interests, in each half.
    fn mixes() -> Vec<Mix> {
        let mix = |half: Half| Mix {
            id: half.as_str().into(),
            half,
            difficulty: Difficulty::Easy,
            pool: None,
            noise: 0,
            interests: 2,
            titles: vec!["ukulele".into(), "bread".into()],
            items: items().into_iter().map(|item| item.id).collect(),
            labels: (0..12).map(|at| Some(at % 2)).collect(),
        };
        Half::BOTH.map(mix).into()
    }

    fn prepared(mixes: Vec<Mix>) -> Result<Prepared, EvaluationError> {
        Prepared::new(mixes, &items(), &SalienceParams::default())
    }

    fn journeys(name: &str) -> Vec<Vec<u32>> {
        let methods = methods(JourneyParams::default());
        let method = methods.iter().find(|method| method.name == name).unwrap();
        let mut found = find(method, &[prepared(mixes()).unwrap()]);
        let (header, found) = found.remove(0);
        assert_eq!((header.items, header.clustered_items), (12, 24));
        assert_eq!(found[0].journeys, found[1].journeys);
        found[1].journeys.clone()
    }

    #[test]
    fn every_method_finds_what_it_should() {
        let even: Vec<u32> = (0..12).step_by(2).collect();
        let odd: Vec<u32> = (1..12).step_by(2).collect();
        for name in ["sojourn", "icpc"] {
            assert_eq!(journeys(name), [even.clone(), odd.clone()], "{name}");
        }
        assert_eq!(journeys("together"), [(0..12).collect::<Vec<u32>>()]);
        assert_eq!(journeys("apart"), Vec::<Vec<u32>>::new());
    }

    #[test]
    fn the_best_of_several_is_chosen_on_the_tune_half() {
        let mut mixes = mixes();
        // In the test half nothing belongs together: what is best there must not be chosen.
        mixes[1].labels = vec![None; 12];
        let parameters = |drop_at_most| JourneyParams {
            drop_at_most,
            ..JourneyParams::default()
        };
        let (all_dropped, none_dropped) = (parameters(12), parameters(2));
        let candidates = [all_dropped, none_dropped];
        assert_eq!(best(&candidates, &[prepared(mixes).unwrap()]), none_dropped);
    }

    #[test]
    fn an_item_that_is_not_there_is_named() {
        let mut mixes = mixes();
        mixes[0].items[0] = "nowhere".into();
        let error = prepared(mixes).err().map(|error| error.to_string());
        assert!(
            error.as_ref().is_some_and(|e| e.contains("\"nowhere\"")),
            "{error:?}"
        );
    }
}
