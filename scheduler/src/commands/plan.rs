//! `sojourn plan`

use anyhow::Result;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::json;
use sojourn::catalogue::Catalogue;
use sojourn::dataset::{Dataset, ShardIndex};
use sojourn::history::History;
use sojourn::job::USERS_PER_NAME_JOB;
use sojourn::journey::{Extraction, Extractor, Journey, keep_identity};
use sojourn::naming::{Forecaster, NameCache, TokenCounter, Unnamed};
use sojourn::settings::RedisArgs;
use sojourn::store::JourneyReader;
use sojourn_scheduler::cli::PlanArgs;
use sojourn_scheduler::outlook::Outlook;

use super::{Done, Output};

/// What was looked at.
struct Sample {
    shards: usize,
    users: u64,
}

pub async fn plan(redis: &RedisArgs, args: PlanArgs, output: Output) -> Result<Done> {
    let limits = args.limits.options()?;
    let parameters = args.method.parameters();
    parameters.validate()?;
    let dataset = Dataset::open(&args.dataset, &args.cache.cache).await?;
    let redis = match &redis.redis {
        Some(_) => Some(redis.connect().await?),
        None => None,
    };
    let sharing = args.sharing.options();
    let cache = redis.as_ref().zip(sharing);
    let cache = cache.map(|(redis, options)| NameCache::new(redis, options));
    let reader = redis.as_ref().map(JourneyReader::new);
    let share_after = sharing.map(|options| options.share_after);
    let questions = &args.questions;
    let mut forecaster = Forecaster::new(
        &args.model,
        questions.prompt.template()?,
        questions.journeys_per_call,
        questions.samples.into(),
        share_after,
        cache,
    );
    if args.moderated {
        forecaster = forecaster.with_moderation();
    }
    let as_of = dataset.manifest().counts.last_timestamp;
    let mut extractor = Extractor::new(dataset.catalogue().clone(), parameters, as_of);
    let shards = chosen(&dataset, args.shards.get(), args.seed);
    let mut sample = Sample {
        shards: shards.len(),
        users: 0,
    };
    for shard in shards {
        let histories = dataset.read_shard(shard).await?;
        sample.users += histories.len() as u64;
        for histories in histories.chunks(USERS_PER_NAME_JOB) {
            let users = to_name(
                histories,
                dataset.catalogue(),
                &mut extractor,
                reader.as_ref(),
            )
            .await?;
            let unnamed: Vec<Unnamed<'_>> = users.iter().map(unnamed).collect();
            forecaster.add(&unnamed).await?;
        }
    }
    let all = dataset.manifest().counts.users;
    let outlook = Outlook::of(forecaster.forecast(), sample.users, all, &limits);
    print(
        &args,
        &dataset,
        &sample,
        &outlook,
        forecaster.counter(),
        output,
    )?;
    Ok(Done::Well)
}

/// Some shards, the same for the same seed.
fn chosen(dataset: &Dataset, most: usize, seed: u64) -> Vec<ShardIndex> {
    let shards = dataset.manifest().shards.iter();
    let mut shards: Vec<ShardIndex> = shards.map(|shard| shard.index).collect();
    shards.shuffle(&mut StdRng::seed_from_u64(seed));
    shards.truncate(most);
    shards
}

/// A user, and the journeys that this user has.
type User = (String, Vec<Journey>);

/// The journeys of some users, with the names that they would keep.
async fn to_name(
    histories: &[History],
    catalogue: &Catalogue,
    extractor: &mut Extractor,
    reader: Option<&JourneyReader>,
) -> Result<Vec<User>> {
    let found: Vec<Extraction> = histories.iter().map(|h| extractor.extract(h)).collect();
    let ids: Vec<&str> = histories
        .iter()
        .map(|history| history.user.as_str())
        .collect();
    let mut stored = match reader {
        Some(reader) => reader.journeys_of_many(&ids).await?.into_iter(),
        None => Vec::new().into_iter(),
    };
    let user = |(history, extraction): (&History, Extraction)| {
        let mut journeys = extraction.journeys.clone();
        // What cannot be read is replaced by a run.
        if let Some(Ok(Some(stored))) = stored.next() {
            let members = extraction.member_ids(catalogue);
            keep_identity(&stored.journeys, &mut journeys, members, false);
        }
        (history.user.clone(), journeys)
    };
    Ok(histories.iter().zip(found).map(user).collect())
}

fn unnamed((user, journeys): &User) -> Unnamed<'_> {
    let wanting = journeys.iter().filter(|journey| journey.wants_name());
    Unnamed {
        user,
        journeys: wanting.collect(),
        taken: Vec::new(),
    }
}

fn print(
    args: &PlanArgs,
    dataset: &Dataset,
    sample: &Sample,
    outlook: &Outlook,
    counter: &TokenCounter,
    output: Output,
) -> Result<()> {
    let (manifest, vocabulary) = (dataset.manifest(), counter.vocabulary());
    let (shards, users) = (manifest.shards.len(), manifest.counts.users);
    if output.json {
        let mut plan = serde_json::to_value(outlook)?;
        plan["dataset"] = json!(args.dataset);
        plan["users"] = json!(users);
        plan["sampled_users"] = json!(sample.users);
        plan["sampled_shards"] = json!(sample.shards);
        plan["tokens_are_estimated"] = json!(counter.is_estimate());
        plan["vocabulary"] = json!(vocabulary);
        println!("{plan}");
        return Ok(());
    }
    println!("to name the journeys of {users} users of {}", args.dataset);
    println!(
        "  looked at  {} of {shards} shards, {} users",
        sample.shards, sample.users
    );
    println!(
        "  journeys   {} that want a name, {} of them get that of an equal one",
        outlook.journeys, outlook.shared
    );
    println!(
        "  calls      {} of up to {} journeys; what fails the checks is asked again and comes on top",
        outlook.calls, args.questions.journeys_per_call
    );
    println!(
        "  tokens     {} in, {} of them the same in every call; {} out",
        outlook.tokens_in, outlook.tokens_same, outlook.tokens_out
    );
    match counter.is_estimate() {
        true => println!(
            "             an ESTIMATE: how {} counts is not known, so these are tokens of {vocabulary}",
            args.model
        ),
        false => println!(
            "             counted with {vocabulary}, as {} does",
            args.model
        ),
    }
    match outlook.money.zip(outlook.money_cached) {
        Some((money, cached)) => println!(
            "  money      {money}; {cached} if the provider has what is the same in its cache"
        ),
        None => println!("  money      unknown without --price-input and --price-output"),
    }
    println!(
        "  time       {} at least, for {}",
        duration(outlook.minutes),
        outlook.limit
    );
    Ok(())
}

/// Minutes for people.
fn duration(minutes: f64) -> String {
    const HOUR: f64 = 60.0;
    const DAY: f64 = 24.0 * HOUR;
    match minutes {
        minutes if minutes < 1.0 => format!("{:.0} seconds", (minutes * 60.0).ceil()),
        minutes if minutes < 2.0 * HOUR => format!("{minutes:.1} minutes"),
        minutes if minutes < 2.0 * DAY => format!("{:.1} hours", minutes / HOUR),
        minutes => format!("{:.1} days", minutes / DAY),
    }
}
