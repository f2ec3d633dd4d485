//! What people ask of a deployment that is in use.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::population::Population;
use crate::run::{Run, ask, query};
use crate::support::Server;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Errand {
    Backfill,
    /// A recompute of some users.
    Recompute,
    /// A backfill that is cancelled.
    Cancel,
    /// A backfill that is paused and resumed.
    Pause,
    /// A backfill that is asked for while its lane is paused, which is resumed.
    PauseLane,
    /// A backfill that is repaired, though it lacks nothing.
    Repair,
}

impl Errand {
    pub const ALL: [Errand; 6] = [
        Errand::Backfill,
        Errand::Recompute,
        Errand::Cancel,
        Errand::Pause,
        Errand::PauseLane,
        Errand::Repair,
    ];

    pub fn by_chance(chance: &mut StdRng) -> Errand {
        Errand::ALL[chance.random_range(0..Errand::ALL.len())]
    }

    /// Asks for a run, and what else there is to ask. `meanwhile` is done while something stands
    /// still.
    pub fn ask<'a>(
        self,
        server: &'a Server,
        population: &Population,
        chance: &mut StdRng,
        meanwhile: impl FnOnce(&mut StdRng),
    ) -> Run<'a> {
        let dataset = population.dataset.as_str();
        match self {
            Errand::Backfill => Run::backfill(server, dataset),
            Errand::Recompute => {
                choose_users(server, population.users, chance);
                Run::request(server, &["recompute", dataset, "--cohort", COHORT])
            }
            Errand::Cancel => {
                let run = begun(server, dataset, chance);
                ask(server, &["cancel", &run.id]);
                run
            }
            Errand::Pause => {
                let run = begun(server, dataset, chance);
                ask(server, &["pause", &run.id]);
                meanwhile(chance);
                ask(server, &["resume", &run.id]);
                run
            }
            Errand::PauseLane => {
                ask(server, &["pause", "--lane", "low"]);
                let run = Run::backfill(server, dataset);
                meanwhile(chance);
                assert_eq!(run.count("extract", "done"), 0, "its lane is paused");
                ask(server, &["resume", "--lane", "low"]);
                run
            }
            Errand::Repair => {
                let run = Run::backfill(server, dataset);
                run.wait_until_done();
                ask(server, &["repair", &run.id]);
                run
            }
        }
    }
}

/// A backfill of which some jobs are done.
fn begun<'a>(server: &'a Server, dataset: &str, chance: &mut StdRng) -> Run<'a> {
    let run = Run::backfill(server, dataset);
    // None before a scheduler has read the request: there is no such run yet.
    run.wait_for_jobs(chance.random_range(1..10));
    run
}

/// Whom recomputes are about.
const COHORT: &str = "soak";

/// Fills the cohort anew.
fn choose_users(server: &Server, users: usize, chance: &mut StdRng) {
    let key = format!("sj:cohort:{COHORT}");
    let chosen: Vec<String> = (0..50)
        .map(|_| format!("u{}", chance.random_range(0..users)))
        .collect();
    let mut words = vec!["SADD", &key];
    words.extend(chosen.iter().map(String::as_str));
    // A cohort belongs to whoever made it; here, to a test that lets nothing stay.
    for words in [vec!["DEL", &key], words, vec!["EXPIRE", &key, "600"]] {
        let _: u64 = query(server, &words).expect("the server answers");
    }
}
