//! How a run goes on, for people: a bar on a terminal, nothing elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sojourn::code::Coded;
use sojourn::connection::Redis;
use sojourn::queue::Queues;
use sojourn::run::RunId;

use crate::inbox;
use crate::record::{RunState, RunStatus};
use crate::register::{Register, RegisterError};

/// Between two looks at a run.
const POLL: Duration = Duration::from_millis(200);

/// How long a Redis that is away is waited for. A restart takes seconds, a failover less than this.
const REDIS_PATIENCE: Duration = Duration::from_secs(60);

/// A scheduler that runs reads a request well within this.
const NO_SCHEDULER_AFTER: Duration = Duration::from_secs(5);

/// A bar over `total` steps that shows rate and time left; hidden when standard error is no
/// terminal or `quiet`.
pub fn bar(total: u64, unit: &str, quiet: bool) -> ProgressBar {
    let target = if quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let template = format!(
        "{{prefix}} [{{bar:24}}] {{human_pos}}/{{human_len}} {unit}, {{per_sec}}, ETA {{eta}} {{msg}}"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Follows a run until it is over, through a Redis that is away for a while. `check` is asked at
/// every look whether to go on.
///
/// # Errors
/// When there is no such run, when Redis is away for too long, or when `check` says so.
pub async fn watch<E: From<RegisterError>>(
    redis: &Redis,
    queues: &Queues,
    run: &RunId,
    quiet: bool,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<RunStatus, E> {
    let register = Register::new(redis);
    let bar = bar(0, "users", quiet);
    bar.set_prefix(format!("run {run}"));
    let tell = |text: &str| bar.suspend(|| eprintln!("{text}"));
    let begun = Instant::now();
    let mut told = false;
    let mut pause: Option<String> = None;
    let mut away_since: Option<Instant> = None;
    loop {
        check()?;
        match status(&register, redis, queues, run).await {
            Ok(Some(status)) => {
                tracing::debug!(%run, "looked at a run");
                if let Some(since) = away_since.take() {
                    tell(&format!("Redis is back after {:.0?}", since.elapsed()));
                }
                show(&bar, &status);
                let paused = paused(&status);
                if paused != pause {
                    match &paused {
                        Some(what) => tell(&format!("{what}; the run waits")),
                        None if !status.record.state.is_over() => tell("the run goes on"),
                        None => {}
                    }
                    pause = paused;
                }
                if status.record.state.is_over() {
                    bar.finish_and_clear();
                    return Ok(status);
                }
            }
            Ok(None) => {
                if !told && begun.elapsed() > NO_SCHEDULER_AFTER {
                    tell("waiting for a scheduler; start one with `sojourn serve`");
                    told = true;
                }
            }
            Err(error) if error.is_redis() => {
                let since = *away_since.get_or_insert_with(|| {
                    tell(&format!("waiting for Redis: {}", error.with_code()));
                    Instant::now()
                });
                if since.elapsed() > REDIS_PATIENCE {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// How a run stands; `None` when no scheduler has read its request yet.
async fn status(
    register: &Register,
    redis: &Redis,
    queues: &Queues,
    run: &RunId,
) -> Result<Option<RunStatus>, RegisterError> {
    match register.status(run, queues).await {
        Err(RegisterError::UnknownRun(_)) if inbox::holds(redis, run).await? => Ok(None),
        // It may have been read between the two looks.
        Err(RegisterError::UnknownRun(_)) => Ok(Some(register.status(run, queues).await?)),
        status => Ok(Some(status?)),
    }
}

fn show(bar: &ProgressBar, status: &RunStatus) {
    let record = &status.record;
    let finished = status.count("users") + status.count("users_newer");
    bar.set_length(record.users.max(finished));
    bar.set_position(finished);
    let naming = match status.naming_pending {
        0 => String::new(),
        pending => format!(", {pending} naming jobs left"),
    };
    let state = match paused(status) {
        Some(what) => format!("{what}; "),
        None if record.state == RunState::Planning => "planning; ".into(),
        None => String::new(),
    };
    bar.set_message(format!(
        "({state}{}/{} shards, {} journeys, {} named, {} failures{naming})",
        status.count("done"),
        record.jobs,
        status.count("journeys"),
        status.count("named"),
        status.dead(),
    ));
}

/// What of a run is paused, if anything is: itself, or lanes that its jobs are in.
pub fn paused(status: &RunStatus) -> Option<String> {
    match status.record.state {
        RunState::Paused => return Some("paused".into()),
        RunState::Budget => return Some("what naming may cost is spent".into()),
        _ => {}
    }
    let lanes: Vec<String> = status
        .paused_lanes
        .iter()
        .map(ToString::to_string)
        .collect();
    (!lanes.is_empty() && !status.record.state.is_over())
        .then(|| format!("{} paused", lanes.join(" and ")))
}

/// How long a run took, in seconds: from its request to its end, or until now.
pub fn seconds(status: &RunStatus) -> f64 {
    let end = status.record.finished.unwrap_or_else(jiff::Timestamp::now);
    (end.as_millisecond() - status.record.created.as_millisecond()) as f64 / 1000.0
}
