//! A Redis that is killed and started again on its append-only file while a run is under way.

use std::time::{Duration, Instant};

use crate::crew::Shape;
use crate::figures::{Figures, seconds};
use crate::is_long;
use crate::ordeal::Ordeal;
use crate::support::Server;
use crate::under_way::UnderWay;

#[test]
fn a_redis_that_is_killed_under_load_again_and_again_loses_nothing() {
    let (users, times) = if is_long() { (20_000, 10) } else { (4_000, 3) };
    let server = || Server::start_single_with(&["--appendfsync", "everysec"]);
    let ordeal = Ordeal::on(server, users, 10);
    let mut run = UnderWay::start(ordeal, Shape::small(Duration::from_secs(3)));
    let mut longest = Duration::ZERO;
    for death in 1..=times {
        run.run()
            .wait_for_jobs(run.ordeal.jobs() * death / (times + 1));
        run.assert_under_way();
        let done = run.run().count("extract", "done");
        run.ordeal.server.kill();
        run.ordeal.server.restart();
        let restarted = Instant::now();
        run.run().wait_for_jobs(done + 1);
        longest = longest.max(restarted.elapsed());
    }
    let figures = Figures::of("redis killed")
        .add("times", times)
        .add("longest recovery", seconds(longest));
    run.judge(figures);
    run.crew.wait_until_all_wait();
}
