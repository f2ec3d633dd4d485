//! What a name costs a worker, beside what it costs to send and receive it: one `sojourn-worker name`
//! against an endpoint that answers at once, with nothing in the name cache and no limit that it
//! reaches, and a plain loop that sends the same questions and reads the same answers. Then what the
//! shared limits cost a call.
//!
//! Worker, endpoint, Redis and whatever else the machine does share its cores, so that names per
//! second say less than names per second of the worker's own CPU time: names per core.
//!
//! `make bench` builds the programs that this measures.

mod cost;
mod limiter;
mod plain;
mod worker;

#[path = "../../tests/support/faulty.rs"]
mod faulty;
#[path = "../../tests/support/llm.rs"]
mod llm;
#[path = "../shared/process.rs"]
mod process;
#[path = "../../tests/support/mod.rs"]
mod support;

use cost::Cost;

/// How an operator would run a worker for an endpoint that is this fast.
pub const CONCURRENCY: usize = 32;
pub const JOURNEYS_PER_CALL: usize = 16;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, rest @ ..] = arguments.as_slice()
        && mode == plain::MODE
    {
        return plain::run(rest).await;
    }
    sojourn::settings::install_tls();
    let worker::Measured {
        worker,
        endpoint,
        redis,
        plain,
    } = worker::measure().await;
    println!("\nnaming, {CONCURRENCY} jobs at once, {JOURNEYS_PER_CALL} journeys in a call:");
    println!(
        "{:<34} {:>9} {:>16} {:>14}",
        "", "names/s", "names/s per core", "cores busy"
    );
    let row = |what: &str, Cost { names, wall, cpu }: Cost| {
        let (wall, cpu) = (wall.as_secs_f64(), cpu.as_secs_f64());
        println!(
            "{what:<34} {:>9.0} {:>16.0} {:>14.2}",
            names as f64 / wall,
            names as f64 / cpu,
            cpu / wall
        );
    };
    row("sojourn-worker name", worker);
    row("  its Redis", redis);
    row("  its endpoint", endpoint);
    row("plain loop, nothing checked", plain);
    println!(
        "a name takes {:.1} times the CPU time of the plain loop",
        worker.per_name() / plain.per_name()
    );
    limiter::measure().await;
}
