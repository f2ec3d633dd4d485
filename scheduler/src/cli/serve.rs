//! Options of `sojourn serve`.

use std::time::Duration;

use clap::Args;
use sojourn::settings::{self, ListenArgs};

/// Options of `sojourn serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Jobs queued in each lane of each partition, at most
    #[arg(
        long,
        env = "SOJOURN_QUEUE_DEPTH",
        default_value_t = 64,
        value_name = "N"
    )]
    pub queue_depth: u64,
    /// Naming jobs, of up to 50 users each, that may wait before extraction waits for them
    #[arg(
        long,
        env = "SOJOURN_NAMING_BACKLOG",
        default_value_t = 10_000,
        value_name = "N"
    )]
    pub naming_backlog: u64,
    /// Seconds of silence after which another scheduler takes the lead over
    #[arg(long, env = "SOJOURN_LEAD", default_value = "10",
          value_parser = lead, value_name = "SECONDS")]
    pub lead: Duration,
    /// Whether and where it says how it is.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Stop when standard input ends, too.
    #[arg(long, hide = true)]
    pub owned: bool,
}

/// A lead that ends within a second is lost to the first pause of a busy machine.
fn lead(text: &str) -> Result<Duration, String> {
    settings::seconds(text, 1.0..=settings::DAY)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};
    use crate::scheduler::SchedulerOptions;

    #[test]
    fn the_lead_lasts_as_long_as_the_scheduler_says_unless_told_otherwise() {
        let cli = Cli::try_parse_from(["sojourn", "serve"]).unwrap();
        let Command::Serve(args) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(args.lead, SchedulerOptions::LEAD);
    }
}
