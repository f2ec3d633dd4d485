//! What mixes are made of: curated collections, or one long history whose items are labelled.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use super::folder::EvaluationError;
use super::mixes::Half;
use crate::ingest::json_rows;
use crate::item::Item;

/// Where items to be mixed come from.
#[derive(Debug)]
pub struct Source {
    /// What it is called in tables and in names of files.
    pub name: String,
    /// All items, in ascending order of ids: what terms are counted over.
    pub items: Vec<Item>,
    pub(super) material: Material,
}

/// Positions among the items of a source.
#[derive(Debug)]
pub(super) enum Material {
    Collections(Vec<Collection>),
    Streams(Vec<Stream>),
}

/// Items that somebody put together.
#[derive(Debug)]
pub(super) struct Collection {
    pub title: String,
    /// Collections of the same parent are hard to tell apart; empty where there is none.
    pub parent: String,
    pub half: Half,
    pub members: Vec<Member>,
}

/// An item of a collection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub item: u32,
    /// Equal for what is the same thing, whichever collection it is listed in.
    pub work: u64,
}

/// The labelled items of one half, in time order.
#[derive(Debug)]
pub(super) struct Stream {
    pub half: Half,
    pub items: Vec<(u32, String)>,
}

#[derive(Debug, Deserialize)]
struct CollectionRow {
    title: String,
    items: Vec<ItemRow>,
    #[serde(default)]
    list_title: Option<String>,
    #[serde(default)]
    path: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct ItemRow {
    title: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StreamRow {
    item_id: String,
    timestamp: Timestamp,
    title: String,
    #[serde(default)]
    description: Option<String>,
    topic_path: String,
}

/// What stands between the parts of a subject heading, as libraries write them.
const SUBDIVISION: &str = " -- ";

/// Halves are the same whatever the seed of a draw: what was tuned on one half must never be judged
/// by it.
const HALVES_SEED: u64 = 1;

/// Fewest items of a collection that is an interest.
const LEAST_MEMBERS: usize = 6;

impl Source {
    /// Collections: JSON lines with `title` and `items`, each with a `title` and perhaps a
    /// `description`, `tags` and a `url`. What has the same `url`, but for its
    /// scheme, `www.` and a slash at the end, or else the same title, is the same thing.
    ///
    /// The parent of a collection is the `list_title`, or else what stands in `path` above it, or else
    /// the main heading of a title that is a subject heading ("Whales -- Juvenile fiction").
    ///
    /// Half of the collections are to tune with, the others to test with. A thing that is in
    /// collections of both halves stays in those of one. Every listing of a thing is an item of its
    /// own, since its text may differ from list to list.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn collections(name: &str, locations: &[String]) -> Result<Source, EvaluationError> {
        let rows = json_rows::<CollectionRow>(locations, "collection")?;
        let halves = halves(rows.len());
        let mut items = Vec::new();
        let mut collections = Vec::new();
        for (row, half) in rows.into_iter().zip(halves) {
            let parent = row.row.parent();
            let mut members = Vec::new();
            for item in row.row.items {
                let at = items.len() as u32;
                let work = item.url.as_deref().map_or(item.title.as_str(), address);
                let work = xxh3_64(work.as_bytes());
                items.push(Item {
                    id: format!("{name}-{at:07}"),
                    title: item.title,
                    description: item.description.unwrap_or_default(),
                    tags: item.tags.unwrap_or_default(),
                    ..Item::default()
                });
                members.push(Member { item: at, work });
            }
            collections.push(Collection {
                title: row.row.title,
                parent,
                half,
                members,
            });
        }
        keep_halves_apart(&mut collections);
        collections.retain(|collection| collection.members.len() >= LEAST_MEMBERS);
        Ok(Source {
            name: name.into(),
            items,
            material: Material::Collections(collections),
        })
    }

    /// One history: JSON lines with `item_id`, `timestamp`, `title`, perhaps a `description`, and
    /// `topic_path`, whose parts are divided by slashes. Topics are divided into halves by the first
    /// part of their paths.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn stream(name: &str, locations: &[String]) -> Result<Source, EvaluationError> {
        let mut rows = json_rows::<StreamRow>(locations, "labelled item of a history")?;
        rows.sort_by(|a, b| a.row.item_id.cmp(&b.row.item_id));
        rows.dedup_by(|a, b| a.row.item_id == b.row.item_id);
        let areas: BTreeSet<&str> = rows.iter().map(|row| row.row.area()).collect();
        let halves: HashMap<String, Half> = areas
            .iter()
            .map(|&area| area.to_owned())
            .zip(halves(areas.len()))
            .collect();
        let mut items = Vec::new();
        // Time, id, half, label.
        let mut dated: Vec<(Timestamp, u32, Half, String)> = Vec::new();
        for row in rows {
            let at = items.len() as u32;
            let half = halves[row.row.area()];
            dated.push((row.row.timestamp, at, half, row.row.topic_path));
            items.push(Item {
                id: row.row.item_id,
                title: row.row.title,
                description: row.row.description.unwrap_or_default(),
                ..Item::default()
            });
        }
        dated.sort_by_key(|&(time, at, ..)| (time, at));
        let stream = |half| Stream {
            half,
            items: dated
                .iter()
                .filter(|(_, _, of, _)| *of == half)
                .map(|(_, at, _, topic)| (*at, topic.clone()))
                .collect(),
        };
        Ok(Source {
            name: name.into(),
            items,
            material: Material::Streams(Half::BOTH.map(stream).into()),
        })
    }
}

impl CollectionRow {
    fn parent(&self) -> String {
        if let Some(list) = &self.list_title {
            return list.clone();
        }
        let above = match self.path.split_last() {
            Some((last, above)) if *last == self.title => above,
            _ => &self.path[..],
        };
        if !above.is_empty() {
            return above.join("/");
        }
        let main = self.title.split_once(SUBDIVISION).map(|(main, _)| main);
        main.unwrap_or_default().to_owned()
    }
}

impl StreamRow {
    fn area(&self) -> &str {
        self.topic_path.split('/').next().unwrap_or_default()
    }
}

/// What of a URL tells one thing from another: lists write the rest in different ways.
fn address(url: &str) -> &str {
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    url.strip_prefix("www.")
        .unwrap_or(url)
        .trim_end_matches('/')
}

/// A half for each of so many, as many of one as of the other.
fn halves(number: usize) -> Vec<Half> {
    let mut halves: Vec<Half> = (0..number).map(|at| Half::BOTH[at % 2]).collect();
    halves.shuffle(&mut StdRng::seed_from_u64(HALVES_SEED));
    halves
}

/// Takes a thing that is in collections of both halves out of those of one, which its hash decides.
fn keep_halves_apart(collections: &mut [Collection]) {
    // Whether it is in either half.
    let mut seen: HashMap<u64, [bool; 2]> = HashMap::new();
    for collection in collections.iter() {
        for member in &collection.members {
            seen.entry(member.work).or_default()[collection.half as usize] = true;
        }
    }
    for collection in collections {
        let half = collection.half;
        collection.members.retain(|member| {
            let straddles = seen.get(&member.work) == Some(&[true, true]);
            !straddles || Half::BOTH[(member.work % 2) as usize] == half
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    fn write(rows: &[serde_json::Value]) -> (tempfile::TempDir, [String; 1]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        (folder, [path.display().to_string()])
    }

    fn row(title: &str, path: &[&str], first: usize) -> serde_json::Value {
        let item = |n| json!({"title": format!("Title {n}"), "url": format!("https://x/{n}")});
        let items: Vec<_> = (first..first + 8).map(item).collect();
        json!({"title": title, "path": path, "items": items})
    }

    fn collections(source: &Source) -> &[Collection] {
        let Material::Collections(collections) = &source.material else {
            panic!("{source:?}");
        };
        collections
    }

    #[test]
    fn the_parent_is_the_list_or_what_stands_above_or_the_main_heading() {
        let mut of_list = row("Chess", &["Games", "Chess"], 0);
        of_list["list_title"] = "Free time".into();
        let rows = [
            of_list,
            row("Chess", &["Games", "Board", "Chess"], 10),
            row("Chess", &["Games", "Board"], 20),
            row("Whales -- Fiction -- Juvenile", &[], 30),
            row("Whales", &[], 40),
        ];
        let (_folder, locations) = write(&rows);
        let source = Source::collections("s", &locations).unwrap();
        let parents = collections(&source).iter().map(|c| c.parent.as_str());
        let expected = ["Free time", "Games/Board", "Games/Board", "Whales", ""];
        assert_eq!(parents.collect::<Vec<_>>(), expected);
        assert!(source.items.is_sorted_by(|a, b| a.id < b.id));
    }

    #[test]
    fn one_thing_may_be_written_in_several_ways() {
        for url in [
            "https://www.example.org/a/",
            "http://example.org/a",
            "example.org/a",
        ] {
            assert_eq!(address(url), "example.org/a");
        }
        assert_ne!(address("https://example.org/a?b"), "example.org/a");
    }

    #[test]
    fn no_thing_is_in_both_halves_and_none_is_lost_from_both() {
        // Each shares six of its eight things with the next.
        let rows: Vec<_> = (0..40)
            .map(|n| row(&format!("C{n}"), &["p"], 2 * n))
            .collect();
        let (_folder, locations) = write(&rows);
        let source = Source::collections("s", &locations).unwrap();
        let works = |half| -> HashSet<u64> {
            let of_half = collections(&source).iter().filter(|c| c.half == half);
            of_half.flat_map(|c| &c.members).map(|m| m.work).collect()
        };
        let [tune, test] = Half::BOTH.map(works);
        assert!(!tune.is_empty() && !test.is_empty());
        assert!(tune.is_disjoint(&test));
        let least = collections(&source).iter().map(|c| c.members.len()).min();
        assert!(least >= Some(LEAST_MEMBERS));
    }

    #[test]
    fn topics_of_a_history_are_of_one_half_and_in_time_order() {
        let row = |n: i64| {
            let time = Timestamp::from_second(1_000_000 - n).unwrap();
            json!({"item_id": format!("i{n:03}"), "timestamp": time, "title": "t",
                   "topic_path": format!("area{}/topic{}", n % 6, n % 12)})
        };
        let (_folder, locations) = write(&(0..60).map(row).collect::<Vec<_>>());
        let source = Source::stream("s", &locations).unwrap();
        let Material::Streams(streams) = &source.material else {
            panic!("{source:?}");
        };
        let [tune, test] = &streams[..] else {
            panic!("two halves: {streams:?}");
        };
        assert_eq!((tune.items.len(), test.items.len()), (30, 30));
        let topics = |stream: &Stream| -> HashSet<String> {
            stream
                .items
                .iter()
                .map(|(_, topic)| topic.clone())
                .collect()
        };
        assert!(topics(tune).is_disjoint(&topics(test)));
        // Later ids are of earlier times.
        assert!(test.items.is_sorted_by(|a, b| a.0 > b.0));
    }

    #[test]
    fn a_row_that_is_no_collection_is_named() {
        let (_folder, locations) = write(&[json!({"title": "no items"})]);
        let error = Source::collections("s", &locations)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("rows.jsonl, line 1: it is no collection"),
            "{error}"
        );
    }
}
