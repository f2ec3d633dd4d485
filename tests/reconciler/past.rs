//! A Redis that goes back in time.

use std::path::{Path, PathBuf};

use sojourn::queue::Lane;

use crate::support::run::status;
use crate::support::{Server, wait_for_async};
use crate::{MANY, Trial, extract, name};

/// A server that loses nothing by itself.
fn start() -> Server {
    Server::start_single_with(&["--appendfsync", "always"])
}

/// A copy of what a server knows.
struct Past(PathBuf);

impl Past {
    fn remember(server: &Server, folder: &Path) -> Past {
        let copy = folder.join("past");
        std::fs::create_dir_all(&copy).unwrap();
        for file in std::fs::read_dir(data(server)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        Past(copy)
    }

    /// Kills the server, and starts it as it was.
    fn restore(self, server: &mut Server) {
        server.kill();
        std::fs::remove_dir_all(data(server)).unwrap();
        std::fs::rename(self.0, data(server)).unwrap();
        server.restart();
    }
}

fn data(server: &Server) -> PathBuf {
    server.folder.path().join("appendonlydir")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_goes_back_in_time_ends_its_run_with_every_result() {
    let mut server = start();
    let trial = Trial::begin(&server, MANY, 1).await;
    let _workers = (extract(&server), name(&server));
    trial.wait(|status| status.count("named") >= 100).await;
    let past = Past::remember(&server, trial.folder.path());
    let later = trial.wait(|status| status.count("done") >= 350).await;
    assert!(later.count("done") < MANY as u64);
    past.restore(&mut server);
    let look = async || status(&trial.redis, &trial.run).await;
    let back = wait_for_async("an earlier state", look).await;
    assert!(back.count("done") < later.count("done"), "{back:?}");
    trial.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_end_before_a_redis_that_went_back_in_time_has_all_of_its_jobs() {
    let mut server = start();
    let trial = Trial::begin_with_depth(&server, 40, 1, 5).await;
    trial.wait(|status| status.count("planned") == 20).await;
    let names = trial.queues().await.name;
    names.pause_lane(Lane::Low).await.unwrap();
    let past = Past::remember(&server, trial.folder.path());
    let _workers = (extract(&server), name(&server));
    // Everything was queued and nothing of it is pending; only names keep the run from its end.
    trial.wait(|status| status.count("done") == 40).await;
    past.restore(&mut server);
    wait_for_async("an open lane", async || {
        names.resume_lane(Lane::Low).await.ok()
    })
    .await;
    trial.assert_whole().await;
}
