//! The form in which a term is shown.

use std::collections::BTreeMap;

use super::tally::Count;

/// Picks the form of a term that is written most.
///
/// The word form is chosen by all items, without regard to capitals; then the capitals by those
/// items where they were a choice, since titles capitalise everything. Ties: smallest in byte
/// order.
#[derive(Default)]
pub(super) struct Surfaces {
    by_lower_case: BTreeMap<String, Vec<(String, Count)>>,
}

impl Surfaces {
    pub(super) fn add(&mut self, surface: &str, count: Count) {
        self.by_lower_case
            .entry(surface.to_lowercase())
            .or_default()
            .push((surface.to_owned(), count));
    }

    /// The commonest form of those added since the last call; empty when there were none.
    pub(super) fn take_commonest(&mut self) -> String {
        let mut forms: Vec<Vec<(String, Count)>> = std::mem::take(&mut self.by_lower_case)
            .into_values()
            .collect();
        let items = |form: &Vec<(String, Count)>| -> u64 {
            form.iter().map(|(_, count)| u64::from(count.items)).sum()
        };
        // Both sorts are stable, and what is sorted is in byte order.
        forms.sort_by_key(|form| std::cmp::Reverse(items(form)));
        let Some(mut form) = forms.into_iter().next() else {
            return String::new();
        };
        form.sort_by(|a, b| a.0.cmp(&b.0));
        form.sort_by_key(|(_, count)| std::cmp::Reverse((count.case_tells, count.items)));
        form.swap_remove(0).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commonest(forms: &[(&str, u32, u32)]) -> String {
        let mut surfaces = Surfaces::default();
        for &(surface, items, case_tells) in forms {
            surfaces.add(surface, Count { items, case_tells });
        }
        surfaces.take_commonest()
    }

    #[test]
    fn the_form_is_the_one_of_most_items_whatever_its_capitals() {
        assert_eq!(
            commonest(&[("Gardening", 3, 0), ("gardening", 3, 0), ("garden", 5, 0)]),
            "Gardening"
        );
    }

    #[test]
    fn capitals_are_decided_where_they_are_a_choice() {
        assert_eq!(commonest(&[("Garden", 90, 2), ("garden", 10, 9)]), "garden");
        assert_eq!(commonest(&[("Paris", 10, 9), ("paris", 30, 0)]), "Paris");
    }

    #[test]
    fn ties_go_to_the_smallest_in_byte_order() {
        assert_eq!(commonest(&[("gardens", 2, 1), ("garden", 2, 1)]), "garden");
        assert_eq!(commonest(&[("garden", 2, 1), ("Garden", 2, 1)]), "Garden");
        assert_eq!(commonest(&[]), "");
    }
}
