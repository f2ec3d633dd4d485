//! `sojourn eval mixes` and `sojourn eval journeys`

use anyhow::Result;
use serde_json::json;
use sojourn::evaluation::{
    EvaluationError, Folder, Found, Header, Method, MethodHeader, Mix, MixOptions, Prepared,
    Source, find, methods,
};
use sojourn_scheduler::cli::{EvalJourneysArgs, EvalMixesArgs, Labelled};
use sojourn_scheduler::progress;

use crate::commands::{Done, Output};

pub async fn draw(args: EvalMixesArgs, output: Output) -> Result<Done> {
    let seed = args.seed;
    let drawn = tokio::task::spawn_blocking(move || draw_all(&args)).await??;
    if output.json {
        println!("{}", serde_json::to_value(&drawn)?);
    } else if !output.quiet {
        for source in &drawn.sources {
            println!(
                "{}: {} mixes of {} items",
                source.name, source.mixes, source.items
            );
        }
        println!("seed {seed}");
    }
    Ok(Done::Well)
}

fn draw_all(args: &EvalMixesArgs) -> Result<Header, EvaluationError> {
    let options = MixOptions {
        mixes: args.mixes.get(),
        windows: args.windows.iter().map(|size| size.get()).collect(),
        seed: args.seed,
    };
    let mut drawn: Vec<(Source, Vec<Mix>)> = Vec::new();
    for (name, locations) in by_name(&args.collections) {
        drawn.push(mixed(Source::collections(&name, &locations)?, &options)?);
    }
    for (name, locations) in by_name(&args.stream) {
        drawn.push(mixed(Source::stream(&name, &locations)?, &options)?);
    }
    Folder::new(&args.out).write_mixes(&drawn, args.seed, args.mixes.get())
}

fn mixed(source: Source, options: &MixOptions) -> Result<(Source, Vec<Mix>), EvaluationError> {
    let mixes = source.draw(options);
    if mixes.is_empty() {
        return Err(EvaluationError::Source {
            name: source.name,
            reason:
                "there is too little to mix: at least four collections of six items, or a history \
                     of a few hundred items, are needed"
                    .into(),
        });
    }
    Ok((source, mixes))
}

/// All locations of each name, in the order in which the names come first.
fn by_name(labelled: &[Labelled]) -> Vec<(String, Vec<String>)> {
    let mut sources: Vec<(String, Vec<String>)> = Vec::new();
    for Labelled { name, location } in labelled {
        match sources.iter_mut().find(|(known, _)| known == name) {
            Some((_, locations)) => locations.push(location.clone()),
            None => sources.push((name.clone(), vec![location.clone()])),
        }
    }
    sources
}

pub async fn journeys(args: EvalJourneysArgs, output: Output) -> Result<Done> {
    let parameters = args.method.parameters();
    parameters.validate()?;
    let salience = args.salience.parameters()?;
    let folder = Folder::new(&args.folder);
    let header = folder.header()?;
    let methods = methods(parameters);
    let is_silent = output.quiet || output.json;
    let bar = progress::bar(
        (header.sources.len() + methods.len()) as u64,
        "steps",
        is_silent,
    );
    let work = move || -> Result<Vec<(Method, Vec<MethodHeader>)>> {
        let mut prepared = Vec::new();
        for source in &header.sources {
            bar.set_message(format!("terms of {}", source.name));
            let (mixes, items) = (folder.mixes(&source.name)?, folder.items(&source.name)?);
            prepared.push(Prepared::new(mixes, &items, &salience)?);
            bar.inc(1);
        }
        let mut done = Vec::new();
        for method in methods {
            bar.set_message(method.label);
            let found = find(&method, &prepared);
            write(&folder, &header, &method, &found)?;
            bar.inc(1);
            done.push((
                method,
                found.into_iter().map(|(header, _)| header).collect(),
            ));
        }
        bar.finish_and_clear();
        Ok(done)
    };
    let done = tokio::task::spawn_blocking(work).await??;
    if output.json {
        let methods = done
            .iter()
            .map(|(method, headers)| (method.name.to_owned(), json!(headers)));
        println!("{}", serde_json::Value::Object(methods.collect()));
    } else if !output.quiet {
        for (method, headers) in &done {
            let parameters = headers.first().map_or("", |header| &header.parameters);
            let items: u64 = headers.iter().map(|header| header.clustered_items).sum();
            let seconds: f64 = headers.iter().map(|header| header.cluster_seconds).sum();
            println!(
                "{}: {items} items in {seconds:.2} s {parameters}",
                method.label
            );
        }
    }
    Ok(Done::Well)
}

fn write(
    folder: &Folder,
    header: &Header,
    method: &Method,
    found: &[(MethodHeader, Vec<Found>)],
) -> Result<(), EvaluationError> {
    for (source, (of_method, found)) in header.sources.iter().zip(found) {
        folder.write_found(&source.name, method.name, of_method, found)?;
    }
    Ok(())
}
