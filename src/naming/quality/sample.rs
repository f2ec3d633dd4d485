//! Which collections are named, and which of them are one user's.

use std::collections::{BTreeMap, HashSet};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::Serialize;

use super::QualityError;
use crate::naming::Template;
use crate::naming::answer::check;
use crate::naming::curated::{self, Curated};
use crate::terms::SalienceParams;

/// Journeys of one user.
const JOURNEYS_PER_USER: usize = 4;

/// Users whose journeys are named together, as those of one job are.
const USERS_PER_GROUP: usize = 4;

/// What to draw from what.
#[derive(Clone, Debug)]
pub struct SampleOptions {
    /// Files, folders, globs or URLs of JSON lines with `title` and `items`.
    pub collections: Vec<String>,
    /// How many to draw in all, as many from each file.
    pub size: usize,
    /// Of the draw.
    pub seed: u64,
    /// How terms are weighed.
    pub salience: SalienceParams,
    /// Titles that this would refuse as names are not drawn.
    pub template: Template,
}

/// What became of the collections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SampleCounts {
    /// Collections that were read.
    pub collections: u64,
    /// Collections of whose items none has a term.
    pub without_terms: u64,
    /// Collections whose titles would be refused as names, by the reason.
    pub refused: BTreeMap<String, u64>,
    /// Collections of a title that another one of the file has.
    pub repeated: u64,
    /// What was drawn from.
    pub candidates: u64,
    /// What was drawn.
    pub drawn: u64,
}

/// Collections to be named.
#[derive(Debug)]
pub struct Sample {
    /// From all files in turn.
    pub groups: Vec<Group>,
    /// What became of the others.
    pub counts: SampleCounts,
    /// Of the draw.
    pub seed: u64,
}

/// Users whose journeys are named together.
#[derive(Debug)]
pub struct Group {
    /// Number of the first, from 0.
    pub(super) first: usize,
    pub(super) users: Vec<Vec<Curated>>,
}

impl Group {
    /// How many journeys there are.
    pub fn journeys(&self) -> usize {
        self.users.iter().map(Vec::len).sum()
    }
}

impl Sample {
    /// Draws the same for the same seed and files: as many from each file, spread over its subjects
    /// in turn, in random order. Those that follow one another are a user's journeys.
    ///
    /// # Errors
    /// When the files cannot be read, or one has too few collections.
    pub fn draw(options: &SampleOptions) -> Result<Sample, QualityError> {
        let read = curated::read(&options.collections, &options.salience)?;
        let mut counts = SampleCounts {
            collections: read.collections,
            without_terms: read.without_terms,
            ..SampleCounts::default()
        };
        let files = candidates(read.curated, &options.template, &mut counts);
        let mut rng = StdRng::seed_from_u64(options.seed);
        let number = files.len();
        let mut drawn: Vec<Vec<Group>> = Vec::new();
        let mut users = 0;
        for (at, (file, candidates)) in files.into_iter().enumerate() {
            // What cannot be divided goes to the first.
            let wanted = options.size / number + usize::from(at < options.size % number);
            let found = candidates.len();
            if found < wanted {
                return Err(QualityError::TooFew {
                    file,
                    found,
                    wanted,
                });
            }
            counts.candidates += found as u64;
            counts.drawn += wanted as u64;
            drawn.push(groups(&spread(candidates, wanted, &mut rng), &mut users));
        }
        Ok(Sample {
            groups: in_turn(drawn),
            counts,
            seed: options.seed,
        })
    }

    /// As many groups, from the first, as have so many journeys, or all.
    pub fn first(&self, journeys: usize) -> &[Group] {
        let mut there = 0;
        let groups = self.groups.iter().take_while(|group| {
            let wanted = there < journeys;
            there += group.journeys();
            wanted
        });
        &self.groups[..groups.count()]
    }
}

/// By file, those whose titles could be names.
fn candidates(
    curated: Vec<Curated>,
    template: &Template,
    counts: &mut SampleCounts,
) -> BTreeMap<String, Vec<Curated>> {
    let mut files: BTreeMap<String, Vec<Curated>> = BTreeMap::new();
    let mut titles: HashSet<(String, String)> = HashSet::new();
    for mut curated in curated {
        let file = files.entry(curated.source.clone()).or_default();
        match check(
            template,
            Some(&curated.title),
            &curated.evidence(template),
            &[],
        ) {
            Err(rejection) => *counts.refused.entry(rejection.to_string()).or_default() += 1,
            Ok(title) if !titles.insert((curated.source.clone(), title.to_lowercase())) => {
                counts.repeated += 1;
            }
            Ok(title) => {
                curated.title = title;
                file.push(curated);
            }
        }
    }
    files
}

/// So many of those that there are, of each subject in turn.
fn spread(candidates: Vec<Curated>, wanted: usize, rng: &mut StdRng) -> Vec<Curated> {
    let mut subjects: BTreeMap<String, Vec<Curated>> = BTreeMap::new();
    for curated in candidates {
        let of_subject = subjects.entry(curated.subject.clone()).or_default();
        of_subject.push(curated);
    }
    let mut subjects: Vec<Vec<Curated>> = subjects.into_values().collect();
    subjects.shuffle(rng);
    subjects.iter_mut().for_each(|subject| subject.shuffle(rng));
    let mut drawn = in_turn(subjects);
    drawn.truncate(wanted);
    drawn.shuffle(rng);
    drawn
}

fn groups(drawn: &[Curated], users: &mut usize) -> Vec<Group> {
    let of_users: Vec<Vec<Curated>> = drawn.chunks(JOURNEYS_PER_USER).map(<[_]>::to_vec).collect();
    let groups = of_users.chunks(USERS_PER_GROUP).map(|group| {
        let first = *users;
        *users += group.len();
        Group {
            first,
            users: group.to_vec(),
        }
    });
    groups.collect()
}

/// The first of each list, then the second of each, and so on.
fn in_turn<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of 40 collections, of which every fourth is about birds.
    fn options(folder: &std::path::Path, size: usize, seed: u64) -> SampleOptions {
        for file in ["a.jsonl", "b.jsonl"] {
            let row = |n: usize| {
                let subject = if n.is_multiple_of(4) {
                    "birds"
                } else {
                    "boats"
                };
                serde_json::json!({
                    "title": format!("Lore{n} of {file}{n}"),
                    "path": [subject, "more"],
                    "items": [{"title": format!("Lore{n} {file}{n} one")},
                              {"title": format!("Lore{n} {file}{n} two")}],
                })
            };
            let rows: Vec<String> = (0..40).map(|n| row(n).to_string()).collect();
            std::fs::write(folder.join(file), rows.join("\n")).unwrap();
        }
        SampleOptions {
            collections: vec![folder.display().to_string()],
            size,
            seed,
            salience: SalienceParams::default(),
            template: Template::default(),
        }
    }

    fn drawn(sample: &Sample) -> Vec<(String, u64)> {
        let users = sample.groups.iter().flat_map(|group| &group.users);
        let curated = users.flatten();
        curated.map(|c| (c.source.clone(), c.line)).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let draw = |seed| drawn(&Sample::draw(&options(folder.path(), 36, seed)).unwrap());
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_sample_is_spread_over_files_and_subjects_and_nothing_is_in_it_twice() {
        let folder = tempfile::tempdir().unwrap();
        let sample = Sample::draw(&options(folder.path(), 37, 1)).unwrap();
        let drawn: HashSet<(String, u64)> = drawn(&sample).into_iter().collect();
        assert_eq!(drawn.len(), 37);
        for (file, wanted, birds) in [("a.jsonl", 19, 10), ("b.jsonl", 18, 9)] {
            let of_file = drawn.iter().filter(|(source, _)| source.ends_with(file));
            let lines: Vec<u64> = of_file.map(|(_, line)| *line).collect();
            assert_eq!(lines.len(), wanted);
            // Either of the two subjects may come first.
            let about_birds = lines.iter().filter(|line| (*line - 1) % 4 == 0).count();
            assert!((birds - 1..=birds).contains(&about_birds), "{about_birds}");
        }
        assert_eq!(sample.counts.candidates, 80);
        assert_eq!(sample.counts.drawn, 37);
    }

    #[test]
    fn users_have_journeys_of_one_file_and_groups_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let sample = Sample::draw(&options(folder.path(), 64, 1)).unwrap();
        let sizes: Vec<usize> = sample.groups.iter().map(Group::journeys).collect();
        assert_eq!(sizes, [16, 16, 16, 16]);
        let file = |group: &Group| group.users[0][0].source.clone();
        let files: Vec<String> = sample.groups.iter().map(file).collect();
        assert!(files[0] == files[2] && files[1] == files[3] && files[0] != files[1]);
        for group in &sample.groups {
            assert!(
                group
                    .users
                    .iter()
                    .flatten()
                    .all(|c| c.source == file(group))
            );
        }
        assert_eq!(sample.first(17).len(), 2);
        assert_eq!(sample.first(1000).len(), 4);
    }

    #[test]
    fn what_could_be_no_name_and_what_is_there_twice_is_left_out_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let row = |title: &str| {
            format!(
                r#"{{"title":"{title}","items":[{{"title":"Ukulele one"}},{{"title":"Ukulele two"}}]}}"#
            )
        };
        let rows = ["Ukulele", "ukulele", "Various", "Chess"].map(row);
        std::fs::write(folder.path().join("c.jsonl"), rows.join("\n")).unwrap();
        let mut options = options(folder.path(), 1, 1);
        options.collections = vec![folder.path().join("c.jsonl").display().to_string()];
        let sample = Sample::draw(&options).unwrap();
        assert_eq!(sample.counts.repeated, 1);
        assert_eq!(sample.counts.refused.values().sum::<u64>(), 2);
        options.size = 2;
        let error = Sample::draw(&options).unwrap_err().to_string();
        assert!(error.contains("c.jsonl has 1 collections"), "{error}");
    }
}
