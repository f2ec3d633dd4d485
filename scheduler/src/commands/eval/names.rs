//! `sojourn eval names`

use std::time::Instant;

use anyhow::Result;
use futures::{StreamExt, stream};
use indicatif::ProgressBar;
use serde_json::json;
use sojourn::naming::{
    Account, Asking, Group, LlmOptions, Namer, QualityError, Results, Sample, SampleCounts,
    SampleOptions, Setting, Template,
};
use sojourn::run::RunId;
use sojourn::settings;
use sojourn::terms::SalienceParams;
use sojourn_scheduler::cli::EvalNamesArgs;
use sojourn_scheduler::progress;

use crate::commands::{Done, Output};

/// A way to name, and what is still to be named so.
struct Task<'a> {
    setting: Setting,
    namer: Namer,
    groups: Vec<&'a Group>,
}

pub async fn names(args: EvalNamesArgs, output: Output) -> Result<Done> {
    let mut salience = SalienceParams::default();
    if let Some(language) = args.language {
        salience.language = language;
    }
    let template = args.prompt.template()?;
    let options = SampleOptions {
        collections: args.collections.clone(),
        size: args.size.get(),
        seed: args.seed,
        salience,
        template: template.clone(),
    };
    // What is wrong with them is said before the collections are read, which takes a while.
    let ways = ways(&args, &template)?;
    let sample = tokio::task::spawn_blocking(move || Sample::draw(&options)).await??;
    let mut results = Results::open(&args.out, &sample)?;
    let variants = args.variants.map_or(usize::MAX, |n| n.get());
    let tasks = ways.into_iter().enumerate().map(|(at, (setting, namer))| {
        // Terms cost nothing, and the base comes after them.
        let journeys = if at < 2 { usize::MAX } else { variants };
        let groups = sample.first(journeys).iter();
        Task {
            groups: groups
                .filter(|group| !results.have(&setting, group))
                .collect(),
            setting,
            namer,
        }
    });
    let tasks: Vec<Task<'_>> = tasks.collect();
    let total = tasks.iter().map(Task::journeys).sum::<usize>();
    let is_silent = output.quiet || output.json;
    let bar = progress::bar(total as u64, "names", is_silent);
    for (at, task) in tasks.iter().enumerate() {
        bar.set_prefix(format!("{} of {}", at + 1, tasks.len()));
        let begun = Instant::now();
        name(
            task,
            sample.seed,
            args.concurrency.get(),
            &mut results,
            &bar,
        )
        .await?;
        if !is_silent {
            let (names, seconds) = (task.journeys(), begun.elapsed().as_secs_f64());
            bar.suspend(|| println!("{}: {names} names in {seconds:.1} s", said(&task.setting)));
        }
    }
    bar.finish_and_clear();
    print(&args, &sample.counts, tasks.len(), total, output);
    Ok(Done::Well)
}

impl Task<'_> {
    fn journeys(&self) -> usize {
        self.groups.iter().map(|group| group.journeys()).sum()
    }
}

/// Of terms, then by the model: the base, then what differs from it.
fn ways(args: &EvalNamesArgs, template: &Template) -> Result<Vec<(Setting, Namer)>> {
    let mut ways = vec![(Setting::Terms, Namer::Terms)];
    let Some((endpoint, model)) = args.endpoint.as_ref().zip(args.model.as_ref()) else {
        return Ok(ways);
    };
    let options = LlmOptions {
        endpoint: endpoint.clone(),
        model: model.clone(),
        api_key: settings::secret("SOJOURN_LLM_API_KEY", args.llm_api_key_file.as_deref())?,
        // Each way has its own.
        journeys_per_call: 1,
        requests_per_minute: args.requests_per_minute,
        fallback: None,
    };
    for asking in args.grid().askings() {
        ways.push(asking.namer(&options, template)?);
    }
    Ok(ways)
}

/// Names what is left of a task. Of each group's time counts what passed since another one was
/// done, so that the sum is the time that the task took, however many are under way.
async fn name(
    task: &Task<'_>,
    seed: u64,
    concurrency: usize,
    results: &mut Results,
    bar: &ProgressBar,
) -> Result<()> {
    // Nothing is kept of a run that is none.
    let account = Account {
        run: RunId::parse("0-0")?,
    };
    let groups = task
        .groups
        .iter()
        .map(|group| group.name(&task.setting, seed, &task.namer, &account));
    let mut named = stream::iter(groups).buffer_unordered(concurrency);
    let mut before = Instant::now();
    while let Some(trials) = named.next().await {
        let mut trials = trials.map_err(QualityError::from)?;
        let now = Instant::now();
        let seconds = now.duration_since(before).as_secs_f64();
        before = now;
        let share = seconds / trials.len().max(1) as f64;
        trials.iter_mut().for_each(|trial| trial.seconds = share);
        results.add(&trials)?;
        bar.inc(trials.len() as u64);
    }
    Ok(())
}

fn said(setting: &Setting) -> String {
    match setting {
        Setting::Terms => "terms".into(),
        Setting::Llm { model, asking, .. } => {
            let Asking {
                journeys_per_call,
                examples,
                shown,
                samples,
            } = asking;
            format!(
                "{model}, {journeys_per_call} a call, {examples} examples, {shown:?}, {samples} samples"
            )
        }
    }
}

fn print(args: &EvalNamesArgs, counts: &SampleCounts, ways: usize, named: usize, output: Output) {
    let out = args.out.display();
    if output.json {
        let out = out.to_string();
        println!(
            "{}",
            json!({"out": out, "counts": counts, "ways": ways, "named": named})
        );
        return;
    }
    if output.quiet {
        return;
    }
    let SampleCounts {
        collections,
        without_terms,
        refused,
        repeated,
        candidates,
        drawn,
    } = counts;
    println!("{out}: {drawn} of {candidates} candidates of {collections} collections");
    if *without_terms > 0 {
        println!("  left out  {without_terms}: no item has a term");
    }
    for (reason, count) in refused {
        println!("  left out  {count}: {reason}");
    }
    if *repeated > 0 {
        println!("  left out  {repeated}: another one of the file has the title");
    }
}
