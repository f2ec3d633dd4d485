//! What becomes of questions that are not answered.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use serde_json::json;
use sojourn::journey::NameSource;
use sojourn::naming::{LlmError, LlmNamer, LlmOptions, Namer};

use crate::llm::{Endpoint, Question, Turn, answers};
use crate::{
    KEY, at_first, good, llm_namer, name, named, named_by, namer, namer_with, options, support,
    user,
};

#[tokio::test]
async fn passing_failures_are_tried_again() {
    let failures: [fn(&Question) -> Turn; 10] = [
        |_| Turn::Fails(429, "retry-after: 0\r\n", "slow down".into()),
        |_| Turn::Fails(429, "", "slow down".into()),
        |_| Turn::Fails(408, "", String::new()),
        |_| Turn::Fails(529, "", "overloaded".into()),
        |_| Turn::Fails(500, "", String::new()),
        |_| Turn::Fails(503, "", "loading the model".into()),
        |_| Turn::Fails(200, "", "<html>a proxy</html>".into()),
        |_| Turn::Cuts,
        |_| Turn::Hangs,
        |_| Turn::Floods,
    ];
    for failure in failures {
        let endpoint = Endpoint::start(at_first(failure));
        // Long enough for an answer on a busy machine, short enough for one that hangs.
        let namer = namer_with(options(&endpoint), Duration::from_secs(8));
        let (names, _) = name(&namer, &[user(&["Ukulele"])]).await.unwrap();
        assert_eq!(names[0][0].name, "Ukulele for Beginners");
        assert_eq!(endpoint.questions().len(), 2);
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_for_ever() {
    let endpoint = Endpoint::start(|_: &Question| Turn::Floods);
    let error = name(&namer(&endpoint), &[user(&["Ukulele"])])
        .await
        .unwrap_err();
    assert!(matches!(error, LlmError::Unreadable { .. }), "{error}");
    assert!(error.is_transient());
    assert!(
        error.to_string().contains("too long, over 1048576 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_lasting_failure_of_the_endpoint_puts_the_job_off() {
    let endpoint = Endpoint::start(|_: &Question| Turn::Fails(502, "", "no upstream".into()));
    let error = name(&namer(&endpoint), &[user(&["Ukulele"])])
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("502"), "{error}");
    // A harmless question fails, too.
    assert_eq!(endpoint.sizes(), [1, 1, 1, 1, 0]);
}

#[tokio::test]
async fn a_question_that_always_fails_where_a_harmless_one_is_answered_costs_one_journey_its_name()
{
    for turn in [Turn::Fails(500, "", String::new()), Turn::Cuts] {
        let endpoint =
            Endpoint::start(
                move |question: &Question| match question.mentions("Gunpowder") {
                    true => turn.clone(),
                    false => answers(question),
                },
            );
        let mut expected = good(&["Gunpowder", "Chess"]);
        expected[0] = ("Gunpowder".into(), NameSource::Fallback);
        let names = named(&endpoint, user(&["Gunpowder", "Chess"])).await;
        assert_eq!(names, expected);
        assert_eq!(endpoint.sizes(), [2, 2, 2, 2, 0, 1, 1, 1, 1, 0, 1]);
    }
}

#[tokio::test]
async fn a_refusal_of_whatever_is_asked_that_begins_later_costs_no_journey_its_name() {
    for status in [400, 403, 422] {
        let endpoint = Endpoint::start(move |question: &Question| match question.number {
            0 => answers(question),
            _ => Turn::Fails(status, "", "Your credit balance is too low".into()),
        });
        let namer = namer(&endpoint);
        named_by(&namer, user(&["Ukulele"])).await;
        let error = name(&namer, &[user(&["Ukulele", "Chess"])]).await;
        let error = error.unwrap_err();
        assert!(matches!(error, LlmError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("credit balance"), "{error}");
        assert_eq!(endpoint.sizes(), [1, 2, 0]);
    }
}

#[tokio::test]
async fn refusals_of_one_title_are_doubted_once() {
    let endpoint = Endpoint::start(|question: &Question| match question.mentions("Gunpowder") {
        true => Turn::Fails(400, "", "no".into()),
        false => answers(question),
    });
    let namer = namer(&endpoint);
    named_by(&namer, user(&["Ukulele"])).await;
    let terms = ["Gunpowder", "Chess", "Rust", "Bread", "Opera", "Lettuce"];
    let mut expected = good(&terms);
    expected[0] = ("Gunpowder".into(), NameSource::Fallback);
    assert_eq!(named_by(&namer, user(&terms)).await, expected);
    assert_eq!(endpoint.sizes(), [1, 6, 0, 3, 1, 2, 3]);
}

#[tokio::test]
async fn a_title_that_says_there_is_no_money_costs_only_its_own_journey_the_name() {
    let terms = ["Fixing insufficient_quota", "Chess"];
    for (status, body) in [
        (403, "not this: insufficient_quota"),
        (
            400,
            r#"{"error":{"message":"not this: insufficient_quota"}}"#,
        ),
        (422, r#"{"error":{"code":"insufficient_quota"}}"#),
    ] {
        let endpoint = Endpoint::start(move |question: &Question| {
            match question.mentions("insufficient_quota") {
                true => Turn::Fails(status, "", body.into()),
                false => answers(question),
            }
        });
        let mut expected = good(&terms);
        expected[0] = (terms[0].into(), NameSource::Fallback);
        assert_eq!(named(&endpoint, user(&terms)).await, expected, "{status}");
    }
}

#[tokio::test]
async fn no_more_of_an_answer_is_printed_than_its_beginning() {
    let endpoint = Endpoint::start(|_: &Question| {
        Turn::Completes(json!({"choices": format!("{KEY}{}", "x".repeat(5000))}))
    });
    let error = name(&namer(&endpoint), &[user(&["Ukulele"])]).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("xxx") && !error.contains(KEY), "{error}");
    assert!(error.chars().count() < 300, "{error}");
}

#[tokio::test]
async fn the_wait_that_an_endpoint_asks_for_is_kept() {
    let endpoint = Endpoint::start(at_first(|_| {
        Turn::Fails(429, "retry-after: 1\r\n", "slow down".into())
    }));
    let start = Instant::now();
    let names = named(&endpoint, user(&["Ukulele"])).await;
    assert_eq!(names, good(&["Ukulele"]));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_wait_is_left_to_the_queue_and_nobody_asks_in_between() {
    let endpoint = Endpoint::start(|_: &Question| {
        Turn::Fails(429, "retry-after: 3600\r\n", "come tomorrow".into())
    });
    let namer = namer(&endpoint);
    for _ in 0..2 {
        let error = name(&namer, &[user(&["Ukulele"])]).await.unwrap_err();
        let LlmError::Busy {
            retry_after: Some(wait),
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert!(wait > Duration::from_secs(3000), "{wait:?}");
    }
    assert_eq!(endpoint.questions().len(), 1);
}

#[tokio::test]
async fn refusals_of_the_account_are_final_and_do_not_print_the_key() {
    let quota = json!({"error": {
        "message": "You exceeded your quota. ".repeat(20),
        "code": "insufficient_quota",
    }});
    for (status, body) in [
        (401, format!("incorrect key {KEY}")),
        (404, "no such model".into()),
        (429, quota.to_string()),
    ] {
        let endpoint = Endpoint::start(move |_: &Question| Turn::Fails(status, "", body.clone()));
        let namer = namer(&endpoint);
        let error = name(&namer, &[user(&["Ukulele", "Lettuce"])])
            .await
            .unwrap_err();
        assert!(!error.is_transient(), "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(endpoint.questions().len(), 1);
        let printed = format!("{error} {error:?} {namer:?} {:?}", options(&endpoint));
        assert!(!printed.contains(KEY), "{printed}");
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_a_passing_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let nowhere = Endpoint::start(answers);
    let mut options = options(&nowhere);
    options.endpoint = format!("http://me:{KEY}@127.0.0.1:{port}/v1");
    let namer = namer_with(options, support::PATIENCE);
    let error = name(&namer, &[user(&["Ukulele"])]).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(!format!("{error:?}").contains(KEY), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_without_schemas_is_asked_without_one_from_then_on() {
    for message in ["'response_format' is not supported", "bad request"] {
        let endpoint = Endpoint::start(move |question: &Question| {
            if question.body.get("response_format").is_some() {
                return Turn::Fails(400, "", message.into());
            }
            answers(question)
        });
        let namer = namer(&endpoint);
        for _ in 0..2 {
            let (names, _) = name(&namer, &[user(&["Ukulele"])]).await.unwrap();
            assert_eq!(names[0][0].source, NameSource::Llm);
        }
        let questions = endpoint.questions();
        let with_schema: Vec<bool> = questions
            .iter()
            .map(|question| question.body.get("response_format").is_some())
            .collect();
        assert_eq!(with_schema, [true, false, false]);
        assert!(questions[2].body.get("max_tokens").is_some());
    }
}

#[tokio::test]
async fn a_parameter_that_the_model_refuses_by_name_is_left_out() {
    let refused = ["max_tokens", "max_completion_tokens", "temperature", "n"];
    let endpoint = Endpoint::start(move |question: &Question| {
        let has = |name: &&str| question.body.get(*name).is_some();
        match refused.into_iter().find(has) {
            Some(name) => Turn::Fails(400, "", format!("Unsupported parameter: '{name}'")),
            None => answers(question),
        }
    });
    let namer = llm_namer(options(&endpoint), support::PATIENCE).with_samples(2);
    let namer = Namer::Llm(Box::new(namer));
    let named = named_by(&namer, user(&["Ukulele"])).await;
    assert_eq!(named, good(&["Ukulele"]));
    let questions = endpoint.questions();
    assert_eq!(questions.len(), 1 + refused.len());
    let answered = questions.last().unwrap();
    assert!(answered.body.get("response_format").is_some());
}

#[tokio::test]
async fn the_bound_of_an_answer_is_said_in_the_words_that_the_model_takes() {
    let endpoint =
        Endpoint::start(
            |question: &Question| match question.body.get("max_tokens").is_some() {
                true => Turn::Fails(
                    400,
                    "",
                    "'max_tokens' is not supported. Use 'max_completion_tokens' instead.".into(),
                ),
                false => answers(question),
            },
        );
    assert_eq!(
        named(&endpoint, user(&["Ukulele"])).await,
        good(&["Ukulele"])
    );
    let questions = endpoint.questions();
    let [first, second] = &questions[..] else {
        panic!("{questions:?}");
    };
    assert!(first.body["max_tokens"].is_u64());
    let bound = &second.body["max_completion_tokens"];
    assert_eq!(bound, &first.body["max_tokens"]);
}

#[tokio::test]
async fn samples_are_done_without_where_a_refusal_does_not_say_so_in_our_words() {
    let endpoint = Endpoint::start(|question: &Question| match question.body.get("n") {
        Some(_) => Turn::Fails(400, "", "Only one completion choice is allowed".into()),
        None => answers(question),
    });
    let namer = llm_namer(options(&endpoint), support::PATIENCE).with_samples(2);
    let names = named_by(&Namer::Llm(Box::new(namer)), user(&["Ukulele"])).await;
    assert_eq!(names, good(&["Ukulele"]));
    assert_eq!(endpoint.questions().len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_refuses_even_a_harmless_question_in_every_form_is_of_no_use() {
    let endpoint = Endpoint::start(|_: &Question| Turn::Fails(400, "", "no".into()));
    let error = name(&namer(&endpoint), &[user(&["Ukulele"])])
        .await
        .unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().contains("400"), "{error}");
    // The question and the trial, each with and without a schema.
    assert_eq!(endpoint.questions().len(), 4);
}

#[tokio::test]
async fn a_question_that_is_refused_costs_one_journey_its_name_though_it_be_the_first() {
    let refused = ["Ukulele", "Gunpowder"].map(|title| [(title, 422), (title, 403)]);
    for (title, status) in refused.concat() {
        let endpoint = Endpoint::start(move |question: &Question| {
            if question.mentions(title) {
                return Turn::Fails(status, "", "no".into());
            }
            answers(question)
        });
        let terms = ["Ukulele", "Gunpowder", "Chess"];
        let mut expected = good(&terms);
        for (term, name) in terms.iter().zip(&mut expected) {
            if *term == title {
                *name = (title.into(), NameSource::Fallback);
            }
        }
        assert_eq!(named(&endpoint, user(&terms)).await, expected);
    }
}

#[tokio::test]
async fn a_title_that_a_filter_dislikes_costs_only_its_own_journey_the_name() {
    let refuses = Turn::Fails(
        400,
        "",
        json!({"error": {"code": "content_filter"}}).to_string(),
    );
    let withholds = Turn::Completes(json!({"choices": [
        {"message": {"content": null}, "finish_reason": "content_filter"}
    ]}));
    for turn in [refuses, withholds] {
        let endpoint =
            Endpoint::start(
                move |question: &Question| match question.mentions("Gunpowder") {
                    true => turn.clone(),
                    false => answers(question),
                },
            );
        let names = named(&endpoint, user(&["Ukulele", "Gunpowder", "Chess"])).await;
        let mut expected = good(&["Ukulele", "Gunpowder", "Chess"]);
        expected[1] = ("Gunpowder".into(), NameSource::Fallback);
        assert_eq!(names, expected);
        // Nobody asks a filter twice.
        assert_eq!(endpoint.sizes(), [3, 1, 2, 1, 1]);
    }
}

#[tokio::test]
async fn a_question_that_does_not_fit_the_context_is_halved() {
    let endpoint = Endpoint::start(|question: &Question| {
        let code = json!({"error": {"code": "context_length_exceeded"}}).to_string();
        match question.asked.len() {
            0..=2 => answers(question),
            3..=4 => Turn::Fails(413, "", String::new()),
            _ => Turn::Fails(400, "", code),
        }
    });
    let terms = ["Ukulele", "Lettuce", "Chess", "Rust", "Bread"];
    assert_eq!(named(&endpoint, user(&terms)).await, good(&terms));
    assert_eq!(endpoint.sizes(), [5, 2, 3, 1, 2]);
}

#[tokio::test]
async fn calls_are_made_no_faster_than_allowed() {
    let endpoint = Endpoint::start(answers);
    let mut options = options(&endpoint);
    options.requests_per_minute = NonZeroU32::new(120).unwrap();
    options.journeys_per_call = 1;
    let start = Instant::now();
    let users = [user(&["Ukulele", "Lettuce", "Chess", "Rust"])];
    name(&namer_with(options, support::PATIENCE), &users)
        .await
        .unwrap();
    // Two at once, and one every half second.
    assert!(start.elapsed() >= Duration::from_millis(900));
}

#[test]
fn what_is_no_endpoint_or_no_key_is_said_at_once() {
    sojourn::settings::install_tls();
    let options = |endpoint: &str, key: &str| LlmOptions {
        endpoint: endpoint.into(),
        model: "fake".into(),
        api_key: Some(key.into()),
        journeys_per_call: 1,
        requests_per_minute: NonZeroU32::MIN,
        fallback: None,
    };
    for endpoint in ["", "localhost:8080", "ftp://localhost/v1", "http://"] {
        let error = LlmNamer::new(options(endpoint, KEY)).unwrap_err();
        assert!(matches!(error, LlmError::InvalidEndpoint { .. }), "{error}");
        assert!(!error.is_transient());
    }
    let error = LlmNamer::new(options("http://localhost/v1", "two\nlines")).unwrap_err();
    assert!(matches!(error, LlmError::InvalidKey), "{error}");
    assert!(!format!("{error:?}").contains("lines"));
}
