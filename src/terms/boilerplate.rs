//! Words that say what form an item has, or which of a series it is, and not what it is about.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::words::are_neighbours;

/// Phrases without a subject, in any catalogue of videos, music or goods. Their words stay terms
/// elsewhere: "video" is one of "video editing".
const PHRASES: &str = "official video, official music video, official lyric video, official lyrics video, \
    official audio, official trailer, official teaser, official clip, official visualizer, lyric video, \
    lyrics video, full video, full movie, full episode, full album, full version, full hd, ultra hd, \
    hd quality, high quality, new release, brand new, best seller, free shipping, free delivery, \
    must watch, must see, offizielles video, offizieller trailer, clip officiel, vidéo officielle, \
    bande annonce, video oficial, vídeo oficial, clipe oficial, video ufficiale";

/// Words that number the parts of a series where a number follows: "Part 3", but not "part time".
const NUMBERED: &str = "part pt episode ep chapter ch volume vol season series lesson lecture no nr teil folge kapitel \
    staffel lektion partie épisode chapitre tome saison leçon parte episodio capítulo capitulo temporada lección episódio aula capitolo puntata stagione deel \
    aflevering hoofdstuk часть серия глава выпуск урок том";

/// Finds boilerplate.
pub(super) struct Boilerplate {
    /// Phrases by their first words, in lower case.
    phrases: HashMap<&'static str, Vec<Vec<&'static str>>>,
    numbered: HashSet<&'static str>,
}

impl Boilerplate {
    pub(super) fn new() -> Boilerplate {
        let mut phrases: HashMap<_, Vec<Vec<&str>>> = HashMap::new();
        for phrase in PHRASES.split(", ") {
            let words: Vec<&str> = phrase.split(' ').collect();
            phrases.entry(words[0]).or_default().push(words);
        }
        Boilerplate {
            phrases,
            numbered: NUMBERED.split_whitespace().collect(),
        }
    }

    /// How many words are boilerplate from this place on, 0 if none is.
    ///
    /// `words` are those of `text` from there on, in their places and in lower case.
    pub(super) fn length(&self, text: &str, words: &[(Range<usize>, String)]) -> usize {
        let Some((place, first)) = words.first() else {
            return 0;
        };
        if self.numbered.contains(first.as_str()) && is_numbered(&text[place.end..]) {
            return 1;
        }
        let phrases = self.phrases.get(first.as_str()).into_iter().flatten();
        let lengths = phrases
            .filter(|phrase| stands_here(phrase, text, words))
            .map(Vec::len);
        lengths.max().unwrap_or(0)
    }
}

fn stands_here(phrase: &[&str], text: &str, words: &[(Range<usize>, String)]) -> bool {
    let Some(words) = words.get(..phrase.len()) else {
        return false;
    };
    words
        .iter()
        .zip(phrase)
        .all(|((_, word), part)| word == part)
        && words
            .windows(2)
            .all(|pair| are_neighbours(text, &pair[0].0, &pair[1].0))
}

/// Whether a text goes on with a number, in digits or as the Romans wrote it.
fn is_numbered(text: &str) -> bool {
    let text = text.trim_start_matches(['.', ':', '#', ' ', '\u{a0}', '(']);
    let mut number = text.chars().take_while(|c| c.is_alphanumeric());
    let is_roman = |c: char| matches!(c, 'I' | 'V' | 'X');
    match number.next() {
        Some(first) => first.is_ascii_digit() || (is_roman(first) && number.all(is_roman)),
        None => false,
    }
}
