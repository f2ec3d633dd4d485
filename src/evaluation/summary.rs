//! All scores of all methods.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::agreement::Agreement;
use super::estimate::Estimate;
use super::folder::{EvaluationError, Folder, Found, MethodHeader};
use super::mixes::{Difficulty, Half, Mix};

/// Name of the method that the others are compared with.
pub const OURS: &str = "sojourn";

/// How good each method is on one half of the mixes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Of the draw.
    pub seed: u64,
    /// Of the mixes that are judged.
    pub half: Half,
    /// Names of the sources.
    pub sources: Vec<String>,
    /// Ours first, then the others by name.
    pub methods: Vec<MethodSummary>,
}

/// How good and how fast one method is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodSummary {
    /// In names of files.
    pub name: String,
    /// In tables.
    pub label: String,
    /// Whether it is told how many interests there are.
    pub told_k: bool,
    /// How it is set.
    pub parameters: String,
    /// Items a second from text to what is clustered; none where there is no such step.
    pub represented_per_second: Option<f64>,
    /// Items a second that are clustered; none where nothing is.
    pub clustered_per_second: Option<f64>,
    /// How good it is on each kind of mix.
    pub cells: Vec<Cell>,
}

/// How good a method is on mixes of one kind. Mixes of one pool count as one where it is said how sure
/// a mean is; others are taken for independent, though they share some collections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Where the mixes are from.
    pub source: String,
    /// How alike their interests are.
    pub difficulty: Difficulty,
    /// Percentage of items of no interest.
    pub noise: u32,
    /// How many interests the mixes have; none: of any number.
    pub interests: Option<u32>,
    /// Means over mixes of the scores of [`Agreement`], by their names.
    pub scores: BTreeMap<String, Estimate>,
    /// By how much ours is better, mix by mix, by the names of the scores.
    pub lead: BTreeMap<String, Estimate>,
}

impl MethodSummary {
    /// The cell of a kind of mixes, of any number of interests.
    pub fn cell(&self, source: &str, difficulty: Difficulty, noise: u32) -> Option<&Cell> {
        self.cells.iter().find(|cell| {
            cell.source == source
                && cell.difficulty == difficulty
                && cell.noise == noise
                && cell.interests.is_none()
        })
    }

    /// Items a second from text to journeys, of items that are in one history each.
    pub fn items_per_second(&self) -> Option<f64> {
        let clustered = self.clustered_per_second?;
        let represented = self.represented_per_second;
        Some(1.0 / (1.0 / clustered + represented.map_or(0.0, |rate| 1.0 / rate)))
    }
}

/// What a mix is, as far as means are taken.
type Kind = (Difficulty, u32, Option<u32>);

/// A source with its mixes of one half.
struct Judged {
    name: String,
    mixes: Vec<Mix>,
}

/// A method on the sources that it was tried on.
struct Tried {
    headers: Vec<MethodHeader>,
    /// By source, the agreement on each of its mixes.
    agreements: BTreeMap<String, Vec<Agreement>>,
}

impl Summary {
    /// Of what stands in the folder.
    ///
    /// # Errors
    /// When it cannot be read, or a method has left mixes out.
    pub fn of(folder: &Folder, half: Half) -> Result<Summary, EvaluationError> {
        let header = folder.header()?;
        let mut sources = Vec::new();
        let mut tried: BTreeMap<String, Tried> = BTreeMap::new();
        for source in &header.sources {
            let mut mixes = folder.mixes(&source.name)?;
            mixes.retain(|mix| mix.half == half);
            for name in folder.methods(&source.name)? {
                let (header, found) = folder.found(&source.name, &name)?;
                let agreements = agreements(&source.name, &name, &mixes, found)?;
                let tried = tried.entry(name).or_insert_with(|| Tried {
                    headers: Vec::new(),
                    agreements: BTreeMap::new(),
                });
                tried.headers.push(header);
                tried.agreements.insert(source.name.clone(), agreements);
            }
            sources.push(Judged {
                name: source.name.clone(),
                mixes,
            });
        }
        let ours = tried.get(OURS);
        if ours.is_none() {
            return Err(EvaluationError::File {
                path: folder.path().into(),
                reason: "nothing has been found in these mixes yet; run `sojourn eval journeys`"
                    .into(),
            });
        }
        let summary = |(name, tried): (&String, &Tried)| method(name, tried, ours, &sources);
        let mut methods: Vec<MethodSummary> = tried.iter().map(summary).collect();
        methods.sort_by_key(|method| method.name != OURS);
        Ok(Summary {
            seed: header.seed,
            half,
            sources: sources.into_iter().map(|source| source.name).collect(),
            methods,
        })
    }

    /// Shares of noise that there are for a difficulty, in percent.
    pub fn noises(&self, difficulty: Difficulty) -> Vec<u32> {
        let cells = self.methods.iter().flat_map(|method| &method.cells);
        let of = cells.filter(|cell| cell.difficulty == difficulty);
        let noises: BTreeSet<u32> = of.map(|cell| cell.noise).collect();
        noises.into_iter().collect()
    }
}

fn agreements(
    source: &str,
    method: &str,
    mixes: &[Mix],
    found: Vec<Found>,
) -> Result<Vec<Agreement>, EvaluationError> {
    let found: HashMap<String, Vec<Vec<u32>>> = found
        .into_iter()
        .map(|found| (found.mix, found.journeys))
        .collect();
    let agreement = |mix: &Mix| {
        let journeys = found.get(&mix.id).ok_or_else(|| EvaluationError::Source {
            name: source.into(),
            reason: format!(
                "{method} has found nothing for mix {}; run it again",
                mix.id
            ),
        })?;
        Ok(Agreement::of(&mix.labels, journeys))
    };
    mixes.iter().map(agreement).collect()
}

fn method(name: &str, tried: &Tried, ours: Option<&Tried>, sources: &[Judged]) -> MethodSummary {
    let mut cells = Vec::new();
    for source in sources {
        let Some(agreements) = tried.agreements.get(&source.name) else {
            continue;
        };
        let ours = ours.and_then(|ours| ours.agreements.get(&source.name));
        for (kind, members) in kinds(&source.mixes) {
            let members = members.into_iter();
            let members: Vec<(&str, usize)> =
                members.map(|at| (source.mixes[at].group(), at)).collect();
            cells.push(cell(&source.name, kind, &members, agreements, ours));
        }
    }
    let total = |of: &dyn Fn(&MethodHeader) -> f64| tried.headers.iter().map(of).sum::<f64>();
    let rate = |items: f64, seconds: f64| (seconds > 0.0).then_some(items / seconds);
    let first = tried.headers.first();
    MethodSummary {
        name: name.into(),
        label: first.map(|header| header.label.clone()).unwrap_or_default(),
        told_k: first.is_some_and(|header| header.told_k),
        parameters: first
            .map(|header| header.parameters.clone())
            .unwrap_or_default(),
        represented_per_second: rate(
            total(&|header| header.items as f64),
            total(&|header| header.represent_seconds),
        ),
        clustered_per_second: rate(
            total(&|header| header.clustered_items as f64),
            total(&|header| header.cluster_seconds),
        ),
        cells,
    }
}

/// Positions of the mixes of each kind: of any number of interests, and of each number. Windows are
/// of as many interests as they happen to have.
fn kinds(mixes: &[Mix]) -> BTreeMap<Kind, Vec<usize>> {
    let mut kinds: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
    for (at, mix) in mixes.iter().enumerate() {
        let mut add = |interests| {
            let kind = (mix.difficulty, mix.noise, interests);
            kinds.entry(kind).or_default().push(at);
        };
        add(None);
        if mix.difficulty != Difficulty::Window {
            add(Some(mix.interests));
        }
    }
    kinds
}

fn cell(
    source: &str,
    (difficulty, noise, interests): Kind,
    members: &[(&str, usize)],
    agreements: &[Agreement],
    ours: Option<&Vec<Agreement>>,
) -> Cell {
    let estimates = |of: &dyn Fn(usize) -> [(&'static str, f64); 12]| {
        let mut values: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
        for &(group, member) in members {
            for (name, value) in of(member) {
                values.entry(name).or_default().push((group, value));
            }
        }
        let estimate = |(name, values): (&str, Vec<(&str, f64)>)| {
            (name.to_owned(), Estimate::of_groups(values.into_iter()))
        };
        values.into_iter().map(estimate).collect()
    };
    let lead = |ours: &Vec<Agreement>| {
        estimates(&|at| {
            let mut scores = ours[at].scores();
            for (score, (_, other)) in scores.iter_mut().zip(agreements[at].scores()) {
                score.1 -= other;
            }
            scores
        })
    };
    Cell {
        source: source.into(),
        difficulty,
        noise,
        interests,
        scores: estimates(&|at| agreements[at].scores()),
        lead: ours.map(lead).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::folder::{Header, SourceHeader};

    /// Two mixes of two interests and one of the other half, of which one method finds all and the
    /// other puts the second together.
    fn folder() -> (tempfile::TempDir, Folder) {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::new(scratch.path());
        let mix = |id: &str, half| Mix {
            id: id.into(),
            half,
            difficulty: Difficulty::Easy,
            pool: None,
            noise: 0,
            interests: 2,
            titles: Vec::new(),
            items: ["a", "b", "c", "d"].map(str::to_owned).into(),
            labels: vec![Some(0), Some(0), Some(1), Some(1)],
        };
        let mixes = [
            mix("1", Half::Test),
            mix("2", Half::Test),
            mix("3", Half::Tune),
        ];
        let lines: Vec<String> = mixes
            .iter()
            .map(|m| serde_json::to_string(m).unwrap())
            .collect();
        folder
            .write_text("s/mixes.jsonl", &lines.join("\n"))
            .unwrap();
        let header = Header {
            seed: 7,
            mixes: 2,
            sources: vec![SourceHeader {
                name: "s".into(),
                items: 4,
                mixes: 3,
            }],
        };
        folder.write("mixes.json", &header).unwrap();
        let method = |label: &str| MethodHeader {
            label: label.into(),
            told_k: label != "Ours",
            parameters: String::new(),
            items: 100,
            represent_seconds: 0.5,
            clustered_items: 8,
            cluster_seconds: 0.01,
        };
        let found = |journeys: [&[&[u32]]; 2]| {
            let of = |(mix, journeys): (&str, &[&[u32]])| Found {
                mix: mix.into(),
                journeys: journeys.iter().map(|journey| journey.to_vec()).collect(),
            };
            ["1", "2"]
                .into_iter()
                .zip(journeys)
                .map(of)
                .collect::<Vec<Found>>()
        };
        let right: &[&[u32]] = &[&[0, 1], &[2, 3]];
        let together: &[&[u32]] = &[&[0, 1, 2, 3]];
        let write = |name: &str, label: &str, journeys| {
            folder
                .write_found("s", name, &method(label), &found(journeys))
                .unwrap();
        };
        write(OURS, "Ours", [right, right]);
        write("another", "Another", [right, together]);
        (scratch, folder)
    }

    #[test]
    fn methods_are_compared_mix_by_mix() {
        let (_scratch, folder) = folder();
        let summary = Summary::of(&folder, Half::Test).unwrap();
        let [ours, other] = &summary.methods[..] else {
            panic!("two methods: {summary:?}");
        };
        assert_eq!(
            (ours.label.as_str(), other.label.as_str()),
            ("Ours", "Another")
        );
        assert!(!ours.told_k && other.told_k);
        let ari =
            |method: &MethodSummary| method.cell("s", Difficulty::Easy, 0).unwrap().scores["ari"];
        assert_eq!((ari(ours).mean, ari(ours).values), (1.0, 2));
        assert_eq!(ari(other).mean, 0.5);
        let lead = other.cell("s", Difficulty::Easy, 0).unwrap().lead["ari"];
        assert_eq!((lead.mean, lead.values), (0.5, 2));
        let of_two = other.cells.iter().filter(|cell| cell.interests == Some(2));
        assert_eq!(of_two.count(), 1);
        assert_eq!(summary.noises(Difficulty::Easy), [0]);
    }

    #[test]
    fn an_item_takes_as_long_as_its_text_and_its_clustering() {
        let (_scratch, folder) = folder();
        let summary = Summary::of(&folder, Half::Test).unwrap();
        let ours = &summary.methods[0];
        assert_eq!(ours.represented_per_second, Some(200.0));
        assert_eq!(ours.clustered_per_second, Some(800.0));
        assert_eq!(ours.items_per_second().map(f64::round), Some(160.0));
    }

    #[test]
    fn a_method_that_knows_other_mixes_is_named() {
        let (_scratch, folder) = folder();
        let error = Summary::of(&folder, Half::Tune).unwrap_err().to_string();
        assert!(
            error.contains("another has found nothing for mix 3"),
            "{error}"
        );
    }
}
