//! Writer and reader together, on good files and on bad ones.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::prelude::*;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{HEADER_LENGTH, Header, Section};
use super::{Catalogue, CatalogueError, CatalogueSummary, CatalogueWriter};
use crate::item::{Item, ItemIndex};
use crate::terms::{
    Analyser, Salience, SalienceParams, TermId, TermVector, Vocabulary, VocabularyCounter,
};

fn item(id: &str, title: &str, description: &str) -> Item {
    Item {
        id: id.into(),
        title: title.into(),
        description: description.into(),
        ..Item::default()
    }
}

fn garden() -> Vec<Item> {
    let mut items = vec![
        item(
            "a1",
            "Hydroponic systems at home",
            "How hydroponic systems feed lettuce.",
        ),
        item(
            "a2",
            "Choosing hydroponic systems",
            "Pumps, lamps and lettuce seeds.",
        ),
        item("b1", "Sourdough bread", "Flour, water and a starter."),
        item(
            "b2",
            "Baking sourdough bread",
            "A starter, flour and a hot oven.",
        ),
        item("c1", "Zymurgy", ""),
    ];
    items[1].popularity = Some(0.5);
    items
}

fn count(items: &[Item], params: &SalienceParams, scratch: &Path) -> Vocabulary {
    let mut counter = VocabularyCounter::new(params, 0, scratch).expect("the parameters are good");
    counter.add(items).expect("there is room for scratch files");
    counter.finish().expect("there is room for scratch files")
}

fn write(items: &[Item], params: &SalienceParams, folder: &TempDir) -> (PathBuf, CatalogueSummary) {
    let vocabulary = count(items, params, folder.path());
    let path = folder.path().join("catalogue.sjc");
    let salience = Salience::formula(params);
    let mut writer = CatalogueWriter::create(&path, &vocabulary, &salience, folder.path())
        .expect("there is room for scratch files");
    for batch in items.chunks(2) {
        writer.add(batch).expect("the items are in order");
    }
    (
        path,
        writer.finish(|_| {}).expect("there is room for the file"),
    )
}

/// Parameters by which an item has only terms that stand in it.
fn own_terms() -> SalienceParams {
    SalienceParams {
        related_share: 0.0,
        ..SalienceParams::default()
    }
}

/// A catalogue of these items, in ascending order of ids, with the terms that stand in them.
pub(crate) fn catalogue_of(items: &[Item]) -> Catalogue {
    let folder = folder();
    let (path, _) = write(items, &own_terms(), &folder);
    Catalogue::open(&path).expect("it was just written")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn garden_file() -> (TempDir, PathBuf) {
    let folder = folder();
    let (path, _) = write(&garden(), &SalienceParams::default(), &folder);
    (folder, path)
}

/// Touches everything that a catalogue has, and a little beyond.
fn read_all(catalogue: &Catalogue) {
    for item in (0..catalogue.len() as u32 + 2)
        .chain([u32::MAX])
        .map(ItemIndex)
    {
        let id = catalogue.item_id(item).to_owned();
        let known = catalogue.find(&id).is_some();
        assert!(known || item.position() >= catalogue.len());
        catalogue.title(item);
        catalogue.popularity(item);
        for (term, weight) in catalogue.terms(item) {
            assert!(term.position() < catalogue.vocabulary_len());
            assert!(weight > 0.0);
        }
    }
    for term in (0..catalogue.vocabulary_len() as u32 + 2)
        .chain([u32::MAX])
        .map(TermId)
    {
        catalogue.term(term);
        catalogue.surface(term);
        catalogue.document_frequency(term);
    }
}

#[test]
fn a_catalogue_holds_what_was_written() {
    let folder = folder();
    let (path, summary) = write(&garden(), &SalienceParams::default(), &folder);
    let catalogue = Catalogue::open(&path).expect("it was just written");
    assert_eq!(catalogue.len(), 5);
    for (position, item) in garden().iter().enumerate() {
        let index = ItemIndex(position as u32);
        assert_eq!(catalogue.item_id(index), item.id);
        assert_eq!(catalogue.title(index), item.title);
        assert_eq!(catalogue.popularity(index), item.popularity);
        assert_eq!(catalogue.find(&item.id), Some(index));
    }
    assert_eq!(catalogue.find("a"), None);
    assert_eq!(catalogue.find("zz"), None);
    let size = fs::metadata(&path).expect("it is there").len();
    let terms = catalogue.vocabulary_len() as u64;
    assert_eq!(
        summary,
        CatalogueSummary {
            items: 5,
            without_terms: 1,
            terms,
            bytes: size
        }
    );
}

#[test]
fn items_about_one_thing_share_their_phrase_and_show_it_as_it_was_written() {
    let (_folder, path) = garden_file();
    let catalogue = Catalogue::open(&path).expect("it was just written");
    let surfaces = |id: &str| -> Vec<&str> {
        let item = catalogue.find(id).expect("it was written");
        catalogue
            .terms(item)
            .map(|(term, _)| catalogue.surface(term))
            .collect()
    };
    assert_eq!(surfaces("a1")[0], "hydroponic systems");
    assert_eq!(surfaces("a2")[0], "hydroponic systems");
    assert!(
        surfaces("b1").contains(&"sourdough bread"),
        "{:?}",
        surfaces("b1")
    );
    assert!(surfaces("c1").is_empty());
}

#[test]
fn weights_have_unit_norm_fall_and_are_close_to_the_exact_ones() {
    let folder = folder();
    let params = own_terms();
    let vocabulary = count(&garden(), &params, folder.path());
    let catalogue = catalogue_of(&garden());
    let analyser = Analyser::new(&params);
    for (position, item) in garden().iter().enumerate() {
        let exact = TermVector::of(
            &analyser.analyse(item),
            &vocabulary,
            &Salience::formula(&params),
        );
        let stored: Vec<_> = catalogue.terms(ItemIndex(position as u32)).collect();
        assert_eq!(stored.len(), exact.terms().len());
        assert!(stored.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        let norm: f32 = stored.iter().map(|(_, weight)| weight * weight).sum();
        assert!(stored.is_empty() || (norm - 1.0).abs() < 1e-5);
        for (&(term, weight), (same, close)) in exact.terms().iter().zip(stored) {
            assert_eq!(term, same);
            assert!((weight - close).abs() < 0.005, "{weight} {close}");
        }
    }
}

#[test]
fn items_about_one_thing_in_other_words_have_terms_in_common() {
    let about = |number: usize, text: &str| item(&format!("{number:02}"), text, "");
    let texts = [
        "film actor",
        "film actor",
        "film actor",
        "movie actor",
        "movie actor",
        "movie actor",
        "film",
        "movie",
        "bread oven",
        "bread oven",
        "bread",
        "chess",
        "chess",
    ];
    let items: Vec<Item> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| about(at, text))
        .collect();
    let cosine = |catalogue: &Catalogue, a: u32, b: u32| -> f32 {
        let other: HashMap<TermId, f32> = catalogue.terms(ItemIndex(b)).collect();
        catalogue
            .terms(ItemIndex(a))
            .filter_map(|(term, weight)| Some(weight * other.get(&term)?))
            .sum()
    };
    let (film, movie, bread) = (6, 7, 10);
    let apart = catalogue_of(&items);
    assert_eq!(cosine(&apart, film, movie), 0.0);
    let related = Catalogue::of_items(&items, &SalienceParams::default()).expect("there is room");
    // By what stands beside both.
    assert!(cosine(&related, film, movie) > 0.01);
    assert_eq!(cosine(&related, film, bread), 0.0);
}

#[test]
fn the_same_items_make_the_same_bytes_whatever_the_batches_and_threads() {
    let params = SalienceParams::default();
    let items: Vec<Item> = (0..600)
        .map(|i| {
            item(
                &format!("{i:04}"),
                &format!("word{} word{}", i % 7, i % 11),
                "and more",
            )
        })
        .collect();
    let write_with = |threads: usize, batch: usize, reversed: bool| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| {
            let folder = folder();
            let mut counter = VocabularyCounter::new(&params, 0, folder.path()).expect("good");
            let mut batches: Vec<&[Item]> = items.chunks(batch).collect();
            if reversed {
                batches.reverse();
            }
            for batch in batches {
                counter.add(batch).expect("there is room");
            }
            let vocabulary = counter.finish().expect("there is room");
            let path = folder.path().join("catalogue.sjc");
            let salience = Salience::formula(&params);
            let mut writer = CatalogueWriter::create(&path, &vocabulary, &salience, folder.path())
                .expect("there is room");
            for batch in items.chunks(batch) {
                writer.add(batch).expect("they are in order");
            }
            writer.finish(|_| {}).expect("there is room");
            fs::read(path).expect("it is there")
        })
    };
    let expected = write_with(1, 1000, false);
    assert_eq!(write_with(4, 7, true), expected);
}

#[test]
fn an_empty_catalogue_can_be_written_and_opened() {
    let folder = folder();
    let (path, summary) = write(&[], &SalienceParams::default(), &folder);
    let catalogue = Catalogue::open(&path).expect("it was just written");
    assert!(catalogue.is_empty());
    assert_eq!((summary.items, summary.terms), (0, 0));
    read_all(&catalogue);
}

#[test]
fn items_out_of_order_are_refused_within_and_across_batches() {
    let folder = folder();
    let params = SalienceParams::default();
    let vocabulary = count(&garden(), &params, folder.path());
    let path = folder.path().join("catalogue.sjc");
    let salience = Salience::formula(&params);
    let create =
        || CatalogueWriter::create(&path, &vocabulary, &salience, folder.path()).expect("room");
    let (a, b) = (item("a", "", ""), item("b", "", ""));

    let within = create().add(&[b.clone(), a.clone()]);
    assert!(
        matches!(within, Err(CatalogueError::OutOfOrder { id, previous }) if id == "a" && previous == "b")
    );
    let mut writer = create();
    writer.add(&[a, b.clone()]).expect("they are in order");
    assert!(matches!(
        writer.add(&[b]),
        Err(CatalogueError::OutOfOrder { .. })
    ));
}

#[test]
fn a_catalogue_of_other_items_than_were_counted_is_refused_and_leaves_no_file() {
    let folder = folder();
    let params = SalienceParams::default();
    let vocabulary = count(&garden(), &params, folder.path());
    let path = folder.path().join("catalogue.sjc");
    let salience = Salience::formula(&params);
    let mut writer =
        CatalogueWriter::create(&path, &vocabulary, &salience, folder.path()).expect("room");
    writer.add(&garden()[..3]).expect("they are in order");
    let refused = writer.finish(|_| {});
    assert!(matches!(
        refused,
        Err(CatalogueError::ItemsDiffer {
            written: 3,
            counted: 5
        })
    ));
    assert!(
        fs::read_dir(folder.path())
            .expect("it is there")
            .next()
            .is_none()
    );
}

#[test]
fn a_missing_file_an_empty_file_and_a_foreign_file_each_say_so() {
    let folder = folder();
    let path = folder.path().join("catalogue.sjc");
    assert!(matches!(
        Catalogue::open(&path),
        Err(CatalogueError::Io { action: "open", .. })
    ));
    for content in [&b""[..], b"item_id,title\n1,x\n"] {
        fs::write(&path, content).expect("room");
        let error = Catalogue::open(&path)
            .expect_err("it is not a catalogue")
            .to_string();
        assert!(
            error.contains("is not a catalogue") && error.contains("re-run"),
            "{error}"
        );
    }
}

#[test]
fn a_file_cut_at_any_section_is_refused() {
    let (_folder, path) = garden_file();
    let bytes = fs::read(&path).expect("it is there");
    let header = Header::parse(&bytes).expect("it was just written");
    let mut cuts: Vec<usize> = vec![1, 8, 12, HEADER_LENGTH - 1, HEADER_LENGTH, bytes.len() - 1];
    for range in header.ranges().expect("it fits") {
        cuts.extend([
            range.start as usize,
            range.end as usize - usize::from(!range.is_empty()),
        ]);
    }
    for cut in cuts.into_iter().filter(|&cut| cut < bytes.len()) {
        fs::write(&path, &bytes[..cut]).expect("room");
        let refused = Catalogue::open(&path);
        assert!(
            matches!(
                refused,
                Err(CatalogueError::Foreign { .. } | CatalogueError::Damaged { .. })
            ),
            "cut at {cut}: {refused:?}"
        );
    }
    let longer = [&bytes[..], b"x"].concat();
    fs::write(&path, longer).expect("room");
    assert!(matches!(
        Catalogue::open(&path),
        Err(CatalogueError::Damaged {
            section: "header",
            ..
        })
    ));
}

/// Changes one byte of a section and makes all checksums fit again, as an attacker would.
fn forge(bytes: &mut [u8], section: Section, at: usize, value: u8) {
    let mut header = Header::parse(bytes).expect("it was just written");
    let range = header.ranges().expect("it fits")[section as usize].clone();
    let range = range.start as usize..range.end as usize;
    bytes[range.clone()][at] = value;
    header.extents[section as usize].checksum = xxh3_64(&bytes[range]);
    bytes[..HEADER_LENGTH].copy_from_slice(&header.to_bytes().expect("it fits"));
}

#[test]
fn damage_behind_fitting_checksums_is_found_in_every_section_that_can_mislead() {
    let (_folder, path) = garden_file();
    let good = fs::read(&path).expect("it is there");
    for (section, at, value, says) in [
        (Section::Records, 3, 0x7f, "has term"),
        (Section::IdEnds, 7, 0x80, "ends before"),
        (Section::Ids, 0, 0xff, "not UTF-8"),
        (Section::Ids, 0, b'z', "not above"),
        (Section::TitleEnds, 0, 0xf0, "ends before"),
        (Section::Titles, 0, 0xff, "not UTF-8"),
        (Section::TermEnds, 7, 0x80, "ends before"),
        (Section::Terms, 0, b'z', "not above"),
        (Section::SurfaceEnds, 1, 0xff, "ends before"),
        (Section::Surfaces, 0, 0xff, "not UTF-8"),
    ] {
        let mut bytes = good.clone();
        forge(&mut bytes, section, at, value);
        fs::write(&path, &bytes).expect("room");
        match Catalogue::open(&path) {
            Err(CatalogueError::Damaged { reason, .. }) => {
                assert!(reason.contains(says), "{section:?}: {reason}");
            }
            other => panic!("{section:?} was not refused: {other:?}"),
        }
    }
}

/// The bytes of a good file, made once for all cases of the property tests.
fn garden_bytes() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let make = || {
        let (_folder, path) = garden_file();
        fs::read(path).expect("it is there")
    };
    BYTES.get_or_init(make).clone()
}

proptest! {
    #[test]
    fn a_flipped_bit_is_found_or_harmless(places in proptest::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..4)) {
        let folder = folder();
        let path = folder.path().join("catalogue.sjc");
        let mut bytes = garden_bytes();
        for (place, bit) in places {
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        fs::write(&path, &bytes).expect("room");
        if let Ok(catalogue) = Catalogue::open(&path) {
            read_all(&catalogue);
        }
    }

    #[test]
    fn no_byte_behind_fitting_checksums_makes_a_reader_panic(
        section in prop::sample::select(Section::ALL.to_vec()),
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let folder = folder();
        let path = folder.path().join("catalogue.sjc");
        let mut bytes = garden_bytes();
        let length = Header::parse(&bytes).expect("it was just written").extents[section as usize].length;
        forge(&mut bytes, section, place.index(length as usize), value);
        fs::write(&path, &bytes).expect("room");
        if let Ok(catalogue) = Catalogue::open(&path) {
            read_all(&catalogue);
        }
    }
}
