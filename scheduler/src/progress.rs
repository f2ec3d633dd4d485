//! How a run goes on, for people: a bar on a terminal, nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sojourn::run::RunId;

use crate::register::{Queues, Register, RegisterError, RunState, RunStatus};

/// Between two looks at a run.
const POLL: Duration = Duration::from_millis(200);

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

/// Follows a run until it is over. `check` is asked at every look whether to go on.
///
/// # Errors
/// When Redis fails or `check` says so.
pub async fn watch<E: From<RegisterError>>(
    register: &Register,
    queues: &Queues,
    run: &RunId,
    quiet: bool,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<RunStatus, E> {
    let bar = bar(0, "users", quiet);
    bar.set_prefix(format!("run {run}"));
    loop {
        check()?;
        let status = register.status(run, queues).await?;
        show(&bar, &status);
        if status.record.state.is_over() {
            bar.finish_and_clear();
            return Ok(status);
        }
        tokio::time::sleep(POLL).await;
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
    let planning = if record.state == RunState::Planning {
        "planning; "
    } else {
        ""
    };
    bar.set_message(format!(
        "({planning}{}/{} shards, {} journeys, {} named, {} failures{naming})",
        status.count("done"),
        record.jobs,
        status.count("journeys"),
        status.count("named"),
        status.dead(),
    ));
}

/// How long a run took, in seconds: from its request to its end, or until now.
pub fn seconds(status: &RunStatus) -> f64 {
    let end = status.record.finished.unwrap_or_else(jiff::Timestamp::now);
    (end.as_millisecond() - status.record.created.as_millisecond()) as f64 / 1000.0
}
