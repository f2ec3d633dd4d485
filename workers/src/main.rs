//! `sojourn-worker`: extraction and naming workers.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sojourn::connection::Redis;
use sojourn::naming::{LlmNamer, LlmOptions, Namer};
use sojourn::queue::{
    Consumer, ConsumerOptions, DEFAULT_PARTITIONS, Kind, Queue, QueueError, RetryPolicy, Work,
    partitions,
};
use sojourn::settings::{self, EXIT_INPUT, EXIT_REDIS, RedisArgs, SettingsError};
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

Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage, 3 Redis unusable"
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
        naming: NamingArgs,
    },
}

#[derive(Args)]
struct WorkerArgs {
    /// Seconds of silence after which another worker takes a job over
    #[arg(long, env = "SOJOURN_LEASE", default_value = "30", value_parser = seconds,
          value_name = "SECONDS")]
    lease: Duration,
    /// Seconds in which begun jobs may be finished after SIGTERM; the rest is handed back
    #[arg(long, env = "SOJOURN_DRAIN", default_value = "8", value_parser = seconds,
          value_name = "SECONDS")]
    drain: Duration,
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
    #[arg(long, env = "SOJOURN_LLM_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// Model to ask for
    #[arg(long, env = "SOJOURN_LLM_MODEL", value_name = "NAME")]
    model: Option<String>,
    /// File that holds the endpoint's key
    #[arg(long, env = "SOJOURN_LLM_API_KEY_FILE", value_name = "FILE")]
    llm_api_key_file: Option<PathBuf>,
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
    settings::run("info", program, exit_code)
}

/// Whatever goes wrong goes wrong before the work begins; afterwards, errors are those of jobs.
fn exit_code(error: &anyhow::Error) -> u8 {
    let settings = error.downcast_ref::<SettingsError>();
    match settings {
        Some(SettingsError::Connect(_) | SettingsError::NoRedis) => EXIT_REDIS,
        _ if error.is::<QueueError>() => EXIT_REDIS,
        _ => EXIT_INPUT,
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let redis = cli.redis.connect().await?;
    let partitions = partitions(&redis, DEFAULT_PARTITIONS).await?;
    let queue = |kind| Queue::new(redis.clone(), kind, partitions);
    match cli.command {
        Command::Extract {
            worker,
            concurrency,
            cache,
        } => {
            let work = ExtractionWorker::new(&redis, queue(Kind::Name), cache);
            consume(
                &redis,
                queue(Kind::Extract),
                work,
                worker,
                concurrency,
                cli.owned,
            )
            .await;
        }
        Command::Name { worker, naming } => {
            let work = NamingWorker::new(&redis, namer(&naming)?);
            consume(
                &redis,
                queue(Kind::Name),
                work,
                worker,
                naming.concurrency,
                cli.owned,
            )
            .await;
        }
    }
    Ok(())
}

async fn consume<W: Work>(
    redis: &Redis,
    queue: Queue,
    work: W,
    args: WorkerArgs,
    concurrency: usize,
    owned: bool,
) {
    let kind = queue.kind();
    let options = ConsumerOptions {
        concurrency,
        lease: args.lease,
        drain: args.drain,
        retry: RetryPolicy::default(),
    };
    let consumer = Consumer::new(queue, options);
    let server = redis.server();
    tracing::info!(%kind, worker = consumer.worker(), server = %format!("{} {}", server.name, server.version), "ready");
    let summary = consumer
        .run(Arc::new(work), settings::stop_signal(owned))
        .await;
    tracing::info!(%kind, ?summary, "stopped");
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
        anyhow::bail!(
            "--namer llm needs --endpoint URL and --model NAME (or SOJOURN_LLM_ENDPOINT and \
             SOJOURN_LLM_MODEL)"
        );
    };
    let key = settings::secret("SOJOURN_LLM_API_KEY", args.llm_api_key_file.as_deref())?;
    let options = LlmOptions {
        endpoint: endpoint.clone(),
        model: model.clone(),
        api_key: key,
        journeys_per_call: args.journeys_per_call,
        requests_per_minute: args.requests_per_minute,
    };
    Ok(Namer::Llm(Box::new(LlmNamer::new(options)?)))
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds.is_finite() => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("must be a number of seconds above 0".into()),
    }
}
