//! A deployment that is asked to end in the middle of a run, and the next one that goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::crew::{Crew, EXTRACT, NAME, Shape};
use crate::figures::{Figures, seconds};
use crate::ordeal::Ordeal;
use crate::process::{Site, Summary};
use crate::results::metas;
use crate::run::{PARTITIONS, Run, query};
use crate::state::lanes;
use crate::support::Server;

/// What a process may take beyond its drain time: for the users that it is just writing, to hand
/// back, to leave the group, and for a busy machine.
const MARGIN: Duration = Duration::from_secs(5);

/// How many jobs of a kind a run has not finished.
fn pending(server: &Server, run: &Run<'_>, kind: &str) -> usize {
    let of = |partition| {
        let key = format!("sj:{{{kind}:{partition}}}:run:{}:pending", run.id);
        query::<usize>(server, &["SCARD", &key]).expect("the server answers")
    };
    (0..PARTITIONS).map(of).sum()
}

/// What each user's `_meta` says of who wrote the journeys; it changes when a job is done again.
fn writers(server: &Server) -> BTreeMap<String, Value> {
    let of = |(key, mut meta): (String, Value)| {
        // Rises when names are written, too.
        meta.as_object_mut().expect("an object").remove("revision");
        (key, meta)
    };
    metas(server).into_iter().map(of).collect()
}

/// How a deployment has ended.
struct End {
    /// How long the slowest process took.
    slowest: Duration,
    /// What the extraction worker and the naming worker say to have done.
    done: [Summary; 2],
}

/// Asks every process to end, each of which must end well.
fn end(mut crew: Crew) -> End {
    let asked = Instant::now();
    for member in &crew.members {
        member.ask_to_end();
    }
    let mut slowest = Duration::ZERO;
    for member in &mut crew.members {
        let (status, _) = member.wait();
        slowest = slowest.max(asked.elapsed());
        assert!(
            status.success(),
            "{:?}: {status}\n{}",
            member.role,
            member.said()
        );
    }
    End {
        slowest,
        done: [EXTRACT, NAME].map(|number| crew.members[number].summary()),
    }
}

/// How many jobs that were taken and handed back wait in the queue of a kind.
fn handed_back(server: &Server, kind: &str) -> u64 {
    type Entries = Vec<(String, BTreeMap<String, Vec<u8>>)>;
    let mut handed_back = 0;
    for lane in lanes(kind) {
        let entries: Entries = query(server, &["XRANGE", &lane, "-", "+"]).expect("it answers");
        let again = entries.iter().filter(|(_, job)| job["attempts"] != b"0");
        handed_back += again.count() as u64;
    }
    handed_back
}

/// Users in a shard: so many that a job takes a moment.
const USERS_PER_SHARD: usize = 1_000;

/// Ends a deployment in the middle of a run; another one finishes it.
fn end_in_the_middle(scenario: &'static str, drain: Duration) -> u64 {
    let ordeal = Ordeal::over(12_000, USERS_PER_SHARD);
    let server = &ordeal.server;
    let shape = Shape {
        drain,
        ..Shape::small(Duration::from_secs(30))
    };
    let crew = Crew::start(Site::on(server), shape.clone());
    let run = ordeal.backfill();
    run.wait_for_jobs(ordeal.jobs() / 3);
    let End { slowest, done } = end(crew);
    assert!(
        !run.is_over(),
        "the run was over before the deployment ended"
    );
    let left: usize = ["extract", "name"]
        .map(|kind| pending(server, &run, kind))
        .iter()
        .sum();
    let handed_back_jobs = handed_back(server, "extract");
    let naming_handed_back = handed_back(server, "name");
    let before = writers(server);

    let mut next = Crew::start(Site::on(server), shape);
    run.wait_until_done();
    let after = writers(server);
    let again = before
        .iter()
        .filter(|(key, writer)| after[*key] != **writer)
        .count();
    let figures = Figures::of(scenario)
        .add(
            "slowest",
            format!("{} of {:?}", seconds(slowest), drain + MARGIN),
        )
        .add("jobs left", left)
        .add("handed back", handed_back_jobs)
        .add("naming handed back", naming_handed_back)
        .add("users written before", before.len())
        .add("of whom again", again);
    let counts = ordeal.judge(&run, figures);
    next.assert_runs();
    // Results do not show that a job was done twice; workers know.
    let done_next = end(next).done;
    let counted = ["done", "naming_done"].map(|count| counts.get(count));
    let handed_back = [handed_back_jobs, naming_handed_back];
    for kind in 0..2 {
        let of = |what: &str| done[kind].get(what) + done_next[kind].get(what);
        let found = ["done", "released", "lost"].map(of);
        assert_eq!(found, [counted[kind], handed_back[kind], 0]);
    }
    assert!(slowest <= drain + MARGIN, "{slowest:?}");
    // Some of a job's users may have been written before it was handed back.
    let most = handed_back_jobs as usize * USERS_PER_SHARD;
    assert!(
        again <= most,
        "{again} users were done again, of {most} at most"
    );
    handed_back_jobs + naming_handed_back
}

#[test]
fn a_deployment_that_is_asked_to_end_finishes_what_it_has_begun_and_the_next_does_the_rest() {
    let handed_back = end_in_the_middle("ended with time to drain", Duration::from_secs(8));
    assert_eq!(
        handed_back, 0,
        "there was time for everything that was begun"
    );
}

#[test]
fn a_deployment_that_has_no_time_hands_back_what_it_has_begun() {
    let handed_back = end_in_the_middle("ended without time to drain", Duration::ZERO);
    assert!(handed_back > 0, "nobody was at work");
}
