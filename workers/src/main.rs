//! `sojourn-worker`: extraction and naming workers.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sojourn::connection::Redis;
use sojourn::naming::{LlmNamer, LlmOptions, Moderation, ModerationOptions, Namer};
use sojourn::queue::{Consumer, ConsumerOptions, Kind, Queues, RetryPolicy, Work};
use sojourn::settings::{self, ListenArgs, PromptArgs, RedisArgs, SettingsError};
use sojourn_workers::extraction::ExtractionWorker;
use sojourn_workers::naming::NamingWorker;

/// Works on the jobs that `sojourn serve` queues. Start as many as there are machines; stop them
/// with SIGTERM, or kill them: what they had begun is done by others.
#[derive(Parser)]
#[command(
    name = "sojourn-worker",
    version,
    after_help = "\
Examples:
  sojourn-worker extract --redis redis://queue:6379
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
        /// Where catalogues of datasets in object stores are kept
        #[arg(
            long,
            env = "SOJOURN_CACHE",
            default_value = "/var/tmp/sojourn",
            value_name = "DIR"
        )]
        cache: PathBuf,
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
    prompt: PromptArgs,
    /// Answers to each question, of which each journey gets the best name
    #[arg(
        long,
        env = "SOJOURN_LLM_SAMPLES",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=16),
        value_name = "N"
    )]
    samples: u8,
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
    /// Journeys in one call, at most
    #[arg(
        long,
        env = "SOJOURN_LLM_JOURNEYS_PER_CALL",
        default_value_t = 8,
        value_name = "N"
    )]
    journeys_per_call: usize,
    /// Calls per minute that this process makes, at most
    #[arg(
        long,
        env = "SOJOURN_LLM_REQUESTS_PER_MINUTE",
        default_value = "600",
        value_name = "N"
    )]
    requests_per_minute: NonZeroU32,
    /// Naming jobs worked on at once
    #[arg(
        long,
        env = "SOJOURN_NAME_CONCURRENCY",
        default_value_t = 4,
        value_name = "N"
    )]
    concurrency: usize,
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
            let work = ExtractionWorker::new(&redis, queues.name, cache);
            let consumer =
                Consumer::new(queues.extract, worker.options(Kind::Extract, concurrency));
            consume(&redis, consumer, work, worker.listen, cli.owned).await
        }
        Command::Name { worker, naming } => {
            // First: what is wrong with it is wrong whether or not there is a Redis.
            let namer = namer(&naming)?;
            let (redis, queues) = connect(&cli.redis).await?;
            let work = NamingWorker::new(&redis, namer);
            let consumer =
                Consumer::new(queues.name, worker.options(Kind::Name, naming.concurrency));
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

fn namer(args: &NamingArgs) -> anyhow::Result<Namer> {
    let kind = args.namer.unwrap_or(match args.endpoint {
        Some(_) => NamerKind::Llm,
        None => NamerKind::Terms,
    });
    if kind == NamerKind::Terms {
        return Ok(Namer::Terms);
    }
    let (Some(endpoint), Some(model)) = (&args.endpoint, &args.model) else {
        let needs = "--namer llm needs --endpoint URL and --model NAME (or SOJOURN_LLM_ENDPOINT \
                     and SOJOURN_LLM_MODEL)";
        return Err(SettingsError::Usage(needs.into()).into());
    };
    let key = settings::secret("SOJOURN_LLM_API_KEY", args.llm_api_key_file.as_deref())?;
    let options = LlmOptions {
        endpoint: endpoint.clone(),
        model: model.clone(),
        api_key: key,
        journeys_per_call: args.journeys_per_call,
        requests_per_minute: args.requests_per_minute,
    };
    let template = args.prompt.template()?;
    tracing::info!(
        version = template.version(),
        hash = template.hash(),
        "prompt"
    );
    let mut namer = LlmNamer::new(options)?
        .with_template(template)
        .with_samples(args.samples.into());
    if let Some(endpoint) = &args.moderation {
        let key_file = args.moderation_api_key_file.as_deref();
        namer = namer.with_moderation(Moderation::new(ModerationOptions {
            endpoint: endpoint.clone(),
            model: args.moderation_model.clone(),
            api_key: settings::secret("SOJOURN_MODERATION_API_KEY", key_file)?,
        })?);
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
