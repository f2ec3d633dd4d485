//! What naming the journeys of a dataset takes, by those of some of its shards.

use anyhow::Result;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use sojourn::catalogue::Catalogue;
use sojourn::dataset::{Dataset, ShardIndex};
use sojourn::history::History;
use sojourn::job::USERS_PER_NAME_JOB;
use sojourn::journey::{Extraction, Extractor, Journey, keep_identity};
use sojourn::naming::{Forecaster, NameCache, Unnamed};
use sojourn::settings::RedisArgs;
use sojourn::store::JourneyReader;
use sojourn_scheduler::cli::PlanArgs;
use sojourn_scheduler::outlook::Outlook;

use crate::commands::{Done, Output, usage};

/// What was looked at, and what naming it would take.
pub(super) struct Sample {
    pub dataset: Dataset,
    pub shards: usize,
    pub users: u64,
    /// Journeys that they have, named or not.
    pub journeys: u64,
    pub forecaster: Forecaster,
}

/// Says what naming the journeys of a dataset takes.
pub(super) async fn plan(
    redis: &RedisArgs,
    args: &PlanArgs,
    dataset: &str,
    output: Output,
) -> Result<Done> {
    let limits = args.limits.options()?;
    let sample = look(redis, args, dataset).await?;
    let all = sample.dataset.manifest().counts.users;
    let outlook = Outlook::of(sample.forecaster.forecast(), sample.users, all, &limits);
    print(args, dataset, &sample, &outlook, output)?;
    Ok(Done::Well)
}

/// Finds the journeys of some shards, and packs them into questions.
pub(super) async fn look(redis: &RedisArgs, args: &PlanArgs, dataset: &str) -> Result<Sample> {
    let Some(model) = &args.model else {
        return Err(usage(
            "--model is missing (or SOJOURN_LLM_MODEL): name the model that would be asked about the \
             journeys of the dataset",
        ));
    };
    let parameters = args.method.parameters();
    parameters.validate()?;
    let dataset = Dataset::open(dataset, &args.cache.cache).await?;
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
        model,
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
    let (mut users, mut journeys) = (0, 0);
    for &shard in &shards {
        let histories = dataset.read_shard(shard).await?;
        users += histories.len() as u64;
        for histories in histories.chunks(USERS_PER_NAME_JOB) {
            let found = to_name(
                histories,
                dataset.catalogue(),
                &mut extractor,
                reader.as_ref(),
            )
            .await?;
            journeys += found
                .iter()
                .map(|(_, found)| found.len() as u64)
                .sum::<u64>();
            let unnamed: Vec<Unnamed<'_>> = found.iter().map(unnamed).collect();
            forecaster.add(&unnamed).await?;
        }
    }
    Ok(Sample {
        shards: shards.len(),
        dataset,
        users,
        journeys,
        forecaster,
    })
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
    dataset: &str,
    sample: &Sample,
    outlook: &Outlook,
    output: Output,
) -> Result<()> {
    let manifest = sample.dataset.manifest();
    let (shards, users) = (manifest.shards.len(), manifest.counts.users);
    if output.json {
        let mut plan = serde_json::to_value(outlook)?;
        plan["dataset"] = json!(dataset);
        plan["users"] = json!(users);
        sample.say(&mut plan);
        println!("{plan}");
        return Ok(());
    }
    println!("to name the journeys of {users} users of {dataset}");
    println!(
        "  looked at  {} of {shards} shards, {} users",
        sample.shards, sample.users
    );
    outlook_lines(args, outlook, Some(sample));
    Ok(())
}

impl Sample {
    /// Adds to a plan for machines what was looked at.
    pub fn say(&self, plan: &mut Value) {
        let counter = self.forecaster.counter();
        plan["sampled_users"] = json!(self.users);
        plan["sampled_shards"] = json!(self.shards);
        plan["tokens_are_estimated"] = json!(counter.is_estimate());
        plan["vocabulary"] = json!(counter.vocabulary());
    }

    /// How tokens were counted.
    fn counted(&self, model: &str) -> String {
        let counter = self.forecaster.counter();
        let vocabulary = counter.vocabulary();
        match counter.is_estimate() {
            true => format!(
                "an ESTIMATE: how {model} counts is not known, so these are tokens of {vocabulary}"
            ),
            false => format!("counted with {vocabulary}, as {model} does"),
        }
    }
}

/// What naming takes, for people; by a sample, if there is one.
pub(super) fn outlook_lines(args: &PlanArgs, outlook: &Outlook, sample: Option<&Sample>) {
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
    if let Some((sample, model)) = sample.zip(args.model.as_deref()) {
        println!("             {}", sample.counted(model));
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
}

/// Minutes for people.
pub(super) fn duration(minutes: f64) -> String {
    const HOUR: f64 = 60.0;
    const DAY: f64 = 24.0 * HOUR;
    match minutes {
        minutes if minutes < 1.0 => format!("{:.0} seconds", (minutes * 60.0).ceil()),
        minutes if minutes < 2.0 * HOUR => format!("{minutes:.1} minutes"),
        minutes if minutes < 2.0 * DAY => format!("{:.1} hours", minutes / HOUR),
        minutes => format!("{:.1} days", minutes / DAY),
    }
}
