//! Whether a name is written as its journey is.

use unicode_script::{Script, UnicodeScript};

use super::Locale;

/// The scripts of the letters of some texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Scripts(Vec<Script>);

impl Scripts {
    pub(super) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Scripts {
        let mut scripts = Scripts::default();
        for text in texts {
            // Most texts need no look at the tables.
            match text.is_ascii() {
                true if text.bytes().any(|byte| byte.is_ascii_alphabetic()) => {
                    scripts.add(Script::Latin);
                }
                true => {}
                false => text
                    .chars()
                    .filter_map(script)
                    .for_each(|script| scripts.add(script)),
            }
        }
        scripts
    }

    fn add(&mut self, script: Script) {
        if !self.0.contains(&script) {
            self.0.push(script);
        }
    }

    /// Whether text in `script` may stand beside this: where there is Kana or Hangul, there is Han.
    fn allow(&self, script: Script) -> bool {
        let with_han = [Script::Hiragana, Script::Hangul];
        self.0.contains(&script)
            || (script == Script::Han && with_han.iter().any(|other| self.0.contains(other)))
    }

    /// Whether a name may stand for a journey of these scripts: it has no letter of another one,
    /// but for those of the language that is asked for, and of those it has one at least.
    pub(super) fn fit(&self, name: &str, locale: Option<&Locale>) -> bool {
        let wanted = Scripts(locale.map_or(Vec::new(), |locale| locale.scripts().to_vec()));
        let of_name = Scripts::of([name]);
        let is_known = locale.is_none() || !wanted.0.is_empty();
        let no_letters = self.0.is_empty() && wanted.0.is_empty();
        let none_strange = of_name.0.iter().all(|&s| self.allow(s) || wanted.allow(s));
        let is_wanted = wanted.0.is_empty() || of_name.0.iter().any(|&s| wanted.allow(s));
        !is_known || no_letters || (none_strange && is_wanted)
    }
}

/// The script of a letter; none of digits, signs and marks. Both kinds of Kana are one.
fn script(c: char) -> Option<Script> {
    match c.script() {
        Script::Common | Script::Inherited | Script::Unknown => None,
        Script::Katakana => Some(Script::Hiragana),
        script => c.is_alphabetic().then_some(script),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(name: &str, titles: &[&str], locale: Option<&str>) -> bool {
        let locale: Option<Locale> = locale.map(|code| code.parse().unwrap());
        Scripts::of(titles.iter().copied()).fit(name, locale.as_ref())
    }

    #[test]
    fn a_name_has_the_scripts_of_its_titles() {
        for (name, titles) in [
            ("Smørrebrød & Café № 1 🍞", &["Bread 101"][..]),
            ("Вокруг iPhone", &["Обзор iPhone 15"]),
            ("スター・ウォーズ", &["すべての映画"]),
            ("宇宙戦争", &["うちゅう", "カメラ"]),
            ("Anything", &["1984", "2012 🎬"]),
        ] {
            assert!(fits(name, titles, None), "{name} {titles:?}");
        }
        for (name, titles) in [
            ("Уроки укулеле", &["Ukulele lessons"][..]),
            // The second letter is Cyrillic.
            ("Uкulele", &["Ukulele lessons"]),
            ("Space Wars", &["宇宙戦争"]),
            ("ドラマ", &["電視劇", "韓國"]),
            ("Λ", &["Lambda"]),
        ] {
            assert!(!fits(name, titles, None), "{name} {titles:?}");
        }
    }

    #[test]
    fn a_locale_allows_its_scripts_and_wants_one_of_them() {
        for (name, locale) in [
            ("Уроки Ukulele", "ru"),
            ("ウクレレ講座", "ja"),
            ("Ukulele", "de"),
            ("Уроки", "gsw"),
        ] {
            assert!(fits(name, &["Ukulele lessons"], Some(locale)), "{name}");
        }
        for (name, locale) in [("Ukulele", "ru"), ("Уроки", "de"), ("Уроки", "ja")] {
            assert!(!fits(name, &["Ukulele lessons"], Some(locale)), "{name}");
        }
    }
}
