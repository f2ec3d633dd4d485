//! Terms of real catalogues, to be read by eye: run with `--nocapture`.
//!
//! The data lies beside the repository (or where `SOJOURN_SHARED_DATA` says), as it is other
//! people's. Without it these tests do nothing but say so; in CI they fail.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::{Catalogue, CatalogueSummary, CatalogueWriter};
use crate::item::{Item, ItemIndex};
use crate::terms::{Salience, SalienceParams, VocabularyCounter};

/// What an ingest would hand over at a time.
const BATCH: usize = 8192;

/// Items printed of each catalogue, evenly spread.
const PRINTED: usize = 15;

/// A row of any of the files that are read here.
#[derive(Deserialize)]
struct Row {
    item_id: String,
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    genres: Vec<String>,
}

impl From<Row> for Item {
    fn from(row: Row) -> Item {
        Item {
            id: row.item_id,
            title: row.title,
            description: row.description,
            tags: row.genres,
            ..Item::default()
        }
    }
}

/// The file, decompressed; none if there is no shared data on this machine.
fn shared(file: &str) -> Option<BufReader<GzDecoder<File>>> {
    let folder = std::env::var_os("SOJOURN_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = folder.join(file);
    match File::open(&path) {
        Ok(file) => Some(BufReader::new(GzDecoder::new(file))),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped, cannot open {}: {error}", path.display());
            None
        }
        Err(error) => panic!("cannot open {}: {error}", path.display()),
    }
}

fn jsonl(file: &str) -> Option<Vec<Item>> {
    let lines = shared(file)?.lines();
    let row = |line: std::io::Result<String>| -> Item {
        serde_json::from_str::<Row>(&line.expect("text"))
            .expect("a row")
            .into()
    };
    Some(sorted(lines.map(row)))
}

fn csv(file: &str) -> Option<Vec<Item>> {
    let mut reader = csv::Reader::from_reader(shared(file)?);
    let items = sorted(
        reader
            .deserialize::<Row>()
            .map(|row| row.expect("a row").into()),
    );
    Some(items)
}

fn sorted(items: impl Iterator<Item = Item>) -> Vec<Item> {
    items
        .map(|item| (item.id.clone(), item))
        .collect::<BTreeMap<_, _>>()
        .into_values()
        .collect()
}

/// Makes the catalogue, prints how long it took and what the terms of some items are.
fn build(name: &str, items: &[Item]) -> (Catalogue, CatalogueSummary) {
    let params = SalienceParams::default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = Instant::now();
    let mut counter = VocabularyCounter::new(&params, 0, folder.path()).expect("good parameters");
    for batch in items.chunks(BATCH) {
        counter.add(batch).expect("room");
    }
    let vocabulary = counter.finish().expect("room");
    let counted = start.elapsed();
    let path = folder.path().join("catalogue.sjc");
    let salience = Salience::formula(&params);
    let mut writer =
        CatalogueWriter::create(&path, &vocabulary, &salience, folder.path()).expect("room");
    for batch in items.chunks(BATCH) {
        writer.add(batch).expect("in order");
    }
    let summary = writer.finish(|_| {}).expect("room");
    let written = start.elapsed() - counted;
    let start = Instant::now();
    let catalogue = Catalogue::open(&path).expect("just written");
    let opened = start.elapsed();

    println!("{name}: {:?}, {summary:?}", vocabulary.stats());
    for (what, time) in [("count", counted), ("write", written), ("open", opened)] {
        let rate = items.len() as f64 / time.as_secs_f64();
        println!(
            "{name}: {what} {:.3} s, {rate:.0} items/s",
            time.as_secs_f64()
        );
    }
    for position in (0..PRINTED).map(|row| (2 * row + 1) * items.len() / (2 * PRINTED)) {
        println!(
            "  {}\n    {}",
            items[position].title,
            surfaces(&catalogue, position).join(" | ")
        );
    }
    (catalogue, summary)
}

fn surfaces(catalogue: &Catalogue, position: usize) -> Vec<&str> {
    let terms = catalogue.terms(ItemIndex(position as u32));
    terms.map(|(term, _)| catalogue.surface(term)).collect()
}

fn surfaces_of<'c>(catalogue: &'c Catalogue, items: &[Item], title: &str) -> Vec<&'c str> {
    let position = items.iter().position(|item| item.title == title);
    surfaces(
        catalogue,
        position.unwrap_or_else(|| panic!("no item {title:?}")),
    )
}

#[test]
fn films_are_described_by_their_genre_makers_and_subject() {
    let Some(items) = jsonl("movietweetings/items.jsonl.gz") else {
        return;
    };
    let (catalogue, summary) = build("movietweetings", &items);
    assert_eq!(summary.items, 12_611);
    assert!(summary.without_terms * 100 < summary.items, "{summary:?}");
    let terms = surfaces_of(&catalogue, &items, "Moontrap");
    for expected in ["astronaut", "alien invasion", "Bruce Campbell"] {
        assert!(terms.contains(&expected), "{terms:?}");
    }
}

#[test]
fn shop_items_in_capitals_have_readable_terms() {
    let Some(items) = csv("online_retail/items.csv.gz") else {
        return;
    };
    let (catalogue, summary) = build("online_retail", &items);
    assert!(summary.without_terms * 50 < summary.items, "{summary:?}");
    for position in 0..items.len() {
        for surface in surfaces(&catalogue, position) {
            assert!(!surface.is_empty() && surface.len() < 40, "{surface:?}");
        }
    }
}

#[test]
fn links_are_described_by_their_subject() {
    let Some(items) = jsonl("everything_i_know/history.jsonl.gz") else {
        return;
    };
    let (_, summary) = build("everything_i_know", &items);
    assert_eq!(summary.items, 105_156);
    assert!(summary.without_terms * 10 < summary.items, "{summary:?}");
}
