//! The container files: what they promise, and that the programs understand what they say.

mod support;

use std::collections::{BTreeSet, HashMap};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value};
use serde_saphyr::options::PropertySyntax;
use sojourn::connection::{ConnectError, Redis, RedisOptions};
use support::{Running, Server, command, root, said, server_program, wait_for};

/// Variables that are read besides the options: secrets, which are no flags because flags can be
/// seen by everybody on the machine, the log, which starts before there are options, and the folder
/// for temporary files.
const NOT_OPTIONS: [&str; 8] = [
    "SOJOURN_REDIS_PASSWORD",
    "SOJOURN_REDIS_SENTINEL_PASSWORD",
    "SOJOURN_LLM_API_KEY",
    "SOJOURN_LLM_FALLBACK_API_KEY",
    "SOJOURN_MODERATION_API_KEY",
    "SOJOURN_LOG",
    "SOJOURN_LOG_FORMAT",
    "TMPDIR",
];

/// docker-compose.yml as `docker compose` sees it when only `variables` are set outside.
fn compose_with(variables: &[(&str, &str)]) -> Value {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).expect("the file");
    let options = serde_saphyr::options! { property_syntax: PropertySyntax::DockerCompose };
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let properties: HashMap<String, String> = variables.iter().map(owned).collect();
    let options = options.with_properties(properties);
    serde_saphyr::from_str_with_options(&text, options).expect("valid YAML")
}

/// docker-compose.yml as `docker compose` sees it when nothing is set outside.
fn compose() -> Value {
    compose_with(&[])
}

fn services_with(variables: &[(&str, &str)]) -> Map<String, Value> {
    let Value::Object(services) = compose_with(variables)["services"].take() else {
        panic!("services is no mapping");
    };
    services
}

fn services() -> Map<String, Value> {
    services_with(&[])
}

/// The services that run a program of ours.
fn ours() -> Vec<(String, Value)> {
    let is_ours = |service: &Value| text(&service["image"]).starts_with("sojourn:");
    let ours: Vec<_> = services().into_iter().filter(|(_, s)| is_ours(s)).collect();
    let names: Vec<&str> = ours.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    ours
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

fn words(value: &Value) -> Vec<&str> {
    let list = value
        .as_array()
        .unwrap_or_else(|| panic!("{value} is no list"));
    list.iter().map(text).collect()
}

/// The variables of a service; one without a value is passed on if it is set outside.
fn variables(service: &Value) -> &Map<String, Value> {
    let Some(environment) = service["environment"].as_object() else {
        panic!("{service} has no environment");
    };
    environment
}

/// What the service's container has in its environment when nothing is set outside.
fn environment(service: &Value) -> Vec<(&str, &str)> {
    let given = variables(service).iter().filter(|(_, v)| !v.is_null());
    given.map(|(name, v)| (name.as_str(), text(v))).collect()
}

/// Runs a command of a service as its container would, but with a Redis that is not there.
fn run(words: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nowhere = format!("unix://{}/missing.sock", folder.path().display());
    command(words[0])
        .args(&words[1..])
        .envs(environment.iter().copied())
        .env("SOJOURN_REDIS", nowhere)
        .current_dir(folder.path())
        .output()
        .expect("the program runs")
}

/// That the command line and the environment were understood: the program got as far as Redis.
fn assert_understood(service: &str, output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let understood = !output.status.success()
        && stderr.contains("cannot reach Redis at")
        && stderr.contains("missing.sock");
    assert!(understood, "service {service}: {}", said(output));
}

#[test]
fn there_are_a_redis_a_scheduler_both_workers_and_a_model_on_request() {
    let services = services();
    let always: Vec<&str> = services
        .iter()
        .filter(|(_, service)| service.get("profiles").is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        (services.len(), always.len()),
        (5, 4),
        "{:?}",
        services.keys()
    );
    for name in ["redis", "scheduler", "extract", "name"] {
        assert!(always.contains(&name), "{name} is not in {always:?}");
    }
    assert_eq!(words(&services["llm"]["profiles"]), ["llm"]);
}

#[test]
fn the_redis_keeps_what_it_has_acknowledged() {
    let compose = compose();
    let redis = &compose["services"]["redis"];
    let command = words(&redis["command"]).join(" ");
    let command: Vec<&str> = command.split_whitespace().collect();
    let has = |option: &str, value: &str| command.windows(2).any(|pair| pair == [option, value]);
    assert!(has("--appendonly", "yes"), "{command:?}");
    assert!(has("--maxmemory-policy", "noeviction"), "{command:?}");
    let volume = words(&redis["volumes"])
        .iter()
        .find_map(|volume| volume.strip_suffix(":/data"))
        .expect("a volume for the data");
    let named = compose["volumes"].as_object().expect("named volumes");
    assert!(named.contains_key(volume), "{volume} is in no named volume");
}

#[test]
fn our_services_wait_for_a_redis_that_answers() {
    for (name, service) in ours() {
        let condition = &service["depends_on"]["redis"]["condition"];
        assert_eq!(text(condition), "service_healthy", "{name}");
    }
}

#[test]
fn no_service_runs_as_root_or_writes_to_its_image() {
    for (name, service) in services() {
        let user = text(&service["user"]).split(':').next().unwrap_or("");
        let number: u32 = user
            .parse()
            .unwrap_or_else(|_| panic!("{name}: user {user:?}"));
        assert_ne!(number, 0, "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(words(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(
            words(&service["security_opt"]),
            ["no-new-privileges:true"],
            "{name}"
        );
    }
}

#[test]
fn workers_can_be_scaled() {
    for name in ["extract", "name"] {
        let service = &services()[name];
        // Either would make a second container of the service fail.
        assert!(service.get("container_name").is_none(), "{name}");
        assert!(service.get("ports").is_none(), "{name}");
    }
}

#[test]
fn every_command_line_is_understood_with_its_environment() {
    for (name, service) in ours() {
        let output = run(&words(&service["command"]), &environment(&service));
        assert_understood(&name, &output);
    }
}

/// A port of this machine that is free for the moment.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn each_of_our_services_is_healthy_when_its_process_says_so_on_the_address_it_listens_on() {
    let server = Server::start();
    for (name, service) in ours() {
        let check = words(&service["healthcheck"]["test"]);
        assert_eq!(check[0], "CMD", "{name}");
        let set = services_with(&[("SOJOURN_LISTEN", &free_address())]);
        let environment = environment(&set[&name]);
        let silent = run(&check[1..], &environment);
        assert_eq!(silent.status.code(), Some(1), "{name}: {}", said(&silent));

        let line = words(&service["command"]);
        let process = command(line[0])
            .args(&line[1..])
            .envs(environment.iter().copied())
            .env("SOJOURN_REDIS", server.url())
            .stderr(Stdio::null())
            .spawn();
        let _process = Running(process.expect("the program runs"));
        wait_for("a healthy process", || {
            let output = run(&check[1..], &environment);
            output.status.success().then_some(())
        });
    }
}

#[test]
fn no_service_listens_beyond_its_container() {
    for (name, service) in ours() {
        let address = text(&service["environment"]["SOJOURN_LISTEN"]);
        assert!(address.starts_with("127.0.0.1:"), "{name}: {address}");
    }
}

#[test]
fn a_setting_that_makes_no_sense_is_a_usage_error() {
    let output = run(&["sojourn", "serve"], &[("SOJOURN_QUEUE_DEPTH", "many")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        stderr.contains("many") && !stderr.contains("cannot reach"),
        "{stderr}"
    );
}

/// The `[env: NAME]` of a help.
fn variables_of_help(line: &[&str]) -> BTreeSet<String> {
    let mut line = line.to_vec();
    line.push("--help");
    let output = run(&line, &[]);
    assert!(output.status.success(), "{line:?}: {}", said(&output));
    let help = String::from_utf8(output.stdout).expect("help is text");
    // Lines are wrapped anywhere, also inside "[env: NAME=]".
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = help.split("[env: ").skip(1);
    // The text below the options says "[env: ...]".
    let named = named.filter_map(|rest| rest.split(['=', ']']).next());
    let found = named.filter(|name| *name != "...").map(str::to_owned);
    found.collect()
}

/// The variables that commands read in the containers of a service: its own command, and those
/// that people run there.
fn read_in(service: &str, line: &[&str]) -> BTreeSet<String> {
    let mut lines = vec![line.to_vec()];
    if service == "scheduler" {
        lines.extend(["ingest", "backfill", "recompute", "show"].map(|name| vec!["sojourn", name]));
    }
    lines
        .iter()
        .flat_map(|line| variables_of_help(line))
        .collect()
}

#[test]
fn every_variable_that_its_commands_read_reaches_a_service_and_no_other() {
    for (name, service) in ours() {
        let read = read_in(&name, &words(&service["command"]));
        assert!(read.contains("SOJOURN_REDIS"), "{name}: {read:?}");
        let is_option = |variable: &&String| !NOT_OPTIONS.contains(&variable.as_str());
        let passed = variables(&service).keys().filter(is_option).cloned();
        assert_eq!(passed.collect::<BTreeSet<_>>(), read, "service {name}");
    }
}

#[test]
fn secrets_and_the_log_can_be_set_for_every_service_that_reads_them() {
    for (name, service) in ours() {
        for variable in [
            "SOJOURN_REDIS_PASSWORD",
            "SOJOURN_REDIS_SENTINEL_PASSWORD",
            "SOJOURN_LOG",
            "SOJOURN_LOG_FORMAT",
        ] {
            assert!(
                variables(&service).contains_key(variable),
                "{name}: {variable}"
            );
        }
        for variable in ["SOJOURN_LLM_API_KEY", "SOJOURN_LLM_FALLBACK_API_KEY"] {
            let for_model = variables(&service).contains_key(variable);
            assert_eq!(for_model, name == "name", "{name}: {variable}");
        }
        // Those of object stores are too many to list.
        let file = &service["env_file"][0];
        let expected = serde_json::json!({"path": ".env", "required": false});
        assert_eq!(*file, expected, "{name}");
    }
}

#[test]
fn every_setting_can_be_set_from_outside_under_its_own_name() {
    // Where a container keeps what is temporary is given by its file system.
    const FIXED: [&str; 3] = ["SOJOURN_CACHE", "SOJOURN_SCRATCH", "TMPDIR"];
    for (name, service) in ours() {
        for (variable, value) in variables(&service) {
            if FIXED.contains(&variable.as_str()) || value.is_null() {
                continue;
            }
            let set = services_with(&[(variable, "other")]);
            assert_eq!(
                text(&set[&name]["environment"][variable]),
                "other",
                "service {name}: {variable} is fixed"
            );
        }
    }
}

#[test]
fn a_variable_that_is_set_to_nothing_is_as_good_as_not_set() {
    let all: Vec<(String, Value)> = ours();
    for (name, service) in &all {
        let emptied: Vec<(&str, &str)> = variables(service)
            .keys()
            .map(|variable| (variable.as_str(), ""))
            .collect();
        assert_understood(name, &run(&words(&service["command"]), &emptied));
    }
}

/// Writes a program that takes the place of another of that name, and returns a PATH on which it
/// comes first.
fn stand_in(folder: &Path, name: &str, script: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("room on disk");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, executable).expect("a file of ours");
    let others = std::env::var("PATH").expect("a PATH");
    format!("{}:{others}", folder.display())
}

/// The process of the service `redis`, with the server under test, on a socket in `folder`.
fn start_redis(folder: &Path, password: &str) -> Running {
    let socket = folder.join("redis.sock");
    let script = format!(
        "exec '{}' \"$@\" --port 0 --unixsocket '{}' --dir '{}'",
        server_program().display(),
        socket.display(),
        folder.display()
    );
    let path = stand_in(folder, "redis-server", &script);
    let services = services();
    let command = words(&services["redis"]["command"]);
    let child = Command::new(command[0])
        .args(&command[1..])
        .env("PATH", path)
        .env("SOJOURN_REDIS_PASSWORD", password)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("sh runs");
    let redis = Running(child);
    wait_for("the server", || UnixStream::connect(&socket).ok());
    redis
}

async fn login(folder: &Path, password: Option<&str>) -> Result<Redis, ConnectError> {
    let mut options = RedisOptions::new(format!("unix://{}/redis.sock", folder.display()));
    options.password = password.map(str::to_owned);
    Redis::connect(&options).await
}

#[tokio::test]
async fn the_redis_lets_in_who_knows_the_password_and_shows_it_to_nobody() {
    // Characters that mean something to the shell and to the server.
    const PASSWORD: &str = "p$PATH \"#'\\ \u{e9}";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let redis = start_redis(folder.path(), PASSWORD);

    let server = login(folder.path(), Some(PASSWORD))
        .await
        .expect("the password is right");
    let appendonly: (String, String) = redis::cmd("CONFIG")
        .arg(&["GET", "appendonly"])
        .query_async(&mut server.commands())
        .await
        .expect("the server answers");
    assert_eq!(appendonly.1, "yes");
    for wrong in [Some("wrong"), None] {
        let refused = login(folder.path(), wrong)
            .await
            .expect_err("the password is wrong");
        assert!(
            matches!(refused, ConnectError::Unauthorized { .. }),
            "{refused}"
        );
    }
    // Where there is no /proc, the same server reads the same input.
    if let Ok(shown) = std::fs::read(format!("/proc/{}/cmdline", redis.0.id())) {
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains("redis.sock"), "{shown}");
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}

#[tokio::test]
async fn the_redis_wants_no_password_when_there_is_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _redis = start_redis(folder.path(), "");
    login(folder.path(), None)
        .await
        .expect("everybody is let in");
}

#[test]
fn the_redis_is_healthy_only_when_it_answers_a_ping() {
    let services = services();
    let check = words(&services["redis"]["healthcheck"]["test"]);
    let &["CMD-SHELL", check] = check.as_slice() else {
        panic!("{check:?}");
    };
    let healthy = |password: &str, redis_cli: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = stand_in(folder.path(), "redis-cli", redis_cli);
        let status = Command::new("sh")
            .args(["-c", check])
            .env_remove("REDISCLI_AUTH")
            .env("PATH", path)
            .env("SOJOURN_REDIS_PASSWORD", password)
            .status();
        status.expect("sh runs").success()
    };
    assert!(healthy("", "test -z \"${REDISCLI_AUTH+set}\" && echo PONG"));
    assert!(healthy(
        "a b",
        "test \"$REDISCLI_AUTH\" = 'a b' && echo PONG"
    ));
    // This is how redis-cli ends: well.
    assert!(!healthy(
        "",
        "echo 'LOADING Redis is loading the dataset in memory'"
    ));
    assert!(!healthy("", "echo 'NOAUTH Authentication required.'"));
    assert!(!healthy("", "exit 1"));
}

#[test]
fn the_naming_workers_ask_the_model_of_the_profile_and_no_other_by_themselves() {
    let model = |variables: &[(&str, &str)]| {
        let services = services_with(variables);
        let of = |name: &str| -> [String; 2] {
            ["SOJOURN_LLM_ENDPOINT", "SOJOURN_LLM_MODEL"]
                .map(|variable| text(&services[name]["environment"][variable]).to_owned())
        };
        assert_eq!(of("name"), of("llm"), "{variables:?}");
        of("name")
    };
    assert_eq!(model(&[]), ["", ""]);
    assert_eq!(
        model(&[("COMPOSE_PROFILES", "llm")]),
        ["http://llm:8080/v1", "local"]
    );
    let vendor = [
        ("SOJOURN_LLM_ENDPOINT", "https://vendor/v1"),
        ("SOJOURN_LLM_MODEL", "m"),
    ];
    assert_eq!(model(&vendor), ["https://vendor/v1", "m"]);

    let llm = &services()["llm"];
    let command = words(&llm["command"]);
    let has = |option: &str, value: &str| command.windows(2).any(|pair| pair == [option, value]);
    assert!(
        has("--port", "8080") && has("--alias", "local"),
        "{command:?}"
    );
}

#[test]
fn the_naming_workers_use_the_model_that_they_are_told_of_without_being_told_so_twice() {
    let services = services_with(&[("COMPOSE_PROFILES", "llm")]);
    let server = Server::start();
    let line = words(&services["name"]["command"]);
    let output = command(line[0])
        .args(&line[1..])
        .envs(environment(&services["name"]))
        .env("SOJOURN_REDIS", server.url())
        // So that it ends, and says what it was about to do.
        .env("SOJOURN_LLM_MODEL", "")
        .output()
        .expect("the program runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("--namer llm needs"), "{}", said(&output));
}

#[test]
fn a_model_that_nobody_would_ask_does_not_start() {
    let services = services();
    let mut entrypoint = words(&services["llm"]["entrypoint"]);
    entrypoint.extend(words(&services["llm"]["command"]));
    let output = Command::new(entrypoint[0])
        .args(&entrypoint[1..])
        .envs(environment(&services["llm"]))
        .output()
        .expect("sh runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(stderr.contains("COMPOSE_PROFILES=llm"), "{stderr}");
}

#[test]
fn images_are_pinned() {
    for (name, service) in services() {
        let image = text(&service["image"]).to_owned();
        let tag = image.rsplit(':').next().expect("a tag");
        // redis:8.2.8-bookworm, llama.cpp:server-b10290; ours is built here.
        let is_number = |text: &str| text.parse::<u32>().is_ok();
        let full = tag.split('-').any(|part| {
            let numbers: Vec<&str> = part.split('.').collect();
            let is_build = part.strip_prefix('b').is_some_and(is_number);
            is_build || (numbers.len() == 3 && numbers.into_iter().all(is_number))
        });
        assert!(full || image.starts_with("sojourn:"), "{name}: {image}");
    }
}

#[test]
fn the_user_of_the_image_owns_what_is_mounted_for_writing() {
    let compose = compose();
    let named = compose["volumes"].as_object().expect("named volumes");
    let install = dockerfile()
        .into_iter()
        .find_map(|(_, rest)| {
            rest.strip_prefix("install -d -o 10001 -g 10001 ")
                .map(str::to_owned)
        })
        .expect("the image makes folders for its user");
    let owned: Vec<&str> = install.split_whitespace().collect();
    for (name, service) in ours() {
        let mut for_writing = 0;
        for volume in words(&service["volumes"]) {
            let parts: Vec<&str> = volume.split(':').collect();
            match parts.as_slice() {
                [_, _, "ro"] => {}
                [volume, folder] => {
                    assert!(
                        named.contains_key(*volume),
                        "{name}: {volume} is a folder outside"
                    );
                    assert!(owned.contains(folder), "{name}: {folder} belongs to root");
                    for_writing += 1;
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(for_writing, 2, "{name}");
    }
}

#[test]
fn what_may_be_large_is_written_to_disk_and_not_to_memory() {
    for (name, service) in ours() {
        let volumes = words(&service["volumes"]);
        let on_disk = |folder: &str| volumes.iter().any(|v| v.ends_with(&format!(":{folder}")));
        for variable in ["TMPDIR", "SOJOURN_CACHE", "SOJOURN_SCRATCH"] {
            if let Some(folder) = variables(&service).get(variable) {
                assert!(on_disk(text(folder)), "{name}: {variable}");
            }
        }
        assert!(variables(&service).contains_key("TMPDIR"), "{name}");
    }
}

#[test]
fn the_commands_in_the_head_of_the_file_are_understood() {
    let file = std::fs::read_to_string(root().join("docker-compose.yml")).expect("the file");
    let head: Vec<&str> = file
        .lines()
        .take_while(|line| line.starts_with('#'))
        .collect();
    let head = head.join("\n").replace("\\\n#", " ");
    let commands: Vec<Vec<&str>> = head
        .lines()
        .filter_map(|line| line.split_once("docker compose run --rm scheduler "))
        .map(|(_, line)| line.split_whitespace().collect())
        .collect();
    assert_eq!(commands.len(), 2, "{head}");
    for mut line in commands {
        line.push("--help");
        let output = run(&line, &[]);
        assert!(output.status.success(), "{line:?}: {}", said(&output));
    }
}

#[test]
fn what_the_container_files_ask_for_gets_neither_into_git_nor_into_an_image() {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).expect("the file");
    let ignored: Vec<&str> = ignored.lines().collect();
    for name in [".env", "sojourn.toml", "data", "input", "models", "secrets"] {
        let pattern = format!("/{name}");
        assert!(
            ignored.contains(&pattern.as_str()),
            "{pattern} is not in {ignored:?}"
        );
    }
    let sent = std::fs::read_to_string(root().join(".dockerignore")).expect("the file");
    let sent: Vec<&str> = sent.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(sent[0], "*", "what is not named is not sent");
    let named = sent[1..]
        .iter()
        .map(|line| line.strip_prefix('!').expect("an exception"));
    for name in named {
        assert!(root().join(name).exists(), "{name}");
        let source = [
            "Cargo.toml",
            "Cargo.lock",
            "src",
            "workers",
            "scheduler",
            "benches",
            "tests/endpoint",
        ];
        assert!(source.contains(&name), "{name} is no source");
    }
}

/// Instructions of the Dockerfile, each on one line.
fn dockerfile() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("Dockerfile")).expect("the file");
    text.replace("\\\n", " ")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
            (instruction.to_uppercase(), rest.trim().to_owned())
        })
        .collect()
}

#[test]
fn the_image_is_built_in_one_stage_and_shipped_in_another() {
    let instructions = dockerfile();
    let stages: Vec<usize> = (0..instructions.len())
        .filter(|&at| instructions[at].0 == "FROM")
        .collect();
    let &[build, ship] = stages.as_slice() else {
        panic!("stages: {stages:?}");
    };
    let name = instructions[build].1.split_once(" AS ").expect("a name").1;

    let built: Vec<&str> = instructions[build..ship]
        .iter()
        .flat_map(|(_, rest)| rest.split_whitespace())
        .collect();
    for program in ["target/release/sojourn", "target/release/sojourn-worker"] {
        assert!(built.contains(&program), "{program} is not built");
    }
    let copied = format!("--from={name} /out/ /usr/local/bin/");
    let shipped = &instructions[ship..];
    assert!(shipped.contains(&("COPY".into(), copied)), "{shipped:?}");
    assert!(
        !shipped.iter().any(|(_, rest)| rest.contains("cargo")),
        "the compiler is shipped"
    );
}

#[test]
fn the_image_does_not_run_as_root() {
    let instructions = dockerfile();
    let user = instructions
        .iter()
        .rev()
        .find(|(instruction, _)| instruction == "USER")
        .map(|(_, user)| user.as_str())
        .expect("a user");
    assert!(
        !user.starts_with('0') && !user.starts_with("root"),
        "{user}"
    );
    let services = ours();
    for (name, service) in &services {
        assert_eq!(
            text(&service["user"]),
            user,
            "{name} is another user than its image"
        );
    }
}
