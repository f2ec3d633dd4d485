//! A population, a server on which a run over it is disturbed, and what an undisturbed run finds.

use std::time::Duration;

use crate::crew::{Crew, Shape};
use crate::figures::Figures;
use crate::population::Population;
use crate::process::Site;
use crate::results::{Differences, Results};
use crate::run::{Counts, Run};
use crate::support::Server;

/// What an undisturbed run over a population finds and counts, on a server of its own.
pub struct Undisturbed {
    results: Results,
    counts: Counts,
}

impl Undisturbed {
    pub fn over(population: &Population) -> Undisturbed {
        let server = Server::start_single_with(&[]);
        let shape = Shape::small(Duration::from_secs(30));
        let mut crew = Crew::start(Site::on(&server), shape);
        let counts = Run::backfill(&server, &population.dataset).wait_until_done();
        crew.assert_runs();
        let results = Results::on(&server);
        assert_eq!(results.users(), population.users);
        assert_eq!(counts.get("users") as usize, population.users);
        assert_eq!(counts.get("named"), counts.get("journeys"), "{counts:?}");
        Undisturbed { results, counts }
    }

    /// How the results on a server differ.
    fn differing(&self, server: &Server) -> Differences {
        Results::on(server).differing(&self.results)
    }

    /// Asserts that a disturbed run has found and counted the same, and puts it into the figures.
    fn judge(&self, server: &Server, counts: &Counts, figures: Figures) {
        let differing = counts.differing(&self.counts);
        let figures = figures
            .add("jobs", counts.get("done"))
            .add("naming jobs", counts.get("naming_done"))
            .add("users", counts.get("users"))
            .add("journeys named", counts.get("named"))
            .add(
                "retried",
                counts.get("retried") + counts.get("naming_retried"),
            )
            .add("dead", counts.get("dead") + counts.get("naming_dead"))
            .add("counts that differ", differing.len());
        self.judge_results(server, figures);
        assert!(differing.is_empty(), "{differing:?}");
    }

    /// Asserts that the results on a server are the same, and puts it into the figures.
    fn judge_results(&self, server: &Server, figures: Figures) {
        let found = self.differing(server);
        figures
            .add("lost", found.lost.len())
            .add("results that differ", found.other.len())
            .show();
        let few = |keys: &[String]| keys.iter().take(5).cloned().collect::<Vec<_>>();
        assert!(found.lost.is_empty(), "lost: {:?}", few(&found.lost));
        assert!(found.other.is_empty(), "other: {:?}", few(&found.other));
    }
}

/// A run that is to be disturbed.
pub struct Ordeal {
    pub population: Population,
    pub server: Server,
    undisturbed: Undisturbed,
}

impl Ordeal {
    /// Over so many users, so many of them in a shard.
    pub fn over(users: usize, users_per_shard: usize) -> Ordeal {
        let server = || Server::start_single_with(&[]);
        Ordeal::on(server, users, users_per_shard)
    }

    /// On a server that is started when the undisturbed run is over.
    pub fn on(server: impl FnOnce() -> Server, users: usize, users_per_shard: usize) -> Ordeal {
        let population = Population::new(users, users_per_shard);
        Ordeal {
            undisturbed: Undisturbed::over(&population),
            server: server(),
            population,
        }
    }

    /// How many extraction jobs a run over everybody has.
    pub fn jobs(&self) -> u64 {
        self.undisturbed.counts.get("jobs")
    }

    /// Asks for a run over everybody.
    pub fn backfill(&self) -> Run<'_> {
        Run::backfill(&self.server, &self.population.dataset)
    }

    /// A run that was asked for before.
    pub fn run(&self, id: &str) -> Run<'_> {
        Run::of(&self.server, id)
    }

    /// Waits until the run is over, and asserts that nothing is lost and nothing counted twice.
    /// Returns what was counted.
    pub fn judge(&self, run: &Run<'_>, figures: Figures) -> Counts {
        let counts = run.wait_until_done();
        self.undisturbed.judge(&self.server, &counts, figures);
        counts
    }

    /// Asserts that everybody has the results of the undisturbed run, whatever was counted.
    pub fn judge_results(&self, figures: Figures) {
        self.undisturbed.judge_results(&self.server, figures);
    }

    /// How many keys of results are missing, or hold something else than after an undisturbed run.
    pub fn differing(&self) -> usize {
        let found = self.undisturbed.differing(&self.server);
        found.lost.len() + found.other.len()
    }
}
