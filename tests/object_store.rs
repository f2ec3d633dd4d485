//! From an object store to an object store, against a server that speaks S3.
//!
//! The server is `moto_server` (`make python` installs one), from PATH, the repository's `.tools` or
//! `SOJOURN_MOTO_SERVER`; without it the test is skipped, but in CI it must be there.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use sojourn::code::{Code, Coded};
use sojourn::dataset::{Dataset, Manifest, Storage};
use sojourn::ingest::{IngestError, IngestOptions, IngestProgress, Phase, ingest};
use tokio_util::sync::CancellationToken;

const CHILD_FOLDER: &str = "SOJOURN_TEST_CHILD_FOLDER";
const BUCKET: &str = "journeys";

/// A server on a port of its own, ended with the test.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Option<Server> {
        let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/venv/bin/moto_server");
        let found = match fetched.is_file() {
            true => fetched.into(),
            false => "moto_server".into(),
        };
        let program = std::env::var_os("SOJOURN_MOTO_SERVER").unwrap_or(found);
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
        assert!(
            std::env::var_os("CI").is_none(),
            "moto_server is missing in CI"
        );
        eprintln!("skipped: there is no moto_server, run `make python`");
        return;
    };
    server.create_bucket();
    run_child("child_of_a_store", &server.address);
}

#[test]
fn a_store_that_refuses_is_not_taken_for_an_empty_one() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    // Ends with the test's process.
    std::thread::spawn(move || listener.incoming().flatten().for_each(refuse));
    run_child("child_of_a_refusal", &address);
}

/// Answers a request with "forbidden".
fn refuse(mut connection: TcpStream) {
    let mut reader = BufReader::new(connection.try_clone().expect("a descriptor"));
    let mut line = String::new();
    let mut length = 0;
    // Until the empty line that ends the head, or the end of the connection.
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    // Whether the client is still there to read the answer is its own matter.
    let _ = std::io::copy(&mut reader.take(length), &mut std::io::sink());
    let _ = connection
        .write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

/// What a store needs comes from the environment, which is a matter of the whole process.
fn run_child(name: &str, address: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(std::env::current_exe().expect("a test is a program"))
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(CHILD_FOLDER, folder.path())
        .env("AWS_ENDPOINT", format!("http://{address}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        // Somebody's variable that is no text must not matter.
        .env(
            OsStr::from_bytes(b"NOT_TEXT_\xff"),
            OsStr::from_bytes(b"\xff"),
        )
        .output()
        .expect("a child");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs the work of a child, if this process is one.
fn as_child<T: Future<Output = ()>>(work: impl FnOnce(PathBuf) -> T) {
    let Some(folder) = std::env::var_os(CHILD_FOLDER).map(PathBuf::from) else {
        return;
    };
    // As the binaries do.
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.expect("the first provider");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work(folder));
}

fn remote(name: &str) -> String {
    format!("s3://{BUCKET}/{name}")
}

async fn run(options: IngestOptions) -> Result<Manifest, IngestError> {
    ingest(options, Arc::default()).await
}

#[test]
#[ignore = "run by a_dataset_goes_from_an_object_store_to_an_object_store"]
fn child_of_a_store() {
    as_child(async |folder| {
        write_input(&folder);
        let inputs = Storage::open(&remote("in")).expect("a URL");
        for name in [
            "items.jsonl",
            "few/items.jsonl",
            "log/1.csv",
            "log/2.csv",
            "log/_temporary/3.csv",
        ] {
            let file = tokio::fs::File::open(folder.join(name)).await;
            let uploaded = inputs.upload(file.expect("it was written"), name).await;
            uploaded.expect("an upload");
        }
        let interactions = there_and_back(&folder).await;
        globs_are_those_of_files(&folder, interactions).await;
        of_two_at_once_one_gets_the_place().await;
        a_replaced_dataset_leaves_nothing_behind(&folder).await;
        an_upload_that_is_stopped_leaves_nothing(&folder).await;
    });
}

#[test]
#[ignore = "run by a_store_that_refuses_is_not_taken_for_an_empty_one"]
fn child_of_a_refusal() {
    as_child(async |folder| {
        write_input(&folder);
        let local = |name: &str| folder.join(name).display().to_string();
        let mut options = IngestOptions::new(&local("few"), &local("log"), &remote("out"));
        let refused = run(options.clone()).await.expect_err("a refusal");
        assert!(
            refused.to_string().contains("cannot read manifest.json"),
            "{refused}"
        );
        options.force = true;
        let refused = run(options.clone()).await.expect_err("a refusal");
        assert!(
            refused.to_string().contains("cannot write catalogue-"),
            "{refused}"
        );
        options.out = local("out");
        options.items = vec![remote("in/items.jsonl")];
        let unread = run(options).await.expect_err("a refusal");
        for error in [refused, unread] {
            assert!(error.to_string().contains("403"), "{error}");
            assert_eq!(error.code(), Code::Storage, "{error}");
        }
    });
}

/// Returns how many interactions there are.
async fn there_and_back(folder: &Path) -> u64 {
    let local = |name: &str| folder.join(name).display().to_string();
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
    assert_eq!(here.id, there.id);
    let sums = |manifest: &Manifest| -> Vec<String> {
        let files = manifest.shards.iter().map(|shard| &shard.file);
        files.map(|file| file.sha256.clone()).collect()
    };
    assert_eq!(sums(&here), sums(&there));
    assert_eq!(here.catalogue.name, "catalogue.sjc");
    assert!(there.catalogue.name.contains(&there.catalogue.sha256[..16]));
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
    here.counts.interactions
}

async fn globs_are_those_of_files(folder: &Path, interactions: u64) {
    for (log, out) in [
        ("in/log/*.csv", "a"),
        ("in/l?g", "b"),
        ("in/log/[12].csv", "c"),
    ] {
        let out = folder.join(out).display().to_string();
        let manifest = run(IngestOptions::new(
            &remote("in/few/*.jsonl"),
            &remote(log),
            &out,
        ))
        .await;
        assert_eq!(
            manifest.expect("a dataset").counts.interactions,
            interactions,
            "{log}"
        );
    }
    let out = folder.join("d").display().to_string();
    let none = run(IngestOptions::new(
        &remote("in/*.csv"),
        &remote("in/log"),
        &out,
    ))
    .await;
    let none = none.expect_err("no object").to_string();
    assert!(none.contains("s3://journeys/in/*.csv"), "{none}");

    // A row is found again by the name of its object.
    let mut options = IngestOptions::new(&remote("in/few/*.jsonl"), &remote("in/log/*.csv"), &out);
    options.fields =
        sojourn::ingest::FieldMap::parse("timestamp=item_id,item_id=timestamp").expect("a mapping");
    let swapped = run(options).await.expect_err("nothing fits").to_string();
    assert!(swapped.contains("s3://journeys/in/"), "{swapped}");
}

fn small(log: &str, out: &str) -> IngestOptions {
    IngestOptions::new(&remote("in/few"), &remote(log), &remote(out))
}

async fn of_two_at_once_one_gets_the_place() {
    let (one, other) = tokio::join!(
        run(small("in/log/1.csv", "out/3")),
        run(small("in/log/2.csv", "out/3"))
    );
    let (winner, loser) = match (one, other) {
        (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
        both => panic!("{both:?}"),
    };
    assert!(matches!(loser, IngestError::Exists { .. }), "{loser}");
    assert_whole("out/3", &winner).await;
}

async fn a_replaced_dataset_leaves_nothing_behind(folder: &Path) {
    let first = run(small("in/log/1.csv", "out/4"))
        .await
        .expect("a dataset");
    let reader = Dataset::open(&remote("out/4"), &folder.join("cache")).await;
    let mut options = small("in/log/2.csv", "out/4");
    options.force = true;
    let second = run(options).await.expect("a dataset");
    assert_ne!(first.id, second.id);
    assert_whole("out/4", &second).await;
    // Whoever reads the first one still is told that it is gone, and gets nothing of the second.
    let reader = reader.expect("a dataset");
    let gone = reader.read_shard(first.shards[0].index).await;
    let gone = gone.expect_err("it was replaced").to_string();
    assert!(gone.contains("is missing"), "{gone}");
}

async fn an_upload_that_is_stopped_leaves_nothing(folder: &Path) {
    let stop = CancellationToken::new();
    let progress = Arc::new(IngestProgress::until(stop.clone()));
    let mut options = small("in/log/1.csv", "out/5");
    // Large enough that it is still on its way when it is seen to be.
    options.items = vec![remote("in/items.jsonl")];
    options.scratch = Some(folder.join("scratch"));
    let watcher = async {
        while progress.phase() != Phase::Upload {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(ingest(options, progress.clone()), watcher);
    assert!(matches!(ended, Err(IngestError::Stopped)), "{ended:?}");
    assert_eq!(objects("out/5").await, BTreeSet::new());
    let scratch = std::fs::read_dir(folder.join("scratch")).expect("a folder");
    assert_eq!(scratch.count(), 0);
}

/// Asserts that under a prefix there is a dataset, and nothing else.
async fn assert_whole(prefix: &str, manifest: &Manifest) {
    let loaded = Manifest::load(&remote(prefix)).await;
    assert_eq!(loaded.expect("a manifest"), *manifest);
    let mut expected: BTreeSet<String> = manifest.files().map(|file| file.name.clone()).collect();
    expected.insert("manifest.json".into());
    assert_eq!(objects(prefix).await, expected);
}

/// Names of all objects under a prefix.
async fn objects(prefix: &str) -> BTreeSet<String> {
    let url = remote(prefix).parse().expect("a URL");
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        Some((
            name.into_string().ok()?.to_lowercase(),
            value.into_string().ok()?,
        ))
    });
    let (store, path) = object_store::parse_url_opts(&url, environment).expect("a store");
    let listed: Vec<_> = store.list(Some(&path)).try_collect().await.expect("a list");
    let prefix = format!("{prefix}/");
    let names = listed
        .iter()
        .map(|object| object.location.as_ref().replace(&prefix, ""));
    names.collect()
}

/// Items with titles that are long enough for a catalogue that goes up in several parts, and those
/// items of them that the log has, with short ones.
fn write_input(folder: &Path) {
    const ITEMS: usize = 30_000;
    const ROWS: usize = 5_000;
    let padding = "violin orchid sourdough ".repeat(30);
    let items: String = (0..ITEMS)
        .map(|item| format!("{{\"item_id\":\"{item}\",\"title\":\"{item} {padding}\"}}\n"))
        .collect();
    std::fs::write(folder.join("items.jsonl"), items).expect("room on disk");
    let few: String = (0..ROWS)
        .map(|item| format!("{{\"item_id\":\"{item}\",\"title\":\"{item} violin\"}}\n"))
        .collect();
    std::fs::create_dir(folder.join("few")).expect("room on disk");
    std::fs::write(folder.join("few/items.jsonl"), few).expect("room on disk");
    std::fs::create_dir_all(folder.join("log/_temporary")).expect("room on disk");
    std::fs::write(folder.join("log/_temporary/3.csv"), "half a row").expect("room on disk");
    for part in 1..=2 {
        let rows = (0..ROWS).map(|row| format!("u{},{},{row}\n", row % 700 * part, row % ITEMS));
        let log = format!("user_id,item_id,timestamp\n{}", rows.collect::<String>());
        std::fs::write(folder.join(format!("log/{part}.csv")), log).expect("room on disk");
    }
}
