//! The competitor, the speed of light for HTTP: a loop that sends questions which are ready, and reads
//! the names out of the answers. It packs, checks, limits, shares and stores nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::CONCURRENCY;
use crate::cost::Cost;
use crate::process::cpu;

/// The first argument of the process that this loop is.
pub const MODE: &str = "plain-loop";

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

#[derive(Deserialize)]
struct Names {
    names: Vec<Name>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Name {
    id: String,
    name: String,
}

/// Runs the loop in a process of its own, `calls` times over the questions in a file.
pub fn measure(url: &str, questions: &Path, calls: usize) -> Cost {
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(program)
        .args([MODE, url])
        .arg(questions)
        .arg(calls.to_string())
        .output()
        .expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("figures");
    let seconds = |name: &str| said[name].as_f64().map(std::time::Duration::from_secs_f64);
    Cost {
        names: said["names"].as_u64().expect("a number"),
        wall: seconds("wall").expect("a time"),
        cpu: seconds("cpu").expect("a time"),
    }
}

/// The process: URL, file of questions, number of calls.
pub async fn run(arguments: &[String]) {
    let [url, file, calls] = arguments else {
        panic!("usage: {MODE} URL FILE CALLS");
    };
    sojourn::settings::install_tls();
    let questions = std::fs::read_to_string(file).expect("questions");
    let questions: Arc<Vec<String>> = Arc::new(questions.lines().map(str::to_owned).collect());
    let calls: usize = calls.parse().expect("a number");
    let (next, client) = (Arc::new(AtomicUsize::new(0)), reqwest::Client::new());
    let (begun, before) = (Instant::now(), cpu(std::process::id()));
    let tasks = (0..CONCURRENCY).map(|_| {
        let url = format!("{url}/chat/completions");
        let (questions, next, client) = (questions.clone(), next.clone(), client.clone());
        tokio::spawn(async move {
            let mut names = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return names;
                }
                let question = questions[number % questions.len()].clone();
                let request = client.post(&url).header("content-type", "application/json");
                let answer = request.body(question).send().await.expect("an answer");
                let body = answer.bytes().await.expect("all of it");
                let completion: Completion = serde_json::from_slice(&body).expect("a completion");
                let content = &completion.choices[0].message.content;
                let answer: Names = serde_json::from_str(content).expect("names");
                names += answer.names.len();
            }
        })
    });
    let mut names = 0;
    for task in tasks.collect::<Vec<_>>() {
        names += task.await.expect("no panic");
    }
    let used = cpu(std::process::id()) - before;
    let wall = begun.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"names": names, "wall": wall, "cpu": used.as_secs_f64()})
    );
}
