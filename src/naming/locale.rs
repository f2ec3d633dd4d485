//! The language that names are written in, where it is not that of the titles.

use std::fmt;
use std::str::FromStr;

use unicode_script::Script;
use unicode_script::Script::{
    Arabic, Armenian, Bengali, Cyrillic, Devanagari, Georgian, Greek, Han, Hangul, Hebrew,
    Hiragana, Latin, Tamil, Telugu, Thai,
};

/// Languages by their codes of ISO 639, with their names in English, which models know best, and
/// the scripts that they are written in.
const LANGUAGES: &[(&str, &str, &[Script])] = &[
    ("ar", "Arabic", &[Arabic]),
    ("bg", "Bulgarian", &[Cyrillic]),
    ("bn", "Bengali", &[Bengali]),
    ("ca", "Catalan", &[Latin]),
    ("cs", "Czech", &[Latin]),
    ("da", "Danish", &[Latin]),
    ("de", "German", &[Latin]),
    ("el", "Greek", &[Greek]),
    ("en", "English", &[Latin]),
    ("es", "Spanish", &[Latin]),
    ("et", "Estonian", &[Latin]),
    ("fa", "Persian", &[Arabic]),
    ("fi", "Finnish", &[Latin]),
    ("fr", "French", &[Latin]),
    ("he", "Hebrew", &[Hebrew]),
    ("hi", "Hindi", &[Devanagari]),
    ("hr", "Croatian", &[Latin]),
    ("hu", "Hungarian", &[Latin]),
    ("hy", "Armenian", &[Armenian]),
    ("id", "Indonesian", &[Latin]),
    ("it", "Italian", &[Latin]),
    ("ja", "Japanese", &[Hiragana, Han]),
    ("ka", "Georgian", &[Georgian]),
    ("ko", "Korean", &[Hangul]),
    ("lt", "Lithuanian", &[Latin]),
    ("lv", "Latvian", &[Latin]),
    ("mr", "Marathi", &[Devanagari]),
    ("ms", "Malay", &[Latin]),
    ("nb", "Norwegian", &[Latin]),
    ("nl", "Dutch", &[Latin]),
    ("no", "Norwegian", &[Latin]),
    ("pl", "Polish", &[Latin]),
    ("pt", "Portuguese", &[Latin]),
    ("ro", "Romanian", &[Latin]),
    ("ru", "Russian", &[Cyrillic]),
    ("sk", "Slovak", &[Latin]),
    ("sl", "Slovenian", &[Latin]),
    ("sr", "Serbian", &[Cyrillic, Latin]),
    ("sv", "Swedish", &[Latin]),
    ("sw", "Swahili", &[Latin]),
    ("ta", "Tamil", &[Tamil]),
    ("te", "Telugu", &[Telugu]),
    ("th", "Thai", &[Thai]),
    ("tl", "Tagalog", &[Latin]),
    ("tr", "Turkish", &[Latin]),
    ("uk", "Ukrainian", &[Cyrillic]),
    ("ur", "Urdu", &[Arabic]),
    ("vi", "Vietnamese", &[Latin]),
    ("zh", "Chinese", &[Han]),
];

/// A language, perhaps of one country or in one script: `de`, `pt-BR`, `zh-Hant`, `sr-Latn-RS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locale {
    code: String,
    language: String,
    scripts: Vec<Script>,
}

impl Locale {
    /// Its code, in the case that is usual.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// As a model is told.
    pub(super) fn language(&self) -> &str {
        &self.language
    }

    /// What it is written in; none where that is not known.
    pub(super) fn scripts(&self) -> &[Script] {
        &self.scripts
    }
}

impl FromStr for Locale {
    type Err = String;

    fn from_str(text: &str) -> Result<Locale, String> {
        let refused = || format!("{text:?} is no language; it looks like de, pt-BR or zh-Hant");
        let mut parts = text.split(['-', '_']);
        let language = parts.next().unwrap_or_default().to_lowercase();
        let is_letters = |part: &str| part.chars().all(|c| c.is_ascii_alphabetic());
        if !(2..=3).contains(&language.len()) || !is_letters(&language) {
            return Err(refused());
        }
        let mut script = None;
        let mut code = language.clone();
        for (at, part) in parts.enumerate() {
            let part = match part.len() {
                4 if at == 0 && is_letters(part) => {
                    let name = part[..1].to_uppercase() + &part[1..].to_lowercase();
                    script = Some(scripts_of(&name).ok_or_else(refused)?);
                    name
                }
                2 if is_letters(part) => part.to_uppercase(),
                3 if part.chars().all(|c| c.is_ascii_digit()) => part.to_owned(),
                _ => return Err(refused()),
            };
            code = code + "-" + &part;
        }
        let known = LANGUAGES.iter().find(|(known, ..)| *known == language);
        Ok(Locale {
            language: match known {
                Some((_, name, _)) if code == language => (*name).to_owned(),
                Some((_, name, _)) => format!("{name} ({code})"),
                None => format!("the language of the locale {code}"),
            },
            scripts: script.unwrap_or_else(|| known.map_or(Vec::new(), |known| known.2.to_vec())),
            code,
        })
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}

/// The scripts that a code of ISO 15924 stands for.
fn scripts_of(code: &str) -> Option<Vec<Script>> {
    Some(match code {
        "Hans" | "Hant" => vec![Han],
        "Jpan" => vec![Hiragana, Han],
        "Kore" => vec![Hangul, Han],
        code => vec![Script::from_short_name(code)?],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_says_its_language_and_its_scripts() {
        for (text, code, language, scripts) in [
            ("de", "de", "German", &[Latin][..]),
            ("pt_br", "pt-BR", "Portuguese (pt-BR)", &[Latin]),
            ("zh-hant-TW", "zh-Hant-TW", "Chinese (zh-Hant-TW)", &[Han]),
            ("sr-Latn", "sr-Latn", "Serbian (sr-Latn)", &[Latin]),
            ("es-419", "es-419", "Spanish (es-419)", &[Latin]),
            ("gsw", "gsw", "the language of the locale gsw", &[]),
        ] {
            let locale: Locale = text.parse().unwrap();
            assert_eq!(locale.code(), code);
            assert_eq!(locale.language(), language);
            assert_eq!(locale.scripts(), scripts);
        }
    }

    #[test]
    fn what_is_no_locale_is_refused() {
        for text in [
            "",
            "d",
            "german",
            "de-",
            "de-Germany",
            "12",
            "sr-Abcd",
            "de\nX",
        ] {
            let message = text.parse::<Locale>().unwrap_err();
            assert!(message.contains("is no language"), "{message}");
        }
    }
}
