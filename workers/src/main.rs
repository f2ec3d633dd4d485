//! `sojourn-worker`: extraction and naming workers.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sojourn::connection::Redis;
use sojourn::naming::{
    BatchOptions, LlmNamer, LlmOptions, Moderation, ModerationOptions, Namer, Template,
};
use sojourn::queue::{Consumer, ConsumerOptions, Kind, Lane, Queues, RetryPolicy, Work};
use sojourn::settings::{
    self, CacheArgs, FallbackArgs, LimitArgs, ListenArgs, QuestionArgs, RedisArgs, SettingsError,
    SharingArgs,
};
use sojourn_workers::bench::BenchCommand;
use sojourn_workers::extraction::ExtractionWorker;
use sojourn_workers::naming::NamingWorker;

/// What the threads that cluster allocate, those that write set free, a few hundred strings a user; glibc
/// takes a quarter of a worker's time for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Works on the jobs that `sojourn serve` queues. Start as many as there are machines; stop them
/// with SIGTERM, or kill them: what they had begun is done by others.
#[derive(Parser)]
#[command(
    name = "sojourn-worker",
    version,
    after_help = "\
Examples:
  sojourn-worker extract --redis redis://queue:6379
  sojourn-worker bench kernel
  sojourn-worker bench extract data/today --threads 2
  sojourn-worker name --namer llm --endpoint http://localhost:8080/v1 --model qwen2.5-7b
  SOJOURN_REDIS=rediss://worker@queue:6380 SOJOURN_REDIS_PASSWORD=... sojourn-worker extract

Every option can also be set in sojourn.toml (or the file that SOJOURN_CONFIG names), and those with
[env: ...] in the environment; a flag wins over the environment, the environment over the file.
SOJOURN_LOG=debug logs more, and SOJOURN_LOG_FORMAT=json for machines.

Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage or refused by the model endpoint, 3 Redis
unusable. Errors have codes (SJ101), which docs/runbook.md explains"
)]
struct Cli {
    #[command(flatten)]
    redis: RedisArgs,
    /// Stop when standard input ends, too.
    #[arg(long, global = true, hide = true)]
    owned: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find the journeys of shards of users, on all cores
    Extract {
        #[command(flatten)]
        worker: WorkerArgs,
        /// Shards worked on at once, so that one is read or written while another is clustered
        #[arg(
            long,
            env = "SOJOURN_EXTRACT_CONCURRENCY",
            default_value_t = 2,
            value_name = "N"
        )]
        concurrency: usize,
        #[command(flatten)]
        cache: CacheArgs,
    },
    /// Measure what this machine can do, part by part
    Bench {
        /// Print JSON for machines instead of text, one object a line
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: BenchCommand,
    },
    /// Name new and changed journeys
    Name {
        #[command(flatten)]
        worker: WorkerArgs,
        #[command(flatten)]
        naming: Box<NamingArgs>,
    },
}

#[derive(Args)]
struct WorkerArgs {
    /// Seconds of silence after which another worker takes a job over
    #[arg(long, env = "SOJOURN_LEASE", default_value = "30", value_parser = lease,
          value_name = "SECONDS")]
    lease: Duration,
    /// Seconds in which begun jobs may be finished after SIGTERM; the rest is handed back
    #[arg(long, env = "SOJOURN_DRAIN", default_value = "8", value_parser = drain,
          value_name = "SECONDS")]
    drain: Duration,
    #[command(flatten)]
    listen: ListenArgs,
    /// Failed attempts after which a job is given up [default: 5 to extract, 6 to name]
    #[arg(long, env = "SOJOURN_MAX_FAILURES", value_name = "N")]
    max_failures: Option<NonZeroU32>,
    /// Workers that die or fall silent with a job before it is given up [default: 3 to extract, 5 to
    /// name]
    #[arg(long, env = "SOJOURN_MAX_CRASHES", value_name = "N")]
    max_crashes: Option<NonZeroU32>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NamerKind {
    /// A phrase made of the journey's best terms
    Terms,
    /// A language model behind --endpoint
    Llm,
}

#[derive(Args)]
struct NamingArgs {
    /// Where names come from; llm when there is an --endpoint
    #[arg(long, env = "SOJOURN_NAMER", value_enum)]
    namer: Option<NamerKind>,
    /// Endpoint of the OpenAI chat-completions form, such as http://localhost:8080/v1. Its key is
    /// read from SOJOURN_LLM_API_KEY or --llm-api-key-file
    #[arg(
        long,
        env = "SOJOURN_LLM_ENDPOINT",
        hide_env_values = true,
        value_name = "URL"
    )]
    endpoint: Option<String>,
    /// Model to ask for
    #[arg(long, env = "SOJOURN_LLM_MODEL", value_name = "NAME")]
    model: Option<String>,
    /// File that holds the endpoint's key
    #[arg(long, env = "SOJOURN_LLM_API_KEY_FILE", value_name = "FILE")]
    llm_api_key_file: Option<PathBuf>,
    /// How it is asked.
    #[command(flatten)]
    questions: QuestionArgs,
    #[command(flatten)]
    moderation: ModerationArgs,
    /// What all naming workers together may ask of the endpoint.
    #[command(flatten)]
    limits: LimitArgs,
    /// Which names are shared.
    #[command(flatten)]
    sharing: SharingArgs,
    #[command(flatten)]
    fallback: FallbackArgs,
    /// Which jobs to take, and how to ask about them
    #[arg(long, env = "SOJOURN_NAME_LANE", value_enum, default_value = "all")]
    lane: LaneKind,
    /// With --lane batch, seconds for which questions are gathered before they are sent
    #[arg(long, env = "SOJOURN_LLM_BATCH_GATHER", default_value = "60", value_parser = wait,
          value_name = "SECONDS")]
    batch_gather: Duration,
    /// With --lane batch, seconds after which the provider is asked again how a batch is
    #[arg(long, env = "SOJOURN_LLM_BATCH_POLL", default_value = "60", value_parser = wait,
          value_name = "SECONDS")]
    batch_poll: Duration,
    /// Naming jobs worked on at once [default: 4; with --lane batch 256]
    #[arg(long, env = "SOJOURN_NAME_CONCURRENCY", value_name = "N")]
    concurrency: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LaneKind {
    /// All jobs, the urgent ones first; each question is a call
    All,
    /// Urgent jobs only, those of cohorts
    High,
    /// Jobs of backfills only; their questions go through the provider's batches, for half the price
    /// and within a day
    Batch,
}

impl LaneKind {
    fn lanes(self) -> &'static [Lane] {
        match self {
            LaneKind::All => &Lane::ALL,
            LaneKind::High => &[Lane::High],
            LaneKind::Batch => &[Lane::Low],
        }
    }

    /// Jobs worked on at once where nobody says otherwise. Those in batches only wait: 256 are some
    /// ten thousand journeys, and each costs a renewal of its lease every ten seconds.
    fn concurrency(self) -> usize {
        match self {
            LaneKind::All | LaneKind::High => 4,
            LaneKind::Batch => 256,
        }
    }
}

#[derive(Args)]
struct ModerationArgs {
    /// Endpoint of the OpenAI moderations form that has to let a name pass. Its key is
    /// read from SOJOURN_MODERATION_API_KEY or --moderation-api-key-file
    #[arg(
        long,
        env = "SOJOURN_MODERATION",
        hide_env_values = true,
        value_name = "URL"
    )]
    moderation: Option<String>,
    /// Model to ask there [default: the endpoint's own choice]
    #[arg(long, env = "SOJOURN_MODERATION_MODEL", value_name = "NAME")]
    moderation_model: Option<String>,
    /// File that holds that endpoint's key
    #[arg(long, env = "SOJOURN_MODERATION_API_KEY_FILE", value_name = "FILE")]
    moderation_api_key_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli: Cli = settings::parse();
    let program = async { run(cli).await.map(|()| ExitCode::SUCCESS) };
    settings::run("info", program, &[])
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Extract {
            worker,
            concurrency,
            cache,
        } => {
            let (redis, queues) = connect(&cli.redis).await?;
            let work = ExtractionWorker::new(&redis, queues.name, cache.cache);
            let consumer =
                Consumer::new(queues.extract, worker.options(Kind::Extract, concurrency));
            consume(&redis, consumer, work, worker.listen, cli.owned).await
        }
        Command::Bench { json, command } => {
            let measured = command.run(&cli.redis, json, std::io::stdout()).await;
            let is_unread = |error: &anyhow::Error| {
                let error = error.downcast_ref::<std::io::Error>();
                error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
            };
            match measured {
                // Whoever read has had enough.
                Err(error) if is_unread(&error) => Ok(()),
                measured => measured,
            }
        }
        Command::Name { worker, naming } => {
            // First: what is wrong with it is wrong whether or not there is a Redis.
            let (model, limits) = (model(&naming)?, naming.limits.options()?);
            let (redis, queues) = connect(&cli.redis).await?;
            let mut namer = namer(model, &naming, &redis)?;
            namer.share_limits(&redis, limits);
            if let Some(cache) = naming.sharing.options() {
                namer.share_names(&redis, cache);
            }
            let work = NamingWorker::new(&redis, namer);
            let queue = queues.name.taking(naming.lane.lanes());
            let usual = naming.lane.concurrency();
            let mut options = worker.options(Kind::Name, naming.concurrency.unwrap_or(usual));
            if naming.lane == LaneKind::Batch {
                // A batch is not over sooner for being waited for, and not lost.
                options.drain = Duration::ZERO;
            }
            let consumer = Consumer::new(queue, options);
            consume(&redis, consumer, work, worker.listen, cli.owned).await
        }
    }
}

async fn connect(args: &RedisArgs) -> anyhow::Result<(Redis, Queues)> {
    let redis = args.connect().await?;
    let queues = Queues::open(&redis).await?;
    Ok((redis, queues))
}

async fn consume(
    redis: &Redis,
    consumer: Consumer,
    work: impl Work,
    listen: ListenArgs,
    owned: bool,
) -> anyhow::Result<()> {
    // Before anybody is told that the worker is there: it may be asked to stop at once.
    let stop = settings::stop_signal(owned);
    let server = redis.server();
    tracing::info!(worker = consumer.worker(), server = %format!("{} {}", server.name, server.version), "ready");
    if !owned {
        listen.serve(consumer.health()).await?;
    }
    let summary = consumer.run(Arc::new(work), stop).await?;
    tracing::info!(?summary, "stopped");
    Ok(())
}

impl WorkerArgs {
    fn options(&self, kind: Kind, concurrency: usize) -> ConsumerOptions {
        let usual = RetryPolicy::of(kind);
        let or = |given: Option<NonZeroU32>, usual: u32| given.map_or(usual, NonZeroU32::get);
        ConsumerOptions {
            concurrency,
            lease: self.lease,
            drain: self.drain,
            retry: RetryPolicy {
                max_failures: or(self.max_failures, usual.max_failures),
                max_crashes: or(self.max_crashes, usual.max_crashes),
                ..usual
            },
        }
    }
}

/// Who is asked for names, and how.
struct Model {
    options: LlmOptions,
    template: Template,
    samples: usize,
    moderation: Option<Moderation>,
}

/// The model that names; none where names are made of terms.
fn model(args: &NamingArgs) -> anyhow::Result<Option<Model>> {
    let kind = args.namer.unwrap_or(match args.endpoint {
        Some(_) => NamerKind::Llm,
        None => NamerKind::Terms,
    });
    if kind == NamerKind::Terms {
        if args.lane == LaneKind::Batch {
            let needs = "--lane batch needs --namer llm with --endpoint URL and --model NAME";
            return Err(SettingsError::Usage(needs.into()).into());
        }
        return Ok(None);
    }
    let (Some(endpoint), Some(model)) = (&args.endpoint, &args.model) else {
        let needs = "--namer llm needs --endpoint URL and --model NAME (or SOJOURN_LLM_ENDPOINT \
                     and SOJOURN_LLM_MODEL)";
        return Err(SettingsError::Usage(needs.into()).into());
    };
    let options = LlmOptions {
        endpoint: endpoint.clone(),
        model: model.clone(),
        api_key: settings::secret("SOJOURN_LLM_API_KEY", args.llm_api_key_file.as_deref())?,
        journeys_per_call: args.questions.journeys_per_call,
        requests_per_minute: args.limits.requests_per_minute,
        fallback: args.fallback.options(&args.limits)?,
    };
    // Says what is wrong with it.
    LlmNamer::new(options.clone())?;
    let template = args.questions.prompt.template()?;
    tracing::info!(
        version = template.version(),
        hash = template.hash(),
        "prompt"
    );
    Ok(Some(Model {
        options,
        template,
        samples: args.questions.samples.into(),
        moderation: moderation(&args.moderation)?,
    }))
}

fn moderation(args: &ModerationArgs) -> anyhow::Result<Option<Moderation>> {
    let Some(endpoint) = &args.moderation else {
        return Ok(None);
    };
    let file = args.moderation_api_key_file.as_deref();
    let moderation = Moderation::new(ModerationOptions {
        endpoint: endpoint.clone(),
        model: args.moderation_model.clone(),
        api_key: settings::secret("SOJOURN_MODERATION_API_KEY", file)?,
    })?;
    Ok(Some(moderation))
}

fn namer(model: Option<Model>, args: &NamingArgs, redis: &Redis) -> anyhow::Result<Namer> {
    let Some(model) = model else {
        return Ok(Namer::Terms);
    };
    let namer = match args.lane {
        LaneKind::All | LaneKind::High => LlmNamer::new(model.options)?,
        LaneKind::Batch => {
            let times = BatchOptions {
                gather: args.batch_gather,
                poll: args.batch_poll,
                ..BatchOptions::default()
            };
            LlmNamer::by_batches(model.options, redis, times)?
        }
    };
    let mut namer = namer
        .with_template(model.template)
        .with_samples(model.samples);
    if let Some(moderation) = model.moderation {
        namer = namer.with_moderation(moderation);
    }
    Ok(Namer::Llm(Box::new(namer)))
}

/// A lease that runs out within a second is lost to the first pause of a busy machine.
fn lease(text: &str) -> Result<Duration, String> {
    settings::seconds(text, 1.0..=settings::DAY)
}

fn drain(text: &str) -> Result<Duration, String> {
    settings::seconds(text, 0.0..=settings::DAY)
}

fn wait(text: &str) -> Result<Duration, String> {
    settings::seconds(text, 0.1..=3600.0)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_lease_lasts_from_a_second_to_a_day() {
        for (text, seconds) in [("1", 1.0), ("30", 30.0), ("1.5", 1.5), ("86400", 86_400.0)] {
            let expected = Duration::from_secs_f64(seconds);
            assert_eq!(lease(text), Ok(expected), "{text}");
        }
        for text in [
            "1e300", "1e-12", "0", "0.99", "86401", "-5", "nan", "inf", "x", "",
        ] {
            let message = lease(text).unwrap_err();
            assert!(message.contains("from 1 to 86400"), "{text}: {message}");
        }
    }

    #[test]
    fn limits_are_those_of_the_kind_unless_they_are_given() {
        let options = |words: &[&str]| {
            let cli = Cli::parse_from(["sojourn-worker"].iter().chain(words));
            match cli.command {
                Command::Extract { worker, .. } => worker.options(Kind::Extract, 1).retry,
                Command::Name { worker, .. } => worker.options(Kind::Name, 1).retry,
                Command::Bench { .. } => panic!("{words:?} takes no jobs"),
            }
        };
        for (word, kind) in [("extract", Kind::Extract), ("name", Kind::Name)] {
            let usual = RetryPolicy::of(kind);
            assert_eq!(options(&[word]), usual);
            let given = options(&[word, "--max-failures", "9", "--max-crashes", "1"]);
            assert_eq!((given.max_failures, given.max_crashes), (9, 1));
            assert_eq!(given.base, usual.base);
            let help = Cli::command()
                .find_subcommand_mut(word)
                .unwrap()
                .render_long_help();
            let help = help
                .to_string()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            for limit in ["max_failures", "max_crashes"] {
                let of = |kind: Kind| {
                    let policy = RetryPolicy::of(kind);
                    if limit == "max_crashes" {
                        policy.max_crashes
                    } else {
                        policy.max_failures
                    }
                };
                let says = format!(
                    "[default: {} to extract, {} to name]",
                    of(Kind::Extract),
                    of(Kind::Name)
                );
                assert!(help.contains(&says), "{says}: {help}");
            }
        }
    }

    #[test]
    fn a_worker_may_hand_everything_back_at_once() {
        assert_eq!(drain("0"), Ok(Duration::ZERO));
        assert!(drain("-1").is_err() && drain("1e300").is_err());
    }
}
