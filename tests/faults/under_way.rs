//! A run that is under way, for a scenario to disturb.

use std::time::{Duration, Instant};

use crate::crew::{Crew, Shape};
use crate::figures::Figures;
use crate::ordeal::Ordeal;
use crate::process::Site;
use crate::run::{Counts, Run};
use crate::support::Server;

pub struct UnderWay {
    pub ordeal: Ordeal,
    pub crew: Crew,
    run: String,
}

impl UnderWay {
    /// A quarter of its jobs are done.
    pub fn start(ordeal: Ordeal, shape: Shape) -> UnderWay {
        let site = Site::on(&ordeal.server);
        UnderWay::start_at(site, ordeal, shape)
    }

    /// With processes that reach the server as the site says.
    pub fn start_at(site: Site, ordeal: Ordeal, shape: Shape) -> UnderWay {
        let crew = Crew::start(site, shape);
        let run = ordeal.backfill().id;
        let started = UnderWay { ordeal, crew, run };
        started.run().wait_for_jobs(started.ordeal.jobs() / 4);
        started.assert_under_way();
        started
    }

    pub fn run(&self) -> Run<'_> {
        self.ordeal.run(&self.run)
    }

    pub fn server(&self) -> &Server {
        &self.ordeal.server
    }

    /// Asserts that there is something left to disturb.
    pub fn assert_under_way(&self) {
        assert!(!self.run().is_over(), "the run is over already");
    }

    /// Waits until so many more jobs are done; returns how long that took.
    pub fn wait_for_more(&self, jobs: u64) -> Duration {
        let done = self.run().count("extract", "done");
        let begun = Instant::now();
        self.run().wait_for_jobs(done + jobs);
        begun.elapsed()
    }

    /// Waits until another job is done; returns how long that took.
    pub fn recovery(&self) -> Duration {
        self.wait_for_more(1)
    }

    /// Waits for the end of the run, and asserts that nothing is lost or counted twice and every
    /// process still runs. Returns what was counted.
    pub fn judge(&mut self, figures: Figures) -> Counts {
        let counts = self.ordeal.judge(&self.ordeal.run(&self.run), figures);
        self.crew.assert_runs();
        counts
    }

    /// The same, and that no job was to blame.
    pub fn judge_without_failures(&mut self, figures: Figures) {
        let counts = self.judge(figures);
        let failed = counts.get("retried") + counts.get("naming_retried");
        assert_eq!(failed, 0, "jobs failed");
    }
}
