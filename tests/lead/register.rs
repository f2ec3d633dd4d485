//! What the register takes from whom.

use std::path::Path;
use std::time::Duration;

use redis::AsyncCommands;
use sojourn::queue::Queues;
use sojourn::run::RunId;
use sojourn_scheduler::cohort::{self, CohortError};
use sojourn_scheduler::leader::Candidate;
use sojourn_scheduler::record::RunState;
use sojourn_scheduler::register::{Register, RegisterError};

use crate::support::Server;
use crate::support::run::backfill;

#[tokio::test]
async fn the_register_listens_to_the_scheduler_that_leads_and_to_no_other() {
    let server = Server::start();
    let redis = server.connect().await;
    let minute = Duration::from_secs(60);
    let [first, second] = [(); 2].map(|()| Candidate::new(&redis, minute));
    let run = RunId::parse("1763947200000-0").unwrap();
    let request = Ok(backfill(Path::new("/d")));
    let by = |candidate: &Candidate| Register::led_by(&redis, candidate.identity());
    let refused = |result: Result<bool, RegisterError>| {
        assert!(matches!(result, Err(RegisterError::LeadLost)), "{result:?}");
    };

    // Nobody leads, as when a lead has ended.
    refused(by(&first).create(&run, &request).await.map(|()| true));
    assert!(first.lead().await.unwrap());
    by(&first).create(&run, &request).await.unwrap();
    assert!(by(&first).start(&run, "d", 1, 1, 0).await.unwrap());

    // It was stopped, and another took over.
    let mut connection = redis.commands();
    let gone = RunId::parse("1-0").unwrap();
    let active = redis.keys().active_runs();
    let () = connection.sadd(active, gone.as_str()).await.unwrap();
    let () = connection
        .sadd(redis.keys().cohort("new"), "ann")
        .await
        .unwrap();
    first.resign().await.unwrap();
    assert!(second.lead().await.unwrap());
    let before = crate::register(&redis).await;
    let late = by(&first);
    let next = RunId::parse("1763947200001-0").unwrap();
    refused(late.create(&next, &request).await.map(|()| true));
    refused(late.start(&run, "other", 2, 2, 0).await);
    refused(late.note_waiting(&run, "nothing").await.map(|()| true));
    let record = late.run(&run).await.unwrap();
    refused(late.restart(&record, 9).await);
    refused(late.end(&run, RunState::Done, None).await);
    refused(late.active_runs().await.map(|_| true));
    let copied = cohort::snapshot(&redis, &late, &run, "new").await;
    let lost = CohortError::Register(RegisterError::LeadLost);
    assert_eq!(copied.unwrap_err().to_string(), lost.to_string());
    assert_eq!(crate::register(&redis).await, before);

    // The command line needs no lead.
    let queues = Queues::open(&redis).await.unwrap();
    let register = Register::new(&redis);
    assert!(register.pause(&run, &queues).await.unwrap());
    assert!(register.resume(&run, &queues).await.unwrap());
    assert!(register.cancel(&run, &queues).await.unwrap());
}
