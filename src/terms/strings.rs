//! Many short strings in one allocation.

/// Strings one after the other, with the place where each ends.
#[derive(Debug, Default, Clone)]
pub(crate) struct Strings {
    bytes: String,
    ends: Vec<u64>,
}

impl Strings {
    pub(crate) fn push(&mut self, string: &str) {
        self.bytes.push_str(string);
        self.ends.push(self.bytes.len() as u64);
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The string at `position`, none beyond the last.
    pub(crate) fn get(&self, position: usize) -> Option<&str> {
        let end = *self.ends.get(position)? as usize;
        let start = position
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        self.bytes.get(start..end)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|position| self.get(position))
    }

    /// Position of a string, where the strings are in strictly ascending byte order.
    pub(crate) fn find(&self, string: &str) -> Option<usize> {
        let mut low = 0;
        let mut high = self.len();
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)?.cmp(string) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_is_found_where_it_was_put_and_nothing_else_is_found() {
        let mut strings = Strings::default();
        for string in ["", "a", "a b", "ab", "é"] {
            strings.push(string);
        }
        for (position, string) in strings.iter().enumerate() {
            assert_eq!(strings.find(string), Some(position));
        }
        assert_eq!(strings.find("aa"), None);
        assert_eq!(strings.find("z"), None);
        assert_eq!(strings.get(5), None);
    }
}
