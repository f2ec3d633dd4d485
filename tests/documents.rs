//! The documents are true: every snippet of docs/redis-keys.md runs and prints what stands below
//! it, every command line is one that the programs accept, every link leads somewhere.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use sojourn::code::Code;
use sojourn::health::Report;
use sojourn::settings::OPTIONS;
use sojourn::store::JourneyReader;
use support::{Running, Server, command, ingest, root, said};

/// Fields of the examples in JSON that differ from run to run, or with every change of a parameter.
const VARYING: [&str; 4] = ["run", "dataset", "parameters", "written_at"];

/// A fenced block of a document.
#[derive(Debug)]
struct Block {
    line: usize,
    language: String,
    text: String,
    /// Whether nothing but blank lines stands between it and the block before.
    follows: bool,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut follows = false;
    for (number, line) in document.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block {
                    line: number + 1,
                    language: language.trim().to_owned(),
                    text: String::new(),
                    follows,
                });
            }
            (None, None) => follows = follows && line.trim().is_empty(),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (Some(_), Some(_)) => {
                blocks.extend(open.take());
                follows = true;
            }
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    blocks
}

/// README.md and everything in docs/, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let docs = std::fs::read_dir(root().join("docs")).expect("docs/");
    let mut paths: Vec<PathBuf> = docs
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.sort();
    let readme = root().join("README.md");
    if readme.is_file() {
        paths.push(readme);
    }
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a document");
            (path, text)
        })
        .collect()
}

/// The dataset that docs/redis-keys.md speaks of.
fn dataset(folder: &Path) -> PathBuf {
    const ITEMS: &str = "item_id,title,description
uke-1,Ukulele strumming for beginners,Easy ukulele chords
uke-2,Ukulele fingerpicking lesson,Fingerpicking patterns on the ukulele
uke-3,Five easy ukulele songs,Ukulele chords and strumming
uke-4,Ukulele chords that sound good,Strumming and fingerpicking
bread-1,Sourdough starter from scratch,Flour and water
bread-2,Shaping a sourdough loaf,Sourdough dough and flour
bread-3,Feeding a sourdough starter,How much flour a sourdough starter wants
bread-4,Baking a sourdough loaf,A loaf in a hot pot
salad-1,Hydroponic lettuce on the balcony,Lettuce in nutrient solution
salad-2,Mixing a nutrient solution,Nutrient solution for hydroponic lettuce
salad-3,A lettuce tower,Hydroponic lettuce under grow lights
salad-4,Grow lights for lettuce,Hydroponic lettuce indoors
";
    let users: [(&str, &[&str]); 3] = [
        ("ann", &["uke", "bread"]),
        ("bob", &["salad"]),
        ("cem", &["bread", "salad"]),
    ];
    let mut interactions = String::from("user_id,item_id,timestamp\n");
    for (user, topics) in users {
        for day in 1..=4 {
            for (hour, topic) in (18..).zip(topics) {
                let row = format!("{user},{topic}-{day},2026-03-0{day}T{hour}:00:00Z\n");
                interactions.push_str(&row);
            }
        }
    }
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(path("items.csv"), ITEMS).expect("room on disk");
    std::fs::write(path("interactions.csv"), interactions).expect("room on disk");
    let out = folder.join("dataset");
    let output = ingest(folder, &out, &[]);
    assert!(output.status.success(), "{}", said(&output));
    out
}

/// A port that nobody listened at a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The Python that runs snippets.
fn python() -> PathBuf {
    let python = root().join(".tools/venv/bin/python");
    let path = python.display();
    assert!(
        python.is_file(),
        "{path} is missing: run scripts/install-python"
    );
    python
}

/// Whether there is a redis-cli for snippets: not every server comes with one.
fn has_redis_cli() -> bool {
    let output = Command::new("redis-cli").arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

/// A Python that runs the blocks of a document one after the other, as one program.
struct Python {
    child: Child,
    blocks: ChildStdin,
    printed: BufReader<ChildStdout>,
}

impl Python {
    /// A block comes in as one line of JSON, what it printed goes out as another. An exception ends
    /// the program; its traceback is on standard error.
    const PROGRAM: &str = "
import contextlib, io, json, sys
scope = {'__name__': '__main__'}
for line in sys.stdin:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(json.loads(line), 'snippet', 'exec'), scope)
    print(json.dumps(printed.getvalue()), flush=True)
";

    fn start(program: &Path, environment: &[(&str, String)]) -> Python {
        let mut child = Command::new(program)
            .args(["-u", "-c", Python::PROGRAM])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let blocks = child.stdin.take().expect("a pipe");
        let printed = BufReader::new(child.stdout.take().expect("a pipe"));
        Python {
            child,
            blocks,
            printed,
        }
    }

    fn run(&mut self, block: &Block) -> String {
        let source = Value::from(block.text.as_str());
        writeln!(self.blocks, "{source}").expect("Python listens");
        let mut line = String::new();
        self.printed.read_line(&mut line).expect("Python answers");
        serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the snippet in line {} failed; see above", block.line))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It has nothing to lose, and may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shell(block: &Block, environment: &[(&str, String)]) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &block.text])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let line = block.line;
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "the snippet in line {line}: {}",
        said(&output)
    );
    String::from_utf8(output.stdout).expect("the snippet prints text")
}

/// Whether JSON is what the document shows.
fn alike(shown: &Value, real: &Value) -> bool {
    match (shown, real) {
        (Value::Object(shown), Value::Object(real)) => {
            shown.len() == real.len()
                && shown.iter().all(|(field, shown)| {
                    real.get(field).is_some_and(|real| {
                        let same_type = shown.is_string() && real.is_string();
                        alike(shown, real) || (VARYING.contains(&field.as_str()) && same_type)
                    })
                })
        }
        _ => shown == real,
    }
}

/// Compares what a snippet printed with the block below it, and says whether there is one.
fn assert_printed(snippet: &Block, printed: &str, below: Option<&Block>) -> bool {
    let line = snippet.line;
    let Some(below) = below.filter(|below| below.follows) else {
        return false;
    };
    match below.language.as_str() {
        "text" => assert_eq!(
            printed.trim_end(),
            below.text.trim_end(),
            "the snippet in line {line} prints the left, the document says the right"
        ),
        "json" => {
            let parse = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
            let (shown, real) = (parse(&below.text), parse(printed));
            assert!(
                alike(&shown, &real),
                "the snippet in line {line} prints {real:#}, the document says {shown:#}"
            );
        }
        _ => return false,
    }
    true
}

/// A server with the results of the dataset that docs/redis-keys.md speaks of.
struct Deployment {
    redis: String,
    dataset: String,
    _processes: [Running; 3],
    _server: Server,
}

fn deployment() -> Deployment {
    let port = free_port();
    let server = Server::start_single_with(&["--port", &port.to_string()]);
    let dataset = dataset(server.folder.path()).display().to_string();
    let processes = [
        Running::start("sojourn", &["serve"], &server),
        Running::start("sojourn-worker", &["extract"], &server),
        Running::start("sojourn-worker", &["name"], &server),
    ];
    let backfill = command("sojourn")
        .args(["backfill", &dataset, "--watch"])
        .env("SOJOURN_REDIS", server.url())
        .output()
        .expect("sojourn runs");
    assert!(backfill.status.success(), "{}", said(&backfill));
    Deployment {
        redis: format!("redis://127.0.0.1:{port}"),
        dataset,
        _processes: processes,
        _server: server,
    }
}

#[test]
fn every_snippet_about_the_keys_runs_and_prints_what_stands_below_it() {
    if !has_redis_cli() {
        let missing = "redis-cli is missing: apt-get install redis-tools";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        return;
    }
    let deployment = deployment();
    let environment = [
        ("REDIS", deployment.redis.clone()),
        ("DATASET", deployment.dataset.clone()),
    ];
    let mut python = Python::start(&python(), &environment);
    let text = std::fs::read_to_string(root().join("docs/redis-keys.md")).expect("the document");
    let blocks = blocks(&text);
    let (mut ran, mut compared) = (0, 0);
    for (at, block) in blocks.iter().enumerate() {
        let printed = match block.language.as_str() {
            "sh" => shell(block, &environment),
            "python" => python.run(block),
            _ => continue,
        };
        ran += 1;
        compared += usize::from(assert_printed(block, &printed, blocks.get(at + 1)));
    }
    // As many as the document had when this was written; fewer would mean that they are not found.
    assert!(ran >= 14, "only {ran} snippets");
    assert!(compared >= 13, "only {compared} outputs");
}

/// The Rust snippet of the README, as it stands there between the two comments.
async fn snippet_of_the_readme(url: &str) -> Result<(), Box<dyn Error>> {
    // begin
    let reader = JourneyReader::connect(url).await?; // "redis://localhost"
    let names = reader.names("ann").await?; // journey id -> name
    let many = reader.names_of_many(&["ann", "bob"]).await?; // in one round trip
    // end
    assert_eq!((names.len(), many.len()), (2, 2), "{names:?} {many:?}");
    assert_eq!(many[0], names);
    Ok(())
}

#[tokio::test]
async fn the_rust_snippet_of_the_readme_reads_names() {
    let deployment = deployment();
    let read = snippet_of_the_readme(&deployment.redis).await;
    read.expect("the names can be read");
}

#[test]
fn the_rust_snippet_of_the_readme_is_the_one_that_is_tested() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let blocks = blocks(&readme);
    let shown: Vec<&Block> = blocks
        .iter()
        .filter(|block| block.language == "rust")
        .collect();
    let &[shown] = shown.as_slice() else {
        panic!("{shown:?}");
    };
    let lines = include_str!("documents.rs").lines().map(str::trim);
    let tested = lines.skip_while(|line| *line != "// begin").skip(1);
    let tested: Vec<&str> = tested.take_while(|line| *line != "// end").collect();
    assert_eq!(shown.text.lines().collect::<Vec<_>>(), tested);
}

/// The long names of the options that a help shows, and the commands.
fn shown_by_help(words: &[&str]) -> (BTreeSet<String>, BTreeSet<String>) {
    let output = command(words[0]).args(&words[1..]).arg("--help").output();
    let output = output.expect("the program runs");
    assert!(output.status.success(), "{words:?}: {}", said(&output));
    let help = String::from_utf8(output.stdout).expect("help is text");
    let option = |line: &str| -> Option<String> {
        let line = line.trim_start();
        let long = line
            .strip_prefix("--")
            .or_else(|| line.get(4..)?.strip_prefix("--"));
        let long = long.filter(|_| line.starts_with('-'))?;
        let name = long.split([' ', '.']).next()?;
        (!["help", "version"].contains(&name)).then(|| name.to_owned())
    };
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_once(' '))
        .map(|(name, _)| name.to_owned())
        // What goes on from the line above has no name, and `help` takes no settings.
        .filter(|name| !name.is_empty() && name != "help");
    (
        help.lines().filter_map(option).collect(),
        commands.collect(),
    )
}

#[test]
fn the_settings_file_may_hold_exactly_the_options_that_the_programs_show() {
    for program in &OPTIONS {
        let (global, commands) = shown_by_help(&[program.name]);
        let known: BTreeSet<String> = program.global.iter().map(|&name| name.into()).collect();
        assert_eq!(known, global, "{}", program.name);
        let shown: BTreeMap<String, BTreeSet<String>> = commands
            .into_iter()
            .map(|name| {
                let (options, _) = shown_by_help(&[program.name, &name]);
                let own = options.difference(&global).cloned().collect();
                (name, own)
            })
            .collect();
        assert!(shown.len() > 1, "{}: {shown:?}", program.name);
        let known: BTreeMap<String, BTreeSet<String>> = program
            .commands
            .iter()
            .map(|(name, options)| {
                let options = options.iter().map(|&option| option.into());
                ((*name).to_owned(), options.collect())
            })
            .collect();
        assert_eq!(known, shown, "{}", program.name);
    }
}

#[test]
fn a_setting_that_no_program_has_is_refused_with_its_file_and_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("sojourn.toml");
    for program in ["sojourn", "sojourn-worker"] {
        for (settings, named) in [
            ("rediss = \"redis://a\"", "--rediss"),
            ("[names]", "\"names\""),
        ] {
            std::fs::write(&file, settings).expect("room on disk");
            let output = command(program).arg("--help").current_dir(&folder).output();
            let output = output.expect("the program runs");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            assert!(
                stderr.contains("sojourn.toml") && stderr.contains(named),
                "{stderr}"
            );
        }
        std::fs::write(&file, "epsilon = 0.1\n[name]\nlease = 7").expect("room on disk");
        let output = command(program).arg("--help").current_dir(&folder).output();
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let mut links = 0;
    for (path, text) in documents() {
        let folder = path.parent().expect("a folder");
        let mut outside_code = String::new();
        let mut in_code = false;
        for line in text.lines() {
            if line.starts_with("```") {
                in_code = !in_code;
            } else if !in_code {
                outside_code.push_str(line);
                outside_code.push('\n');
            }
        }
        for link in outside_code.split("](").skip(1) {
            let target = link.split([')', '\n']).next().unwrap_or("");
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                path.clone()
            } else {
                folder.join(file)
            };
            assert!(file.exists(), "{}: {target} leads nowhere", path.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&file).expect("a document");
                let found = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|heading| anchor_of(heading) == anchor);
                assert!(found, "{}: there is no heading {anchor}", file.display());
            }
        }
    }
    assert!(links > 0, "there are no links at all");
}

/// The anchor that a heading gets on GitHub.
fn anchor_of(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|&c| c.is_alphanumeric() || c == ' ' || c == '-' || c == '_')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The sections of the runbook that are about a code: code and text.
fn codes_of_the_runbook() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("docs/runbook.md")).expect("the runbook");
    let sections = text.split("\n### SJ").skip(1);
    sections
        .map(|section| {
            let (heading, text) = section.split_once('\n').expect("a text");
            let number = heading.split(':').next().expect("a number");
            // Up to the next heading of a group.
            let text = text.split("\n## ").next().expect("a text");
            (format!("SJ{number}"), text.to_owned())
        })
        .collect()
}

#[test]
fn every_code_has_a_paragraph_in_the_runbook_and_every_paragraph_a_code() {
    let described = codes_of_the_runbook();
    let described: Vec<&str> = described.iter().map(|(code, _)| code.as_str()).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(
        described, codes,
        "the runbook has the left, src/code has the right"
    );
}

#[test]
fn every_paragraph_about_a_code_says_where_to_look_what_to_do_and_what_happens_otherwise() {
    for (code, text) in codes_of_the_runbook() {
        let places: Vec<Option<usize>> = ["**Look:**", "**Do:**", "**Otherwise:**"]
            .iter()
            .map(|part| text.find(part))
            .collect();
        assert!(places.iter().all(Option::is_some), "{code}: {text}");
        assert!(places.is_sorted(), "{code}: {text}");
        // What it means comes before.
        assert!(places[0] > Some(20), "{code}: {text}");
    }
}

#[test]
fn the_report_in_the_runbook_is_one_that_a_process_could_give() {
    let text = std::fs::read_to_string(root().join("docs/runbook.md")).expect("the runbook");
    let blocks = blocks(&text);
    let shown = blocks.iter().find(|block| block.language == "json");
    let shown: Value = serde_json::from_str(&shown.expect("a report").text).expect("JSON");
    let report: Report = serde_json::from_value(shown.clone()).expect("a report");
    assert_eq!(serde_json::to_value(report).expect("JSON"), shown);
}

/// The command lines of our programs that a document shows: lines of blocks that begin with one
/// (after a prompt and variables), and code in running text that is more than a name.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let mut lines: Vec<String> = Vec::new();
    let mut in_code = false;
    for line in joined.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            lines.push(line.trim().trim_start_matches("$ ").to_owned());
        } else {
            lines.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    lines.iter().filter_map(|line| our_command(line)).collect()
}

/// The words of a line, without quotes; what is quoted is one word.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars().chain([' ']) {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn our_command(line: &str) -> Option<Vec<String>> {
    let is_variable = |word: &&str| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        })
    };
    // What comes after is another command, a remark, or left to the reader.
    let line = line
        .split(" #")
        .next()?
        .split(['|', '>', ';', '&'])
        .next()?;
    let words: Vec<String> = words(line)
        .iter()
        .map(String::as_str)
        .skip_while(is_variable)
        .take_while(|word| !word.starts_with("...") && !word.starts_with('…'))
        .map(str::to_owned)
        .collect();
    let program = words.first()?.rsplit('/').next()?;
    let ours = program == "sojourn" || program == "sojourn-worker";
    (ours && words.len() > 1).then(|| {
        let mut words = words.clone();
        words[0] = program.to_owned();
        words
    })
}

#[test]
fn every_command_line_is_one_that_the_programs_accept() {
    for (path, text) in documents() {
        let mut seen = 0;
        for mut words in command_lines(&text) {
            // Placeholders stand for something that would be accepted.
            for word in &mut words {
                match word.as_str() {
                    "RUN" | "ID" | "$run" => "1-0".clone_into(word),
                    "AMOUNT" => "25".clone_into(word),
                    "ADDR" => "127.0.0.1:9464".clone_into(word),
                    "LETTER" => "extract:0:1-0".clone_into(word),
                    _ => {}
                }
            }
            // The parser stops at --help and is content, or at what it does not know before it.
            let output = command(&words[0])
                .args(&words[1..])
                .arg("--help")
                .output()
                .expect("the program runs");
            assert!(
                output.status.success(),
                "{}: {words:?}: {}",
                path.display(),
                said(&output)
            );
            seen += 1;
        }
        if path.ends_with("README.md") {
            // As many as there were when this was written; fewer would mean that they are not found.
            assert!(seen >= 10, "only {seen} command lines in the README");
        }
    }
}

/// Whether two lines have the same words, and numbers that differ by no more than a few in a hundred or one,
/// as those of a simulation do where logarithms have another last bit.
fn says_nearly_the_same(shown: &str, printed: &str) -> bool {
    let number = |word: &str| word.trim_end_matches(',').parse::<f64>().ok();
    let is_near = |(shown, printed): (&str, &str)| {
        let numbers = number(shown).zip(number(printed));
        shown == printed
            || numbers.is_some_and(|(a, b)| (a - b).abs() <= (0.03 * a.max(b)).max(1.0))
    };
    let (shown, printed) = (shown.split_whitespace(), printed.split_whitespace());
    shown.clone().count() == printed.clone().count() && shown.zip(printed).all(is_near)
}

#[test]
fn the_plans_of_the_document_about_scale_are_what_the_command_prints() {
    let text = std::fs::read_to_string(root().join("docs/scale.md")).expect("the document");
    let blocks = blocks(&text);
    let plans = blocks
        .iter()
        .filter(|block| block.text.starts_with("$ sojourn plan"));
    let mut compared = 0;
    for block in plans {
        let text = block.text.replace("\\\n", " ");
        let (line, shown) = text.split_once('\n').expect("output");
        let words = our_command(line.trim_start_matches("$ ")).expect("a command line");
        let output = command(&words[0]).args(&words[1..]).output();
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{}", said(&output));
        let printed = String::from_utf8(output.stdout).expect("text");
        compared += 1;
        if !line.contains("--simulate") {
            assert_eq!(printed, shown);
            continue;
        }
        // The end of it, which the document says.
        let lines = shown.lines().rev().zip(printed.lines().rev());
        assert!(shown.lines().count() > 10, "{shown}");
        for (shown, printed) in lines {
            assert!(
                says_nearly_the_same(shown, printed),
                "{shown:?} is {printed:?}"
            );
        }
    }
    assert_eq!(compared, 2);
}

#[test]
fn a_command_line_that_does_not_exist_would_be_noticed() {
    let lines = command_lines(
        "see `sojourn runs --colour 'red hot'`\n```sh\nA=1 target/x/sojourn fly # up\n```\n",
    );
    assert_eq!(
        lines,
        [
            vec!["sojourn", "runs", "--colour", "red hot"],
            vec!["sojourn", "fly"]
        ]
    );
    for words in lines {
        let output = command(&words[0]).args(&words[1..]).arg("--help").output();
        assert!(!output.expect("sojourn runs").status.success(), "{words:?}");
    }
}

#[test]
#[should_panic(expected = "the snippet in line 1 prints")]
fn a_snippet_that_prints_something_else_would_be_noticed() {
    let blocks = blocks("```sh\necho done\n```\n\n```text\nfailed\n```\n");
    assert_printed(&blocks[0], &shell(&blocks[0], &[]), blocks.get(1));
}

#[test]
fn examples_in_json_may_differ_in_what_varies_and_in_nothing_else() {
    let shown = serde_json::json!({"run": "1-0", "size": 4});
    assert!(alike(&shown, &serde_json::json!({"run": "2-0", "size": 4})));
    for other in [
        serde_json::json!({"run": "1-0", "size": 5}),
        serde_json::json!({"run": 1, "size": 4}),
        serde_json::json!({"run": "1-0"}),
        serde_json::json!({"run": "1-0", "size": 4, "more": 1}),
    ] {
        assert!(!alike(&shown, &other), "{other}");
    }
}

#[test]
fn output_that_is_separated_from_a_snippet_by_text_is_not_its_own() {
    let blocks = blocks("```sh\necho a\n```\nLater:\n```text\nb\n```\n");
    assert!(!blocks[1].follows);
}
