//! What becomes of answers: matched, checked, asked for again.

use serde_json::{Value, json};
use sojourn::journey::NameSource;
use sojourn::naming::{Namer, NamingCounts, Unnamed};

use crate::llm::{Endpoint, Question, Turn, answers, good_names, says};
use crate::{
    KEY, UKULELES, all, at_first, good, name, named, namer, namer_with, options, support, user,
};

#[tokio::test]
async fn the_journeys_of_several_users_are_named_in_one_call() {
    let endpoint = Endpoint::start(answers);
    let users = [
        user(&["Ukulele", "Lettuce"]),
        user(&["Ukulele"]),
        user(&["Chess"]),
    ];
    let (names, counts) = name(&namer(&endpoint), &users).await.unwrap();
    let names: Vec<Vec<&str>> = names
        .iter()
        .map(|names| names.iter().map(|name| name.name.as_str()).collect())
        .collect();
    let expected = [
        vec!["Ukulele for Beginners", "Lettuce for Beginners"],
        vec!["Ukulele for Beginners"],
        vec!["Chess for Beginners"],
    ];
    assert_eq!(names, expected);
    let expected = NamingCounts {
        questions: 1,
        tokens_in: 10,
        tokens_out: 5,
        llm: 4,
        ..NamingCounts::default()
    };
    assert_eq!(counts, expected);
    assert_eq!(endpoint.sizes(), [4]);
    let authorization = endpoint.questions()[0].authorization.clone();
    assert_eq!(authorization, Some(format!("Bearer {KEY}")));
}

#[tokio::test]
async fn a_call_holds_no_more_journeys_than_it_may_and_a_user_stays_together() {
    let endpoint = Endpoint::start(answers);
    let mut options = options(&endpoint);
    options.journeys_per_call = 2;
    let users = [
        user(&["Ukulele"]),
        user(&["Lettuce", "Chess"]),
        user(&["Rust", "Bread", "Sailing"]),
        user(&["Opera"]),
    ];
    let (names, _) = name(&namer_with(options, support::PATIENCE), &users)
        .await
        .unwrap();
    assert!(
        names
            .iter()
            .flatten()
            .all(|name| name.source == NameSource::Llm)
    );
    assert_eq!(endpoint.sizes(), [1, 2, 2, 2]);
    assert_eq!(
        endpoint.questions()[3].first_titles(),
        ["Sailing lesson one", "Opera lesson one"]
    );
}

#[tokio::test]
async fn answers_are_matched_by_id_and_never_by_position() {
    let endpoint = Endpoint::start(|question: &Question| {
        let mut names = good_names(question);
        names.reverse();
        says(names)
    });
    let terms = ["Ukulele", "Lettuce", "Chess"];
    assert_eq!(named(&endpoint, user(&terms)).await, good(&terms));
    assert_eq!(endpoint.sizes(), [3]);
}

#[tokio::test]
async fn names_that_slid_to_a_neighbour_are_not_used_and_asked_for_again() {
    let endpoint = Endpoint::start(at_first(|question| {
        let mut names = good_names(question);
        let first = names[0].1.clone();
        names[0].1 = names[1].1.clone();
        names[1].1 = first;
        says(names)
    }));
    let terms = ["Ukulele", "Lettuce", "Chess"];
    assert_eq!(named(&endpoint, user(&terms)).await, good(&terms));
    assert_eq!(endpoint.sizes(), [3, 1, 1]);
}

#[tokio::test]
async fn only_what_failed_is_asked_again() {
    let without_lettuce = |question: &Question| {
        let mut names = good_names(question);
        names.remove(1);
        names
    };
    let missing = at_first(move |question| says(without_lettuce(question)));
    let twice = at_first(|question| {
        let mut names = good_names(question);
        names.push((names[1].0.clone(), "Lettuce and More".into()));
        says(names)
    });
    let unknown = at_first(move |question| {
        let mut names = without_lettuce(question);
        names.push(("9z".into(), "Lettuce for Beginners".into()));
        says(names)
    });
    let cut = at_first(|question| {
        let names = good_names(question);
        let last = [names[2].clone(), names[0].clone(), names[1].clone()];
        let Turn::Says(text) = says(last.into()) else {
            panic!("says says");
        };
        let text = &text[..text.len() - 5];
        Turn::Completes(json!({"choices": [
            {"message": {"content": text}, "finish_reason": "length"}
        ]}))
    });
    for endpoint in [
        Endpoint::start(missing),
        Endpoint::start(twice),
        Endpoint::start(unknown),
        Endpoint::start(cut),
    ] {
        let terms = ["Ukulele", "Lettuce", "Chess"];
        assert_eq!(named(&endpoint, user(&terms)).await, good(&terms));
        let questions = endpoint.questions();
        assert_eq!(endpoint.sizes(), [3, 1]);
        assert_eq!(questions[1].first_titles(), ["Lettuce lesson one"]);
    }
}

#[tokio::test]
async fn an_answer_that_reached_its_limit_of_tokens_is_counted_and_read_as_far_as_it_goes() {
    let endpoint = Endpoint::start(at_first(|question| {
        let Turn::Says(text) = says(good_names(question)) else {
            panic!("says says");
        };
        let text = &text[..text.len() - 5];
        Turn::Completes(json!({"choices": [
            {"message": {"content": text}, "finish_reason": "length"}
        ]}))
    }));
    let users = [user(&["Ukulele", "Lettuce", "Chess"])];
    let (names, counts) = name(&namer(&endpoint), &users).await.unwrap();
    assert!(names[0].iter().all(|name| name.source == NameSource::Llm));
    assert_eq!((counts.cut, counts.rejected), (1, 1));
    assert_eq!(endpoint.sizes(), [3, 1]);
}

#[tokio::test]
async fn a_model_that_thinks_until_it_is_cut_off_has_named_nothing() {
    let endpoint = Endpoint::start(at_first(|question| {
        let Turn::Says(draft) = says(good_names(question)) else {
            panic!("says says");
        };
        Turn::Completes(json!({"choices": [
            {"message": {"content": format!("<think>{draft}")}, "finish_reason": "length"}
        ]}))
    }));
    let terms = ["Ukulele", "Lettuce"];
    assert_eq!(named(&endpoint, user(&terms)).await, good(&terms));
    assert_eq!(endpoint.sizes(), [2, 1, 1]);
}

#[tokio::test]
async fn what_fails_is_asked_again_by_halves_and_alone_it_is_named_by_its_terms() {
    let says_nothing = |body: Value| move |_: &Question| Turn::Completes(body.clone());
    let content = |content: Value| json!({"choices": [{"message": {"content": content}}]});
    for body in [
        content(json!("{\"names\": [{\"id\": ")),
        content(json!("I'm sorry, but I cannot help with that.")),
        content(json!([{"type": "text"}])),
        content(json!(null)),
        json!({"choices": [{"message": {"refusal": "no"}}], "usage": null}),
        json!({"choices": [{}]}),
        json!({"choices": []}),
    ] {
        let endpoint = Endpoint::start(says_nothing(body));
        let users = [user(&["Ukulele", "Lettuce", "Chess"]), user(&["Rust"])];
        let (names, counts) = name(&namer(&endpoint), &users).await.unwrap();
        let names: Vec<_> = names
            .concat()
            .into_iter()
            .map(|n| (n.name, n.source))
            .collect();
        let fallback =
            ["Ukulele", "Lettuce", "Chess", "Rust"].map(|n| (n.into(), NameSource::Fallback));
        assert_eq!(names, fallback);
        assert_eq!(endpoint.sizes(), [4, 2, 1, 1, 2, 1, 1]);
        assert_eq!((counts.rejected, counts.fallbacks), (12, 4));
    }
}

#[tokio::test]
async fn siblings_get_different_names_and_the_model_is_told_which_are_taken() {
    for journeys_per_call in [1, 8] {
        let endpoint = Endpoint::start(|question: &Question| {
            if !question.taken.is_empty() {
                return answers(question);
            }
            says(all(question, "Ukulele Lessons"))
        });
        let mut options = options(&endpoint);
        options.journeys_per_call = journeys_per_call;
        let namer = namer_with(options, support::PATIENCE);
        let (names, counts) = name(&namer, &[user(&UKULELES)]).await.unwrap();
        let names: Vec<&str> = names[0].iter().map(|name| name.name.as_str()).collect();
        assert_eq!(names, ["Ukulele Lessons", "Ukulele songs for Beginners"]);
        assert_eq!((counts.rejected, counts.fallbacks), (1, 0));
        let last = endpoint.questions().pop().unwrap();
        assert_eq!(last.first_titles(), ["Ukulele songs lesson one"]);
        assert_eq!(last.taken, ["Ukulele Lessons"]);
    }
}

#[tokio::test]
async fn a_model_that_insists_on_a_siblings_name_is_not_asked_for_ever() {
    let endpoint = Endpoint::start(|question: &Question| says(all(question, "Ukulele Lessons")));
    let names = named(&endpoint, user(&UKULELES)).await;
    assert_eq!(names[1], ("Ukulele songs".into(), NameSource::Fallback));
    assert_eq!(endpoint.sizes(), [2, 1]);
}

#[tokio::test]
async fn no_two_journeys_of_a_user_share_a_name_made_of_terms() {
    let endpoint = Endpoint::start(|_: &Question| Turn::Says(String::new()));
    let mut journeys = user(&["Ukulele", "Ukulele", "Ukulele"]);
    for journey in &mut journeys {
        journey.titles[0] = "The ukulele, from the first chord".into();
    }
    let taken = vec!["ukulele!"];
    for (namer, source) in [
        (Namer::Terms, NameSource::Terms),
        (namer(&endpoint), NameSource::Fallback),
    ] {
        let user = Unnamed {
            user: "ann",
            journeys: journeys.iter().collect(),
            taken: taken.clone(),
        };
        let (names, _) = namer.name(&[user], &crate::account()).await.unwrap();
        let names: Vec<(&str, NameSource)> = names[0]
            .iter()
            .map(|name| (name.name.as_str(), name.source))
            .collect();
        let expected = [
            "The ukulele, from the first chord",
            "More Ukulele",
            "Ukulele 2",
        ];
        assert_eq!(names, expected.map(|name| (name, source)));
    }
}

#[tokio::test]
async fn a_changed_journey_keeps_its_earlier_name_where_no_answer_is_better() {
    let endpoint = Endpoint::start(|_: &Question| Turn::Says(String::new()));
    let mut journeys = user(&["Ukulele", "Lettuce"]);
    for journey in &mut journeys {
        journey.name = "Ukulele at Home".into();
        journey.name_source = NameSource::Stale;
    }
    // The name says nothing of lettuce any more.
    let (names, counts) = name(&namer(&endpoint), &[journeys]).await.unwrap();
    let names: Vec<&str> = names[0].iter().map(|name| name.name.as_str()).collect();
    assert_eq!(names, ["Ukulele at Home", "Lettuce"]);
    assert_eq!((counts.kept, counts.fallbacks), (1, 1));
}
