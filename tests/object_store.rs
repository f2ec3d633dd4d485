//! From an object store to an object store, against a server that speaks S3.
//!
//! The server is `moto_server` (`pip install 'moto[server,s3]'`), from PATH or
//! `SOJOURN_MOTO_SERVER`; without it the test is skipped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use sojourn::dataset::{Dataset, Manifest, Storage};
use sojourn::ingest::{IngestError, IngestOptions, IngestProgress, ingest};

const CHILD_FOLDER: &str = "SOJOURN_TEST_CHILD_FOLDER";
const BUCKET: &str = "journeys";

/// A server on a port of its own, ended with the test.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Option<Server> {
        let program = std::env::var_os("SOJOURN_MOTO_SERVER").unwrap_or("moto_server".into());
        let mut process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut log = BufReader::new(process.stderr.take().expect("piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(
                log.read_line(&mut line).expect("text") > 0,
                "the server ended"
            );
            if let Some((_, address)) = line.trim().split_once("Running on http://") {
                break address.to_owned();
            }
        };
        // Nobody reads the log any more, and a full pipe would stop the server.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Server { process, address })
    }

    fn create_bucket(&self) {
        let mut stream = TcpStream::connect(&self.address).expect("the server");
        let address = &self.address;
        write!(
            stream,
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: \
             close\r\n\r\n"
        )
        .expect("the server");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server");
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is our child; if it has ended already, that is what we want.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_dataset_goes_from_an_object_store_to_an_object_store() {
    let Some(server) = Server::start() else {
        eprintln!("skipped: there is no moto_server, set SOJOURN_MOTO_SERVER");
        return;
    };
    server.create_bucket();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // What the store needs comes from the environment, which is a matter of the whole process.
    let output = Command::new(std::env::current_exe().expect("a test is a program"))
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(CHILD_FOLDER, folder.path())
        .env("AWS_ENDPOINT", format!("http://{}", server.address))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .output()
        .expect("a child");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "run by a_dataset_goes_from_an_object_store_to_an_object_store"]
fn child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER).map(PathBuf::from) else {
        return;
    };
    // As the binaries do.
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.expect("the first provider");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(there_and_back(&folder));
}

async fn there_and_back(folder: &Path) {
    let remote = |name: &str| format!("s3://{BUCKET}/{name}");
    let local = |name: &str| folder.join(name).display().to_string();
    write_input(folder);
    let inputs = Storage::open(&remote("in")).expect("a URL");
    for name in ["items.jsonl", "log/1.csv", "log/2.csv"] {
        inputs
            .upload(&folder.join(name), name)
            .await
            .expect("an upload");
    }

    let run = |options| ingest(options, Arc::new(IngestProgress::default()));
    let here = run(IngestOptions::new(
        &local("items.jsonl"),
        &local("log"),
        &local("out"),
    ));
    let here = here.await.expect("a dataset");
    let options = || {
        IngestOptions::new(
            &remote("in/items.jsonl"),
            &remote("in/log"),
            &remote("out/1"),
        )
    };
    let there = run(options()).await.expect("a dataset");
    assert_eq!((&here.id, &here.shards), (&there.id, &there.shards));
    let again = run(options()).await;
    assert!(
        matches!(again, Err(IngestError::Exists { .. })),
        "{again:?}"
    );

    assert_eq!(
        Manifest::load(&remote("out/1")).await.expect("a manifest"),
        there
    );
    let cache = folder.join("cache");
    for _ in ["downloaded", "found in the cache"] {
        let dataset = Dataset::open(&remote("out/1"), &cache)
            .await
            .expect("a dataset");
        dataset.verify().await.expect("what was written");
        assert_eq!(std::fs::read_dir(&cache).expect("a folder").count(), 1);
    }
    let missing = Dataset::open(&remote("out/2"), &cache)
        .await
        .expect_err("nothing there");
    assert!(
        missing.to_string().contains("manifest.json is missing"),
        "{missing}"
    );
    let missing = IngestOptions::new(&remote("in/none.csv"), &remote("in/log"), &remote("out/2"));
    let missing = run(missing).await.expect_err("nothing there").to_string();
    assert!(missing.contains("s3://journeys/in/none.csv"), "{missing}");
}

/// Long enough titles for a catalogue that goes up in several parts.
fn write_input(folder: &Path) {
    const ITEMS: usize = 30_000;
    let padding = "violin orchid sourdough ".repeat(30);
    let items: String = (0..ITEMS)
        .map(|item| format!("{{\"item_id\":\"{item}\",\"title\":\"{item} {padding}\"}}\n"))
        .collect();
    std::fs::write(folder.join("items.jsonl"), items).expect("room on disk");
    std::fs::create_dir(folder.join("log")).expect("room on disk");
    for part in 1..=2 {
        let rows = (0..5_000).map(|row| format!("u{},{},{row}\n", row % 700 * part, row % ITEMS));
        let log = format!("user_id,item_id,timestamp\n{}", rows.collect::<String>());
        std::fs::write(folder.join(format!("log/{part}.csv")), log).expect("room on disk");
    }
}
