//! The users of docs/redis-access.md: each can do its work, and nothing else.

use redis::Value;
use serde_json::json;

use crate::deployment::{Access, assert_counted_once};
use crate::faulty::Faulty;
use crate::llm::{Endpoint, answers};
use crate::support::{Node, Running, Server, root, said, small_dataset};

/// Users of the dataset, one in each shard.
const USERS: usize = 40;

/// The commands of the document that make the users.
fn commands() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs/redis-access.md")).unwrap();
    let blocks = text.split("```acl\n").skip(1);
    let mut commands: Vec<String> = Vec::new();
    for line in blocks.flat_map(|block| block.split("```").next().unwrap().lines()) {
        match commands.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push_str(line);
            }
            _ => commands.push(line.into()),
        }
    }
    assert!(commands.len() >= 4, "{commands:?}");
    commands
}

/// Makes the users on every node, and takes the rights of everybody else.
fn introduce(server: &Server) {
    for node in &server.nodes {
        for command in commands() {
            let _: String = node
                .ask(&command)
                .unwrap_or_else(|error| panic!("{command}: {error}"));
        }
    }
}

/// How a role reaches the server.
fn access(server: &Server, role: &str) -> Access {
    let command = commands()
        .into_iter()
        .find(|command| command.contains(role))
        .unwrap();
    let mut words = command.split_whitespace();
    let user = words.nth(2).unwrap();
    let password = words.find_map(|word| word.strip_prefix('>')).unwrap();
    let url = match server.url() {
        url if url.starts_with("unix:") => format!("{url}?user={user}"),
        url => url.replace("redis://", &format!("redis://{user}@")),
    };
    Access::to(&url).with("SOJOURN_REDIS_PASSWORD", password)
}

/// What the server had to refuse, but for what a client says of itself: see the document.
fn refused(server: &Server) -> Vec<String> {
    let log = |node: &Node| -> Vec<Value> { node.ask("ACL LOG").unwrap() };
    let entries = server.nodes.iter().flat_map(log);
    entries
        .map(|entry| format!("{entry:?}"))
        .filter(|entry| !entry.contains("client|setinfo"))
        .collect()
}

/// Batches as the user of naming workers.
async fn work_of_the_batch_lane(server: &Server) {
    introduce(server);
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), USERS, 1).display().to_string();
    let [scheduler, extract, name] =
        ["scheduler", "extract", "name"].map(|role| access(server, &format!("sojourn-{role}")));
    let endpoint = Faulty::start(&json!({}));
    let url = endpoint.url();
    let model = format!(
        "name --lane batch --endpoint {url} --model fake --batch-gather 0.5 --batch-poll 0.2 \
         --price-input 1 --price-output 1 --money-per-day 1000"
    );
    let model: Vec<&str> = model.split(' ').collect();
    let _processes: [Running; 3] = [
        scheduler.start("sojourn", &["serve"]),
        extract.start("sojourn-worker", &["extract"]),
        name.start("sojourn-worker", &model),
    ];
    let status = scheduler.ask(&["backfill", &dataset, "--watch", "--budget", "1000"]);
    assert_counted_once(&status, USERS);
    assert_eq!(
        status["ledger"]["calls"],
        endpoint.report().await["answered"],
        "{status}"
    );
    assert_eq!(refused(server), [""; 0]);
    // Only for a question for which there is no money.
    let dry = "ACL DRYRUN sojourn-name DEL sj:{0a}:batched";
    let may: String = server.nodes[0].ask(dry).unwrap();
    assert_eq!(may, "OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_made_by_the_user_of_naming_workers() {
    work_of_the_batch_lane(&Server::start_single_with(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_made_by_the_user_of_naming_workers_of_a_cluster() {
    work_of_the_batch_lane(&Server::start_cluster(0)).await;
}

/// Each process as its own user, and the command line as the scheduler's.
fn work_of_every_role(server: &Server) {
    introduce(server);
    let folder = tempfile::tempdir().unwrap();
    let dataset = small_dataset(folder.path(), USERS, 1).display().to_string();
    let [scheduler, extract, name] =
        ["scheduler", "extract", "name"].map(|role| access(server, &format!("sojourn-{role}")));
    let endpoint = Endpoint::start(answers);
    let url = endpoint.url();
    let model = format!(
        "name --endpoint {url} --model fake --calls-at-once 4 --price-input 1 --price-output 1 \
         --money-per-day 1000"
    );
    let model: Vec<&str> = model.split(' ').collect();
    let _processes: [Running; 3] = [
        scheduler.start("sojourn", &["serve"]),
        extract.start("sojourn-worker", &["extract"]),
        name.start("sojourn-worker", &model),
    ];
    let status = scheduler.ask(&["backfill", &dataset, "--watch", "--budget", "1000"]);
    assert_eq!(
        status["ledger"]["calls"],
        endpoint.questions().len(),
        "{status}"
    );
    assert_counted_once(&status, USERS);
    let run = status["id"].as_str().unwrap();
    let repaired = scheduler.ask(&["repair", run, "--watch"]);
    assert_counted_once(&repaired, USERS);
    let users = folder.path().join("users.txt");
    std::fs::write(&users, "u1\nu2\n").unwrap();
    let users = users.display().to_string();
    let recompute = scheduler.ask(&["recompute", &dataset, "--users", &users, "--watch"]);
    assert_eq!(recompute["counts"]["users"], 2);
    for arguments in [
        &["runs"][..],
        &["pause", "--lane", "low"],
        &["resume", "--lane", "low"],
        &["dead", "list"],
        &["dead", "drop", "--all"],
        &["budget", run, "2000"],
        &["cancel", run],
        &["cancel", "--all"],
        &["show", "u1"],
    ] {
        scheduler.ask(arguments);
    }
    assert_eq!(refused(server), [""; 0]);

    // A reader reads results, and that is all.
    let reader = access(server, "sojourn-reader");
    reader.ask(&["show", "u1"]);
    assert_eq!(refused(server), [""; 0]);
    for refused in [&["runs"][..], &["backfill", &dataset]] {
        let output = reader.command("sojourn", refused).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(3),
            "{refused:?}: {}",
            said(&output)
        );
    }
}

#[test]
fn each_role_does_its_work_as_its_own_user() {
    work_of_every_role(&Server::start_single_with(&[]));
}

#[test]
fn each_role_does_its_work_as_its_own_user_of_a_cluster() {
    work_of_every_role(&Server::start_cluster(0));
}

#[test]
fn a_user_may_not_do_what_is_not_its_part() {
    let server = Server::start_single_with(&[]);
    introduce(&server);
    let forbidden = [
        ("reader", "HSET sj:{ann}:names j x"),
        ("reader", "DEL sj:{ann}:names"),
        ("reader", "HGETALL sj:{runs}:settings"),
        ("reader", "XRANGE sj:{extract:0}:low - +"),
        ("reader", "XADD sj:triggers * kind backfill"),
        ("reader", "KEYS *"),
        ("reader", "SCAN 0"),
        ("reader", "CONFIG GET *"),
        ("reader", "EVAL return 0"),
        ("name", "XADD sj:{extract:0}:low * a b"),
        ("name", "XADD sj:triggers * kind backfill"),
        ("name", "HSET sj:{runs}:1-0 state done"),
        ("extract", "SET sj:{0a}:name x"),
        ("reader", "GET sj:{0a}:name"),
        ("extract", "XADD sj:triggers * kind backfill"),
        ("extract", "HSET sj:{runs}:1-0 state done"),
        ("scheduler", "HSET sj:{ann}:names j x"),
        ("scheduler", "FLUSHALL"),
        ("scheduler", "CONFIG SET maxmemory 1"),
        ("extract", "FLUSHALL"),
        ("name", "ACL LIST"),
        ("scheduler", "HSET sj:{llm}:days 20781 0"),
        ("extract", "HSET sj:{llm}:ledger:1-0 money 0"),
    ];
    let tried = |role: &str, command: &str| -> String {
        let tried = format!("ACL DRYRUN sojourn-{role} {command}");
        server.nodes[0].ask(&tried).unwrap()
    };
    for (role, command) in forbidden {
        let answer = tried(role, command);
        assert!(
            answer.contains("no permissions"),
            "{role}: {command}: {answer}"
        );
    }
    // Only a worker that asks for long, or in vain, does this.
    assert_eq!(tried("name", "PEXPIRE sj:{0a}:name:claim 1000"), "OK");
}
