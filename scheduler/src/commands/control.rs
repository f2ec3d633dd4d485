//! `sojourn pause`, `resume`, `cancel` and `budget`

use anyhow::Result;
use serde_json::json;
use sojourn::naming::Money;
use sojourn::queue::{Lane, Queue, Queues};
use sojourn::run::RunId;
use sojourn::settings::RedisArgs;
use sojourn_scheduler::cli::{LocalArgs, PauseArgs, TargetArgs};
use sojourn_scheduler::record::{PausedLane, RunState};
use sojourn_scheduler::register::{self, Register};

use super::session::Session;
use super::{Done, Output};

/// How many of the newest runs are looked at for what an earlier command has left undone.
const RECENT: usize = 1_000;

/// What a command is about.
struct Control {
    session: Session,
    queues: Queues,
    register: Register,
    output: Output,
}

impl Control {
    async fn open(redis: &RedisArgs, local: &LocalArgs, output: Output) -> Result<Control> {
        let session = Session::open(redis, local.dataset.as_deref()).await?;
        Ok(Control {
            queues: Queues::open(&session.redis).await?,
            register: Register::new(&session.redis),
            session,
            output,
        })
    }

    /// Says what became of a run.
    async fn tell(&self, id: &RunId, field: &str, well: bool, text: &str) -> Result<()> {
        let state = self.register.run(id).await?.state;
        if self.output.json {
            println!("{}", json!({"run": id, field: well, "state": state}));
        } else if well {
            println!("run {id} {text}");
        } else {
            println!("run {id} was over already: {}", state.as_str());
        }
        Ok(())
    }

    /// Says which lanes are paused now.
    async fn tell_lanes(&self) -> Result<()> {
        let paused = register::paused_lanes(&self.queues).await?;
        if self.output.json {
            println!("{}", json!({"paused_lanes": paused}));
        } else if paused.is_empty() {
            println!("no lane is paused");
        } else {
            let lanes: Vec<String> = paused.iter().map(PausedLane::to_string).collect();
            println!("paused lanes: {}", lanes.join(", "));
        }
        Ok(())
    }

    /// The queues and lanes that are meant, if it is no run.
    fn lanes(&self, args: &PauseArgs) -> Vec<(&Queue, Lane)> {
        let lanes = match args.target.lane {
            Some(lane) => vec![lane.into()],
            None => Lane::ALL.to_vec(),
        };
        let queues = [&self.queues.extract, &self.queues.name];
        let meant = |queue: &&Queue| args.kind.is_none_or(|kind| queue.kind() == kind.into());
        let queues = queues.into_iter().filter(meant);
        queues
            .flat_map(|queue| lanes.iter().map(move |&lane| (queue, lane)))
            .collect()
    }
}

pub async fn pause(redis: &RedisArgs, args: &PauseArgs, output: Output) -> Result<Done> {
    let control = Control::open(redis, &args.local, output).await?;
    if let Some(id) = &args.target.id {
        let paused = control.register.pause(id, &control.queues).await?;
        let text = "is paused; what workers hold is finished";
        control.tell(id, "paused", paused, text).await?;
    } else {
        for (queue, lane) in control.lanes(args) {
            queue.pause_lane(lane).await?;
        }
        control.tell_lanes().await?;
    }
    control.session.close().await;
    Ok(Done::Well)
}

pub async fn resume(redis: &RedisArgs, args: &PauseArgs, output: Output) -> Result<Done> {
    let control = Control::open(redis, &args.local, output).await?;
    if let Some(id) = &args.target.id {
        let resumed = control.register.resume(id, &control.queues).await?;
        control.tell(id, "resumed", resumed, "goes on").await?;
    } else {
        for (queue, lane) in control.lanes(args) {
            queue.resume_lane(lane).await?;
        }
        control.tell_lanes().await?;
    }
    control.session.close().await;
    Ok(Done::Well)
}

pub async fn budget(
    redis: &RedisArgs,
    local: &LocalArgs,
    id: &RunId,
    amount: Money,
    output: Output,
) -> Result<Done> {
    let control = Control::open(redis, local, output).await?;
    let ledger = control.register.set_budget(id, amount).await?;
    if output.json {
        let spent = ledger.money;
        println!("{}", json!({"run": id, "budget": amount, "money": spent}));
    } else {
        println!("run {id} may cost {amount}; {} is spent", ledger.money);
    }
    control.session.close().await;
    Ok(Done::Well)
}

pub async fn cancel(
    redis: &RedisArgs,
    local: &LocalArgs,
    target: &TargetArgs,
    output: Output,
) -> Result<Done> {
    let control = Control::open(redis, local, output).await?;
    let (register, queues) = (&control.register, &control.queues);
    if let Some(id) = &target.id {
        let cancelled = register.cancel(id, queues).await?;
        let text = "is cancelled; results that it wrote stay";
        control.tell(id, "cancelled", cancelled, text).await?;
    } else {
        let lane: Option<Lane> = target.lane.map(Lane::from);
        let mut cancelled = Vec::new();
        let mut records = register.active_runs().await?;
        // Those of a command like this that was cut short: their jobs may be in the queues still.
        let recent = register.runs(RECENT).await?.into_iter();
        records.extend(recent.filter(|record| record.state == RunState::Cancelled));
        for record in records {
            let of_lane = record.request.as_ref().map(|request| request.lane);
            let meant = lane.is_none() || of_lane == lane;
            if meant && register.cancel(&record.id, queues).await? {
                cancelled.push(record.id);
            }
        }
        if output.json {
            println!("{}", json!({"cancelled": cancelled}));
        } else {
            println!(
                "{} runs are cancelled; results that they wrote stay",
                cancelled.len()
            );
            for id in cancelled {
                println!("  {id}");
            }
        }
    }
    control.session.close().await;
    Ok(Done::Well)
}
