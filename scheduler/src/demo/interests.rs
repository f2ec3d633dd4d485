//! The built-in catalogue: interests and the items that people who have them look at.

/// Interests of the built-in catalogue, one block each: a line `## name`, then `title | description`
/// for every item.
const TEXT: &str = include_str!("interests.txt");

/// One interest that users can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// What a person would call it.
    pub name: &'static str,
    /// What there is to look at.
    pub items: Vec<InterestItem>,
}

/// One item of an interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterestItem {
    /// What people see.
    pub title: &'static str,
    /// A sentence or two.
    pub description: &'static str,
}

/// All interests, in the order of the text.
pub fn interests() -> Vec<Interest> {
    let mut interests: Vec<Interest> = Vec::new();
    for line in TEXT.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            interests.push(Interest {
                name: name.trim(),
                items: Vec::new(),
            });
        } else if let (Some(interest), Some((title, description))) =
            (interests.last_mut(), line.split_once('|'))
        {
            let item = InterestItem {
                title: title.trim(),
                description: description.trim(),
            };
            interest.items.push(item);
        }
    }
    interests
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_sixty_interests_or_more_of_twenty_items_each() {
        let interests = interests();
        assert!(interests.len() >= 60, "{}", interests.len());
        for interest in &interests {
            assert_eq!(interest.items.len(), 20, "{}", interest.name);
        }
    }

    #[test]
    fn no_title_occurs_twice() {
        let mut titles = HashSet::new();
        for item in interests().iter().flat_map(|interest| &interest.items) {
            assert!(titles.insert(item.title), "{}", item.title);
            assert!(!item.description.is_empty(), "{}", item.title);
        }
    }
}
