//! The names that a user's journeys have already.

use std::collections::HashSet;

/// Names; those that are the same but for case, blanks and punctuation are one.
#[derive(Debug, Default)]
pub(super) struct Taken(HashSet<String>);

impl Taken {
    /// Adds a name.
    pub fn add(&mut self, name: &str) {
        self.0.insert(key(name));
    }

    /// Whether a name is the same as one of these.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&key(name))
    }
}

impl<'a> FromIterator<&'a str> for Taken {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Taken {
        Taken(names.into_iter().map(key).collect())
    }
}

/// What two names that are the same have in common, and others have not.
fn key(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_blanks_and_punctuation_make_no_other_name() {
        let taken = Taken::from_iter(["Ukulele  songs!"]);
        assert!(taken.has("ukulele Songs"));
        assert!(!taken.has("Ukulele song"));
        assert!(!taken.has("Ukulelesongs"));
    }
}
