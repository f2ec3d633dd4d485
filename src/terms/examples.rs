//! What becomes of texts as they are found in the world.

use super::*;
use crate::catalogue::Catalogue;
use crate::item::{Item, ItemIndex};

fn titled(titles: &[&str]) -> Vec<Item> {
    let titled = |(at, title): (usize, &&str)| Item {
        id: format!("{at:04}"),
        title: (*title).into(),
        ..Item::default()
    };
    titles.iter().enumerate().map(titled).collect()
}

/// The words that are matched, in their order.
fn words_of(language: Language, text: &str) -> String {
    let params = SalienceParams {
        language,
        ..SalienceParams::default()
    };
    let analysis = Analyser::new(&params).analyse(&titled(&[text])[0]);
    let stems: Vec<&str> = analysis.tokens().map(|token| token.stem).collect();
    stems.join(" ")
}

#[test]
fn words_are_what_a_text_is_about() {
    let mut wrong = Vec::new();
    use Language::{English, French, German, Russian, Spanish, Turkish};
    for (language, text, words) in [
        // Boilerplate.
        (
            English,
            "Rick Astley - Never Gonna Give You Up (Official Music Video) [HD]",
            "rick astley gonna hd",
        ),
        (English, "OFFICIAL VIDEO: Sultans of Swing", "sultan swing"),
        (English, "Video editing, part 3", "video edit"),
        (English, "Ken Burns: The War, Episode IV", "ken burn war"),
        (
            English,
            "Part time work; Vol. 2 of the diaries",
            "part time work diari",
        ),
        (English, "How to tie a bow tie", "tie bow tie"),
        (German, "Töpfern lernen, Teil 2", "topf lern"),
        (Spanish, "Guitarra fácil - Capítulo 12", "guitarr facil"),
        (Russian, "Вязание для начинающих. Урок 3", "вязан начина"),
        // Numbers and years.
        (English, "The 25 best films of 2013", "best film"),
        (
            English,
            "Synth pop of the 1980s on a Juno-106",
            "synth pop 1980s juno",
        ),
        (English, "3D printing in 1,75 mm at 60mm/s", "3d print mm"),
        // Accents.
        (French, "L'amour de la crème brûlée", "amour crem brul"),
        (English, "Crème brûlée", "creme brule"),
        (Turkish, "İstanbul'da ŞİŞ kebap", "istanbul sis kebap"),
        // Scripts.
        (English, "東京ラーメン", "東京 ラーメン"),
        (English, "매운 김치를 만드는 방법", "매운 김치 만드 방법"),
        (English, "สวนผัก", "สว วน นผั ผัก"),
    ] {
        let found = words_of(language, text);
        if found != words {
            wrong.push(format!("{text}: {found:?}, not {words:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How alike two titles are in a catalogue of these.
fn cosine(language: Language, titles: &[&str], a: usize, b: usize) -> f64 {
    let params = SalienceParams {
        language,
        related_share: 0.0,
        ..SalienceParams::default()
    };
    let catalogue = Catalogue::of_items(&titled(titles), &params).unwrap();
    let terms = |item: usize| catalogue.terms(ItemIndex(item as u32));
    let products = terms(a).map(|(term, weight)| {
        let same = terms(b).find(|&(other, _)| other == term);
        f64::from(weight) * same.map_or(0.0, |(_, other)| f64::from(other))
    });
    products.sum()
}

#[test]
fn korean_titles_meet_whatever_particles_they_have() {
    let titles = [
        "김치를 담그는 법",
        "김치가 익었다",
        "우쿨렐레를 배우자",
        "우쿨렐레는 작다",
    ];
    assert!(cosine(Language::Any, &titles, 0, 1) > 0.9);
    assert!(cosine(Language::Any, &titles, 2, 3) > 0.9);
    assert_eq!(cosine(Language::Any, &titles, 0, 2), 0.0);
}

#[test]
fn german_compounds_meet_what_they_are_made_of() {
    let titles = [
        "Gemüsegarten",
        "Garten für Anfänger",
        "Gemüse und Garten",
        "Frisches Gemüse",
        "Zeitungsartikel",
        "Artikel der Zeitung",
        "Zeitung und Artikel",
    ];
    assert!(cosine(Language::German, &titles, 0, 2) > 0.9);
    assert!(cosine(Language::German, &titles, 0, 1) > 0.3);
    // So they do where the compound is a term itself.
    let often = [
        &titles[..],
        &["Gemüsegarten", "Garten", "Gemüse", "Garten", "Gemüse"],
    ]
    .concat();
    assert!(cosine(Language::German, &often, 0, 1) > 0.1);
    assert!(cosine(Language::German, &often, 0, 3) > 0.1);
    assert!(cosine(Language::German, &titles, 4, 5) > 0.9);
    assert_eq!(cosine(Language::German, &titles, 0, 4), 0.0);
    assert_eq!(cosine(Language::English, &titles, 0, 2), 0.0);
}

#[test]
fn videos_of_two_bands_do_not_meet_in_being_official() {
    let titles = [
        "Dire Straits - Walk of Life (Official Video)",
        "Dire Straits - Brothers in Arms (Official Video)",
        "Talk Talk - Life's What You Make It (Official Video)",
        "Talk Talk - Such a Shame (Official Video)",
        "Kraftwerk - Das Model (Official Audio)",
    ];
    assert!(cosine(Language::English, &titles, 0, 1) > 0.5);
    assert_eq!(cosine(Language::English, &titles, 1, 3), 0.0);
}
