//! `sojourn dead`

use anyhow::Result;
use serde_json::{Value, json};
use sojourn::job::Selection;
use sojourn::queue::LetterId;
use sojourn::settings::RedisArgs;
use sojourn_scheduler::cli::{DeadArgs, DeadCommand};
use sojourn_scheduler::letters::{Choice, Filter, Letters, Listing, Replay};

use super::letter::{Payload, about, counted, everything, payload, summary, when};
use super::session::Session;
use super::show::plain;
use super::{Done, Output, usage};

/// Errors that are listed with their counts; the commonest come first.
const ERRORS_SHOWN: usize = 10;

pub async fn dead(redis: &RedisArgs, args: DeadArgs, output: Output) -> Result<Done> {
    let session = Session::open(redis, args.local().dataset.as_deref()).await?;
    let letters = Letters::open(&session.redis).await?;
    match args.command {
        DeadCommand::List { filter, limit } => list(&letters, filter.into(), limit, output).await?,
        DeadCommand::Show { ids } => show(&letters, &ids, output).await?,
        DeadCommand::Replay(choice) => {
            replay(&letters, &choice.into(), session.is_private(), output).await?;
        }
        DeadCommand::Drop(choice) => {
            let dropped = letters.drop(&choice.into()).await?;
            if output.json {
                println!("{}", json!({"dropped": dropped}));
            } else {
                println!("{} dropped", counted(dropped, "letter"));
            }
        }
    }
    session.close().await;
    Ok(Done::Well)
}

async fn list(letters: &Letters, filter: Filter, limit: usize, output: Output) -> Result<()> {
    let listing = letters.list(filter, limit).await?;
    let errors = by_count(&listing);
    if output.json {
        let letters: Vec<Value> = listing.letters.iter().map(summary).collect();
        let errors: Vec<Value> = errors
            .iter()
            .map(|(error, letters)| json!({"error": error, "letters": letters}))
            .collect();
        let total = listing.total;
        println!(
            "{}",
            json!({"letters": letters, "total": total, "errors": errors})
        );
        return Ok(());
    }
    if listing.total == 0 {
        println!("no dead letters");
        return Ok(());
    }
    println!(
        "{:<32} {:<19} {:<20} {:>8}  job, error",
        "letter", "when (UTC)", "run", "attempts"
    );
    for letter in &listing.letters {
        println!(
            "{:<32} {:<19} {:<20} {:>8}  {}",
            letter.id.to_string(),
            when(letter).strftime("%Y-%m-%d %H:%M:%S"),
            letter.run.as_ref().map_or("-", |run| run.as_str()),
            letter
                .attempts
                .map_or("-".into(), |attempts| attempts.to_string()),
            plain(&about(letter))
        );
        println!("  {}", plain(&letter.error));
    }
    println!();
    println!(
        "{}, {} shown",
        counted(listing.total, "letter"),
        listing.letters.len()
    );
    let all_are_shown = listing.total == listing.letters.len() as u64;
    if all_are_shown && errors.iter().all(|&(_, letters)| letters == 1) {
        return Ok(());
    }
    for (error, letters) in errors.iter().take(ERRORS_SHOWN) {
        println!("{letters:>9} x {}", plain(error));
    }
    let shown: u64 = errors
        .iter()
        .take(ERRORS_SHOWN)
        .map(|(_, letters)| letters)
        .sum();
    if shown < listing.total {
        println!("{:>9} x other errors", listing.total - shown);
    }
    Ok(())
}

/// Errors and how many letters have each, the commonest first.
fn by_count(listing: &Listing) -> Vec<(&str, u64)> {
    let mut errors: Vec<(&str, u64)> = listing
        .errors
        .iter()
        .map(|(error, &letters)| (error.as_str(), letters))
        .collect();
    // Stable, so equal ones stay in the order of their text.
    errors.sort_by_key(|&(_, letters)| std::cmp::Reverse(letters));
    errors
}

async fn show(letters: &Letters, ids: &[LetterId], output: Output) -> Result<()> {
    let mut found = Vec::with_capacity(ids.len());
    for &id in ids {
        let letter = letters.letter(id).await?;
        let unknown = || {
            usage(format!(
                "there is no dead letter {id}; `sojourn dead list` lists them"
            ))
        };
        found.push(letter.ok_or_else(unknown)?);
    }
    if output.json {
        let all: Vec<Value> = found.iter().map(everything).collect();
        println!("{}", Value::from(all));
        return Ok(());
    }
    for letter in &found {
        println!("{}", letter.id);
        let number = |n: Option<u32>| n.map_or("unknown".into(), |n| n.to_string());
        let line = |name: &str, value: &str| println!("  {name:<10} {}", plain(value));
        line("error", &letter.error);
        line("when", &when(letter).to_string());
        line(
            "run",
            letter.run.as_ref().map_or("unknown", |run| run.as_str()),
        );
        line("job", letter.job.as_deref().unwrap_or("unknown"));
        line(
            "lane",
            &letter.lane.map_or("none".into(), |lane| lane.to_string()),
        );
        line("worker", &letter.worker);
        line("attempts", &number(letter.attempts));
        line("failures", &number(letter.failures));
        line("crashes", &number(letter.crashes));
        line("about", &about(letter));
        match payload(letter) {
            Payload::Extract(job) => {
                line(
                    "dataset",
                    &format!("{}, id {}", job.dataset, job.dataset_id),
                );
                line("epoch", &job.epoch.to_string());
                line("parameters", &serde_json::to_string(&job.params)?);
                if let Selection::Users(users) = &job.selection {
                    line("users", &users.join(" "));
                }
            }
            Payload::Name(job) => {
                line("epoch", &job.epoch.to_string());
                let user =
                    |user: &sojourn::job::UserToName| format!("{} ({})", user.user, user.journeys);
                let users: Vec<String> = job.users.iter().map(user).collect();
                line("users", &users.join(" "));
            }
            Payload::Unreadable(_) => {}
        }
        if letter.is_foreign || letter.lane.is_none() {
            for (name, value) in &letter.fields {
                let (name, value) = (String::from_utf8_lossy(name), value.escape_ascii());
                line("field", &format!("{name} = {value}"));
            }
        }
    }
    Ok(())
}

async fn replay(
    letters: &Letters,
    choice: &Choice,
    is_private: bool,
    output: Output,
) -> Result<()> {
    let Replay {
        replayed,
        runs,
        reopened,
        left,
    } = letters.replay(choice).await?;
    if output.json {
        let replay =
            json!({"replayed": replayed, "runs": runs, "reopened": reopened, "left": left});
        println!("{replay}");
        return Ok(());
    }
    println!("{} replayed", counted(replayed, "job"));
    for (why, letters) in left {
        println!("{} left: {why}", counted(letters, "letter"));
    }
    for run in runs {
        let goes_on = if reopened.contains(&run) {
            "goes on"
        } else {
            "is not over"
        };
        match is_private {
            true => {
                println!("run {run} {goes_on}; its jobs are done with the next run on this dataset")
            }
            false => println!("run {run} {goes_on}; `sojourn run {run} --watch` follows it"),
        }
    }
    Ok(())
}
