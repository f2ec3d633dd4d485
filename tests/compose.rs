//! The container files: what they promise, and that the programs understand what they say.

mod support;

use std::collections::HashMap;
use std::process::Output;

use serde_json::{Map, Value};
use serde_saphyr::options::PropertySyntax;
use support::{command, root, said};

/// Variables that are read besides the options: secrets, which are no flags because flags can be
/// seen by everybody on the machine, and the log, which starts before there are options.
const NOT_OPTIONS: [&str; 4] = [
    "SOJOURN_REDIS_PASSWORD",
    "SOJOURN_LLM_API_KEY",
    "SOJOURN_LOG",
    "SOJOURN_LOG_FORMAT",
];

/// docker-compose.yml as `docker compose` sees it when nothing is set outside.
fn compose() -> Value {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).expect("the file");
    let options = serde_saphyr::options! { property_syntax: PropertySyntax::DockerCompose };
    let options = options.with_properties(HashMap::new());
    serde_saphyr::from_str_with_options(&text, options).expect("valid YAML")
}

fn services() -> Map<String, Value> {
    let Value::Object(services) = compose()["services"].take() else {
        panic!("services is no mapping");
    };
    services
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

fn environment(service: &Value) -> Vec<(&str, &str)> {
    let Some(environment) = service["environment"].as_object() else {
        panic!("{service} has no environment");
    };
    environment
        .iter()
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect()
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
    let command = words(&redis["command"]);
    let has = |option: &str, value: &str| command.windows(2).any(|pair| pair == [option, value]);
    assert!(has("--appendonly", "yes"), "{command:?}");
    assert!(has("--maxmemory-policy", "noeviction"), "{command:?}");
    assert!(redis["healthcheck"]["test"].is_array());
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

#[test]
fn the_health_check_of_the_scheduler_is_understood() {
    let services = services();
    let check = words(&services["scheduler"]["healthcheck"]["test"]);
    assert_eq!(check[0], "CMD");
    let output = run(&check[1..], &environment(&services["scheduler"]));
    assert_understood("scheduler", &output);
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

#[test]
fn every_variable_is_one_that_the_program_of_the_service_reads() {
    for (name, service) in ours() {
        let mut line = words(&service["command"]);
        line.push("--help");
        let help = String::from_utf8(run(&line, &[]).stdout).expect("help is text");
        // Lines are wrapped anywhere, also inside "[env: NAME=]".
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for (variable, _) in environment(&service) {
            let known = NOT_OPTIONS.contains(&variable)
                || help.contains(&format!("[env: {variable}="))
                || help.contains(&format!("[env: {variable}]"));
            assert!(
                known,
                "service {name}: {variable} is not in {line:?}:\n{help}"
            );
        }
    }
}

#[test]
fn every_setting_can_be_set_from_outside_under_its_own_name() {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).expect("the file");
    for (name, service) in ours() {
        for (variable, _) in environment(&service) {
            // Where a worker keeps downloads is given by the file system of the container.
            let outside = variable == "SOJOURN_CACHE"
                || text.contains(&format!("{variable}: ${{{variable}:-"));
            assert!(outside, "service {name}: {variable} is fixed");
        }
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
