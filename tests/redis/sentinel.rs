//! A primary that sentinels know, and its replica.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sojourn::connection::{ConnectError, Redis, RedisOptions};

use crate::deployment::{Access, assert_counted_once, without_names};
use crate::support::{Node, free_ports, server_program, small_dataset, wait_for};

/// Users, one in each shard.
const USERS: usize = 400;

/// Of the sentinels. The servers have another.
pub const WATCHWORD: &str = "watchword";

/// Of the servers.
pub const PASSWORD: &str = "swordfish";

pub struct SentinelProcess(Child);

impl Drop for SentinelProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a sentinel that watches the server at `primary`.
fn sentinel(folder: &Path, port: u16, primary: u16) -> SentinelProcess {
    sentinel_with(folder, port, primary, "")
}

/// With further settings, which go before the others.
pub fn sentinel_with(folder: &Path, port: u16, primary: u16, settings: &str) -> SentinelProcess {
    let file = folder.join(format!("sentinel-{port}.conf"));
    let settings = format!(
        "port {port}\n{settings}\nbind 127.0.0.1\ndir {}\nrequirepass {WATCHWORD}\n\
         sentinel monitor orders 127.0.0.1 {primary} 2\n\
         sentinel auth-pass orders {PASSWORD}\n\
         sentinel down-after-milliseconds orders 1000\n\
         sentinel failover-timeout orders 5000\n",
        folder.display()
    );
    std::fs::write(&file, settings).unwrap();
    let child = Command::new(server_program())
        .arg(file)
        .arg("--sentinel")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    SentinelProcess(child)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_with_the_replica_when_the_primary_dies() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports(5);
    let (servers, sentinel_ports) = ports.split_at(2);
    let arguments = |more: &str| {
        let text = format!(
            "--requirepass {PASSWORD} --masterauth {PASSWORD} --repl-diskless-sync-delay 0 {more}"
        );
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut primary = Node::start(&folder.path().join("1"), servers[0], &arguments(""));
    let follows = arguments(&format!("--replicaof 127.0.0.1 {}", servers[0]));
    let _replica = Node::start(&folder.path().join("2"), servers[1], &follows);
    let _sentinels: Vec<SentinelProcess> = sentinel_ports
        .iter()
        .map(|&port| sentinel(folder.path(), port, servers[0]))
        .collect();
    let known = format!("slaves=1,sentinels={}", sentinel_ports.len());
    wait_for_sentinels(sentinel_ports, &known);

    let hosts: Vec<String> = sentinel_ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    let url = format!("redis+sentinel://{}/orders", hosts.join(","));
    let access = Access::to(&url)
        .with("SOJOURN_REDIS_PASSWORD", PASSWORD)
        .with("SOJOURN_REDIS_SENTINEL_PASSWORD", WATCHWORD);
    let dataset = small_dataset(folder.path(), USERS, 1).display().to_string();
    let _processes = access.deploy();
    let run = access.backfill(&dataset);
    access.wait_for_jobs(&run, 50);
    primary.kill();
    wait_for_sentinels(sentinel_ports, &format!("address=127.0.0.1:{}", servers[1]));
    let status = access.ask(&["run", &run, "--watch"]);
    assert_counted_once(&status, USERS);
    let mut options = RedisOptions::new(url);
    options.password = Some(PASSWORD.into());
    options.sentinel_password = Some(WATCHWORD.into());
    assert_eq!(without_names(&options, USERS).await, [""; 0]);
}

/// Waits until each sentinel says so of the primary that it watches.
fn wait_for_sentinels(ports: &[u16], what: &str) {
    let says_so = |port: &u16| {
        let url = format!("redis://:{WATCHWORD}@127.0.0.1:{port}");
        let mut connection = redis::Client::open(url).ok()?.get_connection().ok()?;
        let mut info = redis::cmd("INFO");
        let info: String = info.arg("sentinel").query(&mut connection).ok()?;
        info.contains(what).then_some(())
    };
    wait_for("the sentinels", || {
        ports
            .iter()
            .all(|port| says_so(port).is_some())
            .then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_know_no_such_primary_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports(2);
    let _primary = Node::start(&folder.path().join("1"), ports[0], &[]);
    let _sentinel = sentinel(folder.path(), ports[1], ports[0]);
    let url = format!("redis+sentinel://127.0.0.1:{}/invoices", ports[1]);
    let mut options = RedisOptions::new(url);
    options.sentinel_password = Some(WATCHWORD.into());
    wait_for("the sentinel", || {
        TcpStream::connect(("127.0.0.1", ports[1])).ok()
    });
    let error = Redis::connect(&options).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("invoices") && text.contains("entinel"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_can_be_asked_as_a_user_of_few_rights() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports(2);
    let arguments = ["--requirepass".to_owned(), PASSWORD.into()];
    let _primary = Node::start(&folder.path().join("1"), ports[0], &arguments);
    // As docs/redis-access.md says.
    let user = "user finder on >open-sesame -@all +role +sentinel|masters";
    let _sentinel = sentinel_with(folder.path(), ports[1], ports[0], user);
    wait_for("the sentinel", || {
        TcpStream::connect(("127.0.0.1", ports[1])).ok()
    });
    let mut options = RedisOptions::new(format!("redis+sentinel://127.0.0.1:{}/orders", ports[1]));
    options.password = Some(PASSWORD.into());
    options.sentinel_password = Some("open-sesame".into());
    let error = Redis::connect(&options).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Unauthorized { .. }),
        "the default user has another password: {error}"
    );
    let access = Access::to(&options.url)
        .with("SOJOURN_REDIS_PASSWORD", PASSWORD)
        .with("SOJOURN_REDIS_SENTINEL_USER", "finder")
        .with("SOJOURN_REDIS_SENTINEL_PASSWORD", "open-sesame");
    // A sentinel needs a moment to know its primary.
    wait_for("the primary", || {
        let output = access.command("sojourn", &["runs"]).output().unwrap();
        output.status.success().then_some(())
    });
}
