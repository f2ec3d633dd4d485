//! `sojourn show`

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use sojourn::journey::{Journey, StageActivity, StageDuration};
use sojourn::settings::RedisArgs;
use sojourn::store::{JourneyReader, Meta, UserJourneys};
use sojourn_scheduler::cli::LocalArgs;
use sojourn_scheduler::code::CommandError;

use super::session::Session;
use super::{Done, Output};

/// What machines get.
#[derive(Serialize)]
struct Shown<'a> {
    user: &'a str,
    meta: &'a Meta,
    journeys: &'a [Journey],
}

pub async fn show(
    redis: &RedisArgs,
    local: &LocalArgs,
    user: &str,
    output: Output,
) -> Result<Done> {
    let session = Session::open(redis, local.dataset.as_deref()).await?;
    let found = JourneyReader::new(&session.redis).journeys(user).await?;
    session.close().await;
    let Some(found) = found else {
        return Err(CommandError::NoResults(user.into()).into());
    };
    if output.json {
        let shown = Shown {
            user,
            meta: &found.meta,
            journeys: &found.journeys,
        };
        println!("{}", serde_json::to_string(&shown)?);
    } else {
        print_user(user, &found);
    }
    Ok(Done::Well)
}

/// Prints a user's journeys for people.
pub fn print_user(user: &str, found: &UserJourneys) {
    let plural = if found.journeys.len() == 1 { "" } else { "s" };
    let merged = match found.meta.merge_threshold {
        Some(threshold) => format!(", merged from a mean cosine of {threshold}"),
        None => String::new(),
    };
    let exploration = match found.meta.exploration {
        Some(chance) => format!(", {:.0} % likely to take up another next", 100.0 * chance),
        None => String::new(),
    };
    println!(
        "{}: {} journey{plural}{merged}{exploration}",
        plain(user),
        found.journeys.len()
    );
    for journey in &found.journeys {
        print_journey(journey);
    }
}

fn print_journey(journey: &Journey) {
    let terms: Vec<&str> = journey
        .terms
        .iter()
        .take(6)
        .map(|term| term.term.as_str())
        .collect();
    let duration = match journey.stage.duration {
        StageDuration::Evergreen => "evergreen",
        StageDuration::Situational => "situational",
    };
    let activity = match journey.stage.activity {
        StageActivity::Ongoing => "ongoing",
        StageActivity::Ended => "ended",
    };
    println!(
        "  {}  [{}, {}]",
        plain(&journey.name),
        journey.id,
        journey.name_source.as_str()
    );
    println!(
        "    {} items, {} to {}, {:.0} % of the history, {:.0} % sure, {duration}, {activity}",
        journey.size,
        date(journey.first),
        date(journey.last),
        journey.strength * 100.0,
        journey.confidence * 100.0
    );
    println!("    terms: {}", plain(&terms.join(", ")));
    for title in &journey.titles {
        println!("    - {}", plain(title));
    }
    println!("    items: {}", plain(&items(journey)));
}

/// The latest items by their ids, and how many more there are; `--json` has all that are stored.
fn items(journey: &Journey) -> String {
    /// About a line.
    const SHOWN: usize = 8;
    let shown = journey.items.iter().rev().take(SHOWN);
    let ids: Vec<&str> = shown.map(|(item, _)| item.as_str()).collect();
    match journey.size as usize - ids.len() {
        0 => ids.join(", "),
        more => format!("{}, and {more} before", ids.join(", ")),
    }
}

fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// Titles and names are other people's text: without control characters they cannot steer the
/// terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
