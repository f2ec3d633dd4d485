//! What is counted.

use sojourn::journey::{Extraction, Journey};
use sojourn::queue::Counts;

/// What a job adds to the counts of its run.
#[derive(Default)]
pub(super) struct Tally {
    users: u64,
    users_with_journeys: u64,
    pub users_newer: u64,
    pub users_unknown: u64,
    journeys: u64,
    items: u64,
    items_in_small_journeys: u64,
    items_in_unsure_journeys: u64,
    items_without_terms: u64,
    items_beyond_history: u64,
    /// Naming jobs: a run that knows fewer in the naming queue has lost some.
    pub naming_queued: u64,
}

impl Tally {
    /// Counts a user.
    pub fn add_user(&mut self, extraction: &Extraction, journeys: &[Journey]) {
        self.users += 1;
        self.users_with_journeys += u64::from(!journeys.is_empty());
        self.journeys += journeys.len() as u64;
        self.items += extraction.items;
        self.items_in_small_journeys += extraction.items_in_small_journeys;
        self.items_in_unsure_journeys += extraction.items_in_unsure_journeys;
        self.items_without_terms += extraction.items_without_terms;
        self.items_beyond_history += extraction.items_beyond_history;
    }

    /// Both.
    #[must_use]
    pub fn plus(self, other: Tally) -> Tally {
        Tally {
            users: self.users + other.users,
            users_with_journeys: self.users_with_journeys + other.users_with_journeys,
            users_newer: self.users_newer + other.users_newer,
            users_unknown: self.users_unknown + other.users_unknown,
            journeys: self.journeys + other.journeys,
            items: self.items + other.items,
            items_in_small_journeys: self.items_in_small_journeys + other.items_in_small_journeys,
            items_in_unsure_journeys: self.items_in_unsure_journeys
                + other.items_in_unsure_journeys,
            items_without_terms: self.items_without_terms + other.items_without_terms,
            items_beyond_history: self.items_beyond_history + other.items_beyond_history,
            naming_queued: self.naming_queued + other.naming_queued,
        }
    }

    pub fn counts(&self) -> Counts {
        vec![
            ("users", self.users),
            ("users_with_journeys", self.users_with_journeys),
            ("users_newer", self.users_newer),
            ("users_unknown", self.users_unknown),
            ("journeys", self.journeys),
            ("items", self.items),
            ("items_in_small_journeys", self.items_in_small_journeys),
            ("items_in_unsure_journeys", self.items_in_unsure_journeys),
            ("items_without_terms", self.items_without_terms),
            ("items_beyond_history", self.items_beyond_history),
            ("naming_queued", self.naming_queued),
        ]
    }
}
