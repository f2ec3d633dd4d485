//! A Redis that is killed and started again on its append-only file while a run is under way.

use std::time::{Duration, Instant};

use crate::crew::{Crew, Shape};
use crate::figures::Figures;
use crate::is_long;
use crate::ordeal::Ordeal;
use crate::process::Site;

#[test]
fn a_redis_that_is_killed_under_load_again_and_again_loses_nothing() {
    let (users, times) = if is_long() { (20_000, 10) } else { (4_000, 3) };
    let mut ordeal = Ordeal::with(users, 10, &["--appendfsync", "everysec"]);
    let mut crew = Crew::start(
        Site::on(&ordeal.server),
        Shape::small(Duration::from_secs(3)),
    );
    let run = ordeal.backfill().id;
    let mut longest = Duration::ZERO;
    for death in 1..=times {
        let before = ordeal.run(&run);
        before.wait_for_jobs(ordeal.jobs() * death / (times + 1));
        assert!(
            !before.is_over(),
            "over before the server has died {death} times"
        );
        let done = before.count("extract", "done");
        ordeal.server.kill();
        ordeal.server.restart();
        let restarted = Instant::now();
        ordeal.run(&run).wait_for_jobs(done + 1);
        longest = longest.max(restarted.elapsed());
    }
    let figures = Figures::of("redis killed").add("times", times).add(
        "longest recovery",
        format!("{:.1} s", longest.as_secs_f64()),
    );
    ordeal.judge(&ordeal.run(&run), figures);
    crew.assert_runs();
    let waited = crew.that_said("waiting for Redis");
    assert!(waited >= 2, "both workers say what they wait for");
}
