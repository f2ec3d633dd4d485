//! Journeys that want a name.

use sojourn::journey::{Journey, JourneyTerm, NameSource, Stage, StageActivity, StageDuration};

/// One user with a journey for each term.
pub fn user(terms: &[&str]) -> Vec<Journey> {
    terms.iter().map(|term| journey(term)).collect()
}

fn journey(term: &str) -> Journey {
    Journey {
        id: format!("{:08x}", term.len()),
        name: term.into(),
        name_source: NameSource::Provisional,
        signature: "0123456789abcdef".into(),
        terms: vec![JourneyTerm {
            term: term.into(),
            weight: 0.9,
        }],
        titles: vec![format!("{term} lesson one"), format!("More {term}")],
        items: Vec::new(),
        size: 2,
        strength: 0.5,
        confidence: 1.0,
        rank: 1,
        first: "2026-01-01T00:00:00Z".parse().unwrap(),
        last: "2026-02-01T00:00:00Z".parse().unwrap(),
        stage: Stage {
            duration: StageDuration::Evergreen,
            activity: StageActivity::Ended,
        },
    }
}
