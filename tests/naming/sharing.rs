//! Names that users with equal journeys share, on a real server.

use std::num::NonZeroU32;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::json;
use sojourn::connection::Redis;
use sojourn::journey::{Journey, NameSource};
use sojourn::naming::{
    CacheOptions, Fallback, LimitOptions, LlmError, LlmNamer, LlmOptions, Name, Namer,
    NamingCounts, Patience, Unnamed,
};

use crate::llm::{Endpoint, Question, Turn, answers, says};
use crate::moderation::{Moderator, flags};
use crate::programs::{backfill, naming_program};
use crate::support::{
    self, PATIENCE, Running, Server, command, said, small_dataset, wait_for, wait_for_async,
};
use crate::{UKULELES, account, all, options, user};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A namer that shares a name among so many users.
fn sharing(endpoint: &Endpoint, redis: &Redis, share_after: u32) -> Namer {
    sharing_with(options(endpoint), redis, share_after)
}

fn sharing_with(options: LlmOptions, redis: &Redis, share_after: u32) -> Namer {
    sojourn::settings::install_tls();
    let patience = Patience {
        call: PATIENCE,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_secs(5),
    };
    let namer = LlmNamer::new(options).unwrap().with_patience(patience);
    let mut namer = Namer::Llm(Box::new(namer));
    namer.share_names(redis, shared_by(share_after));
    namer
}

fn shared_by(users: u32) -> CacheOptions {
    CacheOptions {
        share_after: NonZeroU32::new(users).unwrap(),
        keep: 30 * DAY,
    }
}

type Named = (Vec<Vec<Name>>, NamingCounts);

/// Names the journeys of some users.
async fn try_name(namer: &Namer, users: &[(&str, Vec<Journey>)]) -> Result<Named, LlmError> {
    let unnamed: Vec<Unnamed<'_>> = users
        .iter()
        .map(|(user, journeys)| Unnamed {
            user,
            journeys: journeys.iter().collect(),
            taken: vec![],
        })
        .collect();
    namer.name(&unnamed, &account()).await
}

async fn name(namer: &Namer, users: &[(&str, Vec<Journey>)]) -> Named {
    try_name(namer, users).await.unwrap()
}

/// The names of one user's journeys.
async fn names(namer: &Namer, user: &str, journeys: Vec<Journey>) -> Vec<String> {
    let (names, _) = name(namer, &[(user, journeys)]).await;
    let names = names.into_iter().flatten();
    names.map(|name| name.name).collect()
}

/// The keys that end like this, on all nodes.
fn keys(server: &Server, end: &str) -> Vec<String> {
    let of = |node: &crate::support::Node| node.ask::<Vec<String>>("KEYS *").unwrap();
    let keys = server.nodes.iter().flat_map(of);
    keys.filter(|key| key.ends_with(end)).collect()
}

/// Asks the node that has a key; the command ends with it.
fn of_key<T: redis::FromRedisValue>(server: &Server, command: &str, key: &str) -> T {
    let asked = format!("{command} {key}");
    let answers = server.nodes.iter().map(|node| node.ask(&asked));
    answers.filter_map(Result::ok).next().unwrap()
}

async fn equal_journeys_are_asked_for_once(server: &Server) {
    let endpoint = Endpoint::start(answers);
    let redis = server.connect().await;
    for user_name in ["ann", "bob", "cem"] {
        // As a process of its own.
        let namer = sharing(&endpoint, &redis, 1);
        let names = names(&namer, user_name, user(&["Ukulele", "Chess"])).await;
        assert_eq!(names, ["Ukulele for Beginners", "Chess for Beginners"]);
    }
    assert_eq!(endpoint.sizes(), [2]);
    let other = names(&sharing(&endpoint, &redis, 1), "ann", user(&["Opera"])).await;
    assert_eq!(other, ["Opera for Beginners"]);
    assert_eq!(endpoint.sizes(), [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_journeys_of_different_users_are_asked_for_once() {
    equal_journeys_are_asked_for_once(&Server::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_journeys_are_asked_for_once_on_a_cluster() {
    equal_journeys_are_asked_for_once(&Server::start_cluster(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_elsewhere_is_counted_apart_and_marked_as_a_models() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let namer = sharing(&endpoint, &server.connect().await, 1);
    let (_, first) = name(&namer, &[("ann", user(&["Ukulele"]))]).await;
    assert_eq!((first.llm, first.cached), (1, 0));
    let (names, second) = name(&namer, &[("bob", user(&["Ukulele"]))]).await;
    assert_eq!((second.llm, second.cached), (0, 1));
    assert_eq!(endpoint.sizes(), [1]);
    assert_eq!(names[0][0].source, NameSource::Llm);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_journeys_of_one_job_are_asked_for_once() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let namer = sharing(&endpoint, &server.connect().await, 2);
    let users = ["ann", "bob", "cem"].map(|name| (name, user(&["Ukulele"])));
    let (names, counts) = name(&namer, &users).await;
    let names: Vec<&str> = names.iter().map(|names| &*names[0].name).collect();
    assert_eq!(names, ["Ukulele for Beginners"; 3]);
    assert_eq!(endpoint.sizes(), [1]);
    assert_eq!((counts.llm, counts.cached), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_name_is_kept_before_enough_users_have_the_journey() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let namer = sharing(&endpoint, &server.connect().await, 3);
    // A user counts once, however often it is named.
    for (calls, user_name) in (1..).zip(["ann", "bob", "bob", "ann"]) {
        names(&namer, user_name, user(&["Ukulele"])).await;
        assert_eq!(endpoint.sizes().len(), calls);
        let all = keys(&server, "");
        assert!(
            all.iter().all(|key| key.ends_with(":name:users")),
            "{all:?}"
        );
    }
    // The third user asks for all that come after.
    names(&namer, "cem", user(&["Ukulele"])).await;
    assert_eq!(endpoint.sizes().len(), 5);
    for user_name in ["ann", "dan", "eve"] {
        names(&namer, user_name, user(&["Ukulele"])).await;
    }
    assert_eq!(endpoint.sizes().len(), 5);
    let all = keys(&server, "");
    assert!(all.len() == 1 && all[0].ends_with("}:name"), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_the_cache_expires() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let redis = server.connect().await;
    names(&sharing(&endpoint, &redis, 1), "ann", user(&["Ukulele"])).await;
    names(&sharing(&endpoint, &redis, 2), "ann", user(&["Chess"])).await;
    let all = keys(&server, "");
    assert_eq!(all.len(), 2, "{all:?}");
    for key in all {
        let left: i64 = of_key(&server, "PTTL", &key);
        assert!(left > 0 && left <= 30 * DAY.as_millis() as i64, "{left}");
    }
}

/// A gate that is closed until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Not for ever: the runtime of a test that has failed waits for whoever waits here.
    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        let passed = self
            .0
            .1
            .wait_timeout_while(open, 2 * PATIENCE, |open| !*open);
        drop(passed.unwrap());
    }
}

/// A model that answers when a gate is open.
fn gated(gate: &Gate) -> Endpoint {
    let gate = gate.clone();
    Endpoint::start(move |question: &Question| {
        gate.pass();
        answers(question)
    })
}

/// How often scripts were called.
fn script_calls(server: &Server) -> usize {
    let calls = |node: &crate::support::Node| {
        let stats: String = node.ask("INFO commandstats").unwrap();
        let line = stats
            .lines()
            .find(|line| line.starts_with("cmdstat_evalsha:"));
        let calls = line.and_then(|line| line.split(['=', ',']).nth(1));
        calls.map_or(0, |calls| calls.parse().unwrap())
    };
    server.nodes.iter().map(calls).sum()
}

/// Waits until scripts were called some more times.
async fn more_script_calls(server: &Server, more: usize) {
    let before = script_calls(server);
    wait_for_async("somebody who looks", async || {
        (script_calls(server) >= before + more).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journey_that_another_asks_for_is_waited_for() {
    let gate = Gate::default();
    let endpoint = gated(&gate);
    let server = Server::start();
    let redis = server.connect().await;
    let [ann, bob] = ["ann", "bob"].map(|user_name| {
        let namer = sharing(&endpoint, &redis, 1);
        async move { names(&namer, user_name, user(&["Ukulele"])).await }
    });
    let ann = tokio::spawn(ann);
    wait_for("the question", || (endpoint.sizes() == [1]).then_some(()));
    let bob = tokio::spawn(bob);
    // The first look, the claim, and looks again.
    more_script_calls(&server, 4).await;
    gate.open();
    assert_eq!(ann.await.unwrap(), ["Ukulele for Beginners"]);
    assert_eq!(bob.await.unwrap(), ["Ukulele for Beginners"]);
    assert_eq!(endpoint.sizes(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_journeys_are_not_held_up_by_one_that_is_waited_for() {
    let gate = Gate::default();
    let endpoint = gated(&gate);
    let server = Server::start();
    let redis = server.connect().await;
    let namer = sharing(&endpoint, &redis, 1);
    let ann = tokio::spawn(async move { names(&namer, "ann", user(&["Ukulele"])).await });
    wait_for("the question", || (endpoint.sizes() == [1]).then_some(()));
    let namer = sharing(&endpoint, &redis, 1);
    let bob = tokio::spawn(async move { names(&namer, "bob", user(&["Ukulele", "Chess"])).await });
    wait_for("the other", || (endpoint.sizes() == [1, 1]).then_some(()));
    let asked = endpoint.questions()[1].first_titles()[0].to_owned();
    assert_eq!(asked, "Chess lesson one");
    gate.open();
    ann.await.unwrap();
    let bob = bob.await.unwrap();
    assert_eq!(bob, ["Ukulele for Beginners", "Chess for Beginners"]);
    assert_eq!(endpoint.sizes().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_claim_of_somebody_who_asks_is_renewed() {
    let gate = Gate::default();
    let endpoint = gated(&gate);
    let server = Server::start();
    let namer = sharing(&endpoint, &server.connect().await, 1);
    let ann = tokio::spawn(async move { names(&namer, "ann", user(&["Ukulele"])).await });
    let claim = wait_for("the claim", || keys(&server, ":claim").pop());
    wait_for("the question", || (endpoint.sizes() == [1]).then_some(()));
    // What lasts an hour is set back to its usual time.
    for node in &server.nodes {
        // The other nodes of a cluster refuse it.
        let _: Result<i64, _> = node.ask(&format!("EXPIRE {claim} 3600"));
    }
    let left = || of_key::<i64>(&server, "PTTL", &claim);
    assert!(left() > 60_000);
    wait_for("a renewal", || (left() <= 15_000).then_some(()));
    gate.open();
    ann.await.unwrap();
    assert_eq!(keys(&server, ":claim"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_name_is_judged_its_claim_is_renewed_and_nothing_is_kept() {
    let gate = Gate::default();
    let closed = gate.clone();
    let moderator = Moderator::start(move |_, names| {
        tokio::task::block_in_place(|| closed.pass());
        flags(&names, "Ukulele")
    })
    .await;
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let mut namer = moderator.namer(&endpoint);
    namer.share_names(&server.connect().await, shared_by(1));
    let journeys = user(&["Ukulele", "Chess"]);
    let ann = tokio::spawn(async move { names(&namer, "ann", journeys).await });
    wait_for("names to judge", || {
        (moderator.requests().len() == 1).then_some(())
    });
    let claim = wait_for("the claim", || keys(&server, ":claim").pop());
    for node in &server.nodes {
        let _: Result<i64, _> = node.ask(&format!("EXPIRE {claim} 3600"));
    }
    let left = || of_key::<i64>(&server, "PTTL", &claim);
    wait_for("a renewal", || (left() <= 15_000).then_some(()));
    assert_eq!(keys(&server, ":name"), [""; 0]);
    gate.open();
    assert_eq!(ann.await.unwrap(), ["Ukulele", "Chess for Beginners"]);
    // What was flagged is kept as a journey that no answer names.
    let kept = keys(&server, ":name");
    let mut kept: Vec<String> = kept.iter().map(|key| of_key(&server, "GET", key)).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["", "Chess for Beginners"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_asks_when_a_claim_ends_without_an_answer() {
    let endpoint = Endpoint::start(|question: &Question| match question.number {
        0 => Turn::Hangs,
        _ => answers(question),
    });
    let server = Server::start();
    let redis = server.connect().await;
    let namer = sharing(&endpoint, &redis, 1);
    let ann = tokio::spawn(async move { names(&namer, "ann", user(&["Ukulele"])).await });
    wait_for("the question", || (endpoint.sizes() == [1]).then_some(()));
    // As if its process were killed: nobody renews the claim, and nobody ends it.
    ann.abort();
    let left: i64 = of_key(&server, "PTTL", &keys(&server, ":claim")[0]);
    assert!(left <= 15_000, "{left}");
    let namer = sharing(&endpoint, &redis, 1);
    let bob = tokio::spawn(async move { names(&namer, "bob", user(&["Ukulele"])).await });
    assert_eq!(bob.await.unwrap(), ["Ukulele for Beginners"]);
    assert_eq!(endpoint.sizes(), [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_ask_leaves_it_to_others_at_once() {
    let endpoint = Endpoint::start(|question: &Question| match question.number {
        0 => Turn::Fails(503, "retry-after: 3600\r\n", "loading".into()),
        _ => answers(question),
    });
    let server = Server::start();
    let redis = server.connect().await;
    let namer = sharing(&endpoint, &redis, 1);
    let failed = try_name(&namer, &[("ann", user(&["Ukulele"]))]).await;
    assert!(matches!(failed, Err(LlmError::Busy { .. })), "{failed:?}");
    assert_eq!(keys(&server, ""), [""; 0]);
    let bob = names(&sharing(&endpoint, &redis, 1), "bob", user(&["Ukulele"])).await;
    assert_eq!(bob, ["Ukulele for Beginners"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_name_that_a_sibling_has_is_not_taken_and_stays_for_others() {
    let endpoint = Endpoint::start(|question: &Question| match question.taken.is_empty() {
        true => says(all(question, "Ukulele")),
        false => says(all(question, "Ukulele songs")),
    });
    let server = Server::start();
    let namer = sharing(&endpoint, &server.connect().await, 1);
    // Asked for one by one, both journeys get the same name.
    for term in UKULELES {
        assert_eq!(names(&namer, "ann", user(&[term])).await, ["Ukulele"]);
    }
    let both = names(&namer, "bob", user(&UKULELES)).await;
    assert_eq!(both, ["Ukulele", "Ukulele songs"]);
    assert_eq!(endpoint.questions()[2].taken, ["Ukulele"]);
    assert_eq!(
        names(&namer, "cem", user(&[UKULELES[1]])).await,
        ["Ukulele"]
    );
    assert_eq!(endpoint.sizes(), [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_a_sibling_has_may_be_good_for_others() {
    let endpoint = Endpoint::start(|question: &Question| match question.taken.is_empty() {
        true => says(all(question, "Ukulele")),
        false => says(all(question, "Ukulele songs")),
    });
    let server = Server::start();
    let namer = sharing(&endpoint, &server.connect().await, 1);
    let both = names(&namer, "ann", user(&UKULELES)).await;
    assert_eq!(both, ["Ukulele", "Ukulele songs"]);
    // The answer of which the names are taken is not what others would have been told.
    assert_eq!(
        names(&namer, "bob", user(&[UKULELES[1]])).await,
        ["Ukulele"]
    );
    assert_eq!(endpoint.sizes(), [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn that_no_answer_gives_a_name_is_remembered_for_a_day() {
    let endpoint = Endpoint::start(|question: &Question| says(all(question, "Chess")));
    let server = Server::start();
    let redis = server.connect().await;
    for user_name in ["ann", "bob"] {
        let namer = sharing(&endpoint, &redis, 1);
        let (names, counts) = name(&namer, &[(user_name, user(&["Ukulele"]))]).await;
        assert_eq!(names[0][0].source, NameSource::Fallback);
        assert_eq!((counts.fallbacks, counts.cached), (1, 0));
    }
    assert_eq!(endpoint.sizes(), [1]);
    let left: i64 = of_key(&server, "PTTL", &keys(&server, ":name")[0]);
    assert!(left > 0 && left <= DAY.as_millis() as i64, "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_not_answered_is_not_remembered() {
    let endpoint = Endpoint::start(|_: &Question| Turn::Says(String::new()));
    let server = Server::start();
    let redis = server.connect().await;
    for user_name in ["ann", "bob"] {
        names(
            &sharing(&endpoint, &redis, 1),
            user_name,
            user(&["Ukulele"]),
        )
        .await;
    }
    assert_eq!(endpoint.sizes(), [1, 1]);
    assert_eq!(keys(&server, ""), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_filter_dislikes_a_journey_is_remembered_for_all_who_have_it() {
    let refuses = Turn::Fails(400, "", r#"{"error":{"code":"content_filter"}}"#.into());
    let withholds = Turn::Completes(json!({"choices": [
        {"message": {"content": null}, "finish_reason": "content_filter"}
    ]}));
    for turn in [refuses, withholds] {
        let endpoint = Endpoint::start(move |_: &Question| turn.clone());
        let server = Server::start();
        let redis = server.connect().await;
        for user_name in ["ann", "bob"] {
            let namer = sharing(&endpoint, &redis, 1);
            let names = names(&namer, user_name, user(&["Gunpowder"])).await;
            assert_eq!(names, ["Gunpowder"]);
        }
        assert_eq!(endpoint.sizes(), [1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_the_fallback_is_not_kept_as_one_of_another_model() {
    for (model, asked) in [("second", 2), ("fake", 1)] {
        let first = Endpoint::start(|_: &Question| Turn::Fails(402, "", String::new()));
        let second = Endpoint::start(answers);
        let mut options = options(&first);
        options.fallback = Some(Fallback {
            endpoint: second.url(),
            model: model.into(),
            api_key: None,
            limits: LimitOptions::requests(options.requests_per_minute),
        });
        let server = Server::start();
        let namer = sharing_with(options, &server.connect().await, 1);
        for user_name in ["ann", "bob"] {
            let names = names(&namer, user_name, user(&["Ukulele"])).await;
            assert_eq!(names, ["Ukulele for Beginners"]);
        }
        assert_eq!(second.sizes().len(), asked, "{model}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn journeys_are_named_without_a_cache_where_redis_is_away() {
    let endpoint = Endpoint::start(answers);
    let mut server = Server::start();
    let namer = sharing(&endpoint, &server.connect().await, 1);
    server.kill();
    let names = names(&namer, "ann", user(&["Ukulele"])).await;
    assert_eq!(names, ["Ukulele for Beginners"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_is_asked_for_itself() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let redis = server.connect().await;
    for model in ["fake", "other"] {
        let mut options = options(&endpoint);
        options.model = model.into();
        let namer = sharing_with(options, &redis, 1);
        names(&namer, "ann", user(&["Ukulele"])).await;
    }
    assert_eq!(endpoint.sizes(), [1, 1]);
}

/// Users of the dataset, all with the same two journeys.
const USERS: usize = 40;

/// The counts of a run that ends well.
fn counts(run: std::process::Child) -> impl Fn(&str) -> u64 {
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let run = support::json(&output);
    move |name| run["counts"][name].as_u64().unwrap_or(0)
}

#[test]
fn several_workers_ask_once_for_equal_journeys_and_again_when_one_is_killed_that_asks() {
    let endpoint = Endpoint::start(|question: &Question| match question.number {
        0 => Turn::Hangs,
        _ => answers(question),
    });
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), USERS, 5).display().to_string();
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
    ];
    let run = backfill(&dataset, &server);
    let worker = || {
        let mut program = naming_program(&endpoint, &server);
        program.args(["--lease", "5", "--journeys-per-call", "8"]);
        Running(program.spawn().unwrap())
    };
    let mut asks = worker();
    wait_for("the question", || (endpoint.sizes() == [2]).then_some(()));
    let _others = [worker(), worker()];
    // Not with the signal that lets a worker end what it has begun.
    asks.0.kill().unwrap();
    let count = counts(run);
    let named = (count("named"), count("names_llm"), count("names_cached"));
    assert_eq!(named, (80, 2, 78));
    assert_eq!(endpoint.sizes(), [2, 2]);
}

#[test]
fn a_run_that_finds_nothing_new_makes_no_call_even_where_results_were_lost() {
    let endpoint = Endpoint::start(answers);
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), USERS, 5).display().to_string();
    let _processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
        Running(naming_program(&endpoint, &server).spawn().unwrap()),
    ];
    assert_eq!(counts(backfill(&dataset, &server))("named"), 80);
    let asked = endpoint.sizes();
    let recompute = command("sojourn")
        .args([
            "recompute",
            &dataset,
            "--active-since",
            "2000-01-01",
            "--watch",
            "--json",
        ])
        .env("SOJOURN_REDIS", server.url())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let count = counts(recompute);
    assert_eq!((count("users"), count("journeys_to_name")), (40, 0));
    for node in &server.nodes {
        for end in ["names", "journeys"] {
            let results: Vec<String> = node.ask(&format!("KEYS *:{end}")).unwrap();
            for key in results {
                let _: i64 = node.ask(&format!("DEL {key}")).unwrap();
            }
        }
    }
    let count = counts(backfill(&dataset, &server));
    let named = (count("named"), count("names_llm"), count("names_cached"));
    assert_eq!(named, (80, 0, 80));
    assert_eq!(endpoint.sizes(), asked);
}
