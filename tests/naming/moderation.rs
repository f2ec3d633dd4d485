//! A second opinion on names, from an endpoint that misbehaves as real ones do.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use sojourn::journey::NameSource;
use sojourn::naming::{LlmError, Moderation, ModerationOptions, Namer};

use crate::llm::{Endpoint, answers};
use crate::{KEY, good, llm_namer, name, named_by, options, patience, support, user};

/// What was asked, and with which key.
pub type Request = (Value, Option<String>);

/// A moderation endpoint on loopback, which answers by a script and remembers what it was asked.
pub struct Moderator {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Moderator {
    /// `script` gets the number of the request, from 0, and the names in it.
    pub async fn start(
        script: impl Fn(usize, Vec<String>) -> Response + Send + Sync + 'static,
    ) -> Moderator {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, heard) = (Arc::new(script), requests.clone());
        let judge = async move |headers: HeaderMap, Json(body): Json<Value>| {
            let key = headers.get("authorization");
            let key = key.map(|key| key.to_str().unwrap().to_owned());
            let names = serde_json::from_value(body["input"].clone()).unwrap();
            let number = {
                let mut heard = heard.lock().unwrap();
                heard.push((body, key));
                heard.len() - 1
            };
            script(number, names)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/moderations", post(judge));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Moderator { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn namer(&self, endpoint: &Endpoint) -> Namer {
        sojourn::settings::install_tls();
        let moderation = Moderation::new(ModerationOptions {
            endpoint: self.url.clone(),
            model: Some("strict".into()),
            api_key: Some(KEY.into()),
        });
        let moderation = moderation
            .unwrap()
            .with_patience(patience(support::PATIENCE));
        let namer = llm_namer(options(endpoint), support::PATIENCE);
        Namer::Llm(Box::new(namer.with_moderation(moderation)))
    }
}

/// Flags names that hold a text.
pub fn flags(names: &[String], text: &str) -> Response {
    let results = names
        .iter()
        .map(|name| json!({"flagged": name.contains(text)}));
    Json(json!({"results": results.collect::<Vec<_>>()})).into_response()
}

fn fallback(terms: &[&str]) -> Vec<(String, NameSource)> {
    let terms = terms.iter();
    terms
        .map(|&term| (term.into(), NameSource::Fallback))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_called_unsafe_is_not_used_and_asked_for_again() {
    let endpoint = Endpoint::start(answers);
    let moderator = Moderator::start(|_, names| flags(&names, "Lettuce")).await;
    let terms = ["Ukulele", "Lettuce", "Chess"];
    let mut expected = good(&terms);
    expected[1] = ("Lettuce".into(), NameSource::Fallback);
    assert_eq!(
        named_by(&moderator.namer(&endpoint), user(&terms)).await,
        expected
    );
    assert_eq!(endpoint.sizes(), [3, 1]);
    let requests = moderator.requests();
    assert_eq!(requests.len(), 2);
    let expected = json!({"model": "strict", "input": [
        "Ukulele for Beginners", "Lettuce for Beginners", "Chess for Beginners",
    ]});
    assert_eq!(requests[0], (expected, Some(format!("Bearer {KEY}"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_judges_names_none_is_used_and_none_is_paid_for_twice() {
    type Script = fn(usize, Vec<String>) -> Response;
    let scripts: [(&str, Script, usize); 6] = [
        (
            "503",
            |_, _| StatusCode::SERVICE_UNAVAILABLE.into_response(),
            4,
        ),
        ("no judgement", |_, _| "hello".into_response(), 4),
        ("one too few", |_, names| flags(&names[1..], ""), 4),
        (
            "no verdict",
            |_, _| Json(json!({"results": [{}, {}]})).into_response(),
            4,
        ),
        ("endless", |_, _| vec![b' '; 2 << 20].into_response(), 4),
        // Nobody waits for an hour in the middle of a job.
        (
            "asked to wait",
            |_, _| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")]).into_response(),
            1,
        ),
    ];
    for (what, script, attempts) in scripts {
        let endpoint = Endpoint::start(answers);
        let moderator = Moderator::start(script).await;
        let terms = ["Ukulele", "Lettuce"];
        let names = named_by(&moderator.namer(&endpoint), user(&terms)).await;
        assert_eq!(names, fallback(&terms), "{what}");
        assert_eq!(endpoint.sizes(), [2], "{what}");
        assert_eq!(moderator.requests().len(), attempts, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_judges_names_a_changed_journey_keeps_its_own() {
    let endpoint = Endpoint::start(answers);
    let moderator = Moderator::start(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let mut journeys = user(&["Ukulele"]);
    journeys[0].name = "Ukulele at Home".into();
    journeys[0].name_source = NameSource::Stale;
    let names = named_by(&moderator.namer(&endpoint), journeys).await;
    assert_eq!(names, fallback(&["Ukulele at Home"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderation_endpoint_that_comes_back_costs_no_name() {
    let endpoint = Endpoint::start(answers);
    let moderator = Moderator::start(|number, names| match number {
        0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response(),
        1 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => flags(&names, "nothing"),
    })
    .await;
    let names = named_by(&moderator.namer(&endpoint), user(&["Ukulele"])).await;
    assert_eq!(names, good(&["Ukulele"]));
    assert_eq!(moderator.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_judges_names_none_is_paid_for_and_a_harmless_one_finds_out() {
    /// Attempts at the first names, and one that finds out.
    const FAILURES: usize = 5;
    let endpoint = Endpoint::start(answers);
    let moderator = Moderator::start(|number, names| match number < FAILURES {
        true => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        false => flags(&names, "nothing"),
    })
    .await;
    let namer = moderator.namer(&endpoint);
    let terms = ["Ukulele", "Lettuce"];
    assert_eq!(named_by(&namer, user(&terms)).await, fallback(&terms));
    let mut put_off = 0;
    let names = loop {
        match name(&namer, &[user(&terms)]).await {
            Ok((names, _)) => break names,
            Err(LlmError::Busy { retry_after, .. }) => {
                assert_eq!(endpoint.sizes(), [2]);
                put_off += 1;
                tokio::time::sleep(retry_after.unwrap_or_default()).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert!(put_off >= 2, "{put_off}");
    assert_eq!(names[0][0].name, "Ukulele for Beginners");
    assert_eq!(endpoint.sizes(), [2, 2]);
    let asked = moderator.requests();
    let asked = asked.iter().map(|(body, _)| body["input"].as_array());
    let asked: Vec<usize> = asked.map(|names| names.unwrap().len()).collect();
    assert_eq!(asked, [2, 2, 2, 2, 1, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderation_endpoint_that_refuses_everything_ends_the_naming() {
    for status in [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND] {
        let endpoint = Endpoint::start(answers);
        let moderator = Moderator::start(move |_, _| (status, KEY).into_response()).await;
        let error = name(&moderator.namer(&endpoint), &[user(&["Ukulele"])]).await;
        let error = error.unwrap_err();
        assert!(matches!(error, LlmError::Refused { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("--moderation"), "{message}");
        assert!(message.contains(status.as_str()), "{message}");
        assert!(!message.contains(KEY), "{message}");
        assert_eq!(moderator.requests().len(), 1);
    }
}
