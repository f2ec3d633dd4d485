//! `sojourn eval report`

mod plots;
mod table;
mod tables;

use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sojourn::evaluation::{EvaluationError, Folder, NextItem, Summary, UserFigures};
use sojourn_scheduler::cli::EvalReportArgs;

use self::table::Table;
use self::tables::{Kind, MAIN_SCORES};
use crate::commands::{Done, Output};

/// Everything that an evaluation has found.
#[derive(Debug, Serialize)]
struct Report {
    mixes: Summary,
    users: Vec<(String, UserFigures)>,
    next: Vec<(String, NextItem)>,
}

pub fn report(args: &EvalReportArgs, output: Output) -> Result<Done> {
    let folder = Folder::new(&args.folder);
    let report = Report {
        mixes: Summary::of(&folder, args.half.into())?,
        users: figures(&folder, "users")?,
        next: figures(&folder, "next")?,
    };
    let tables = report.tables();
    let markdown = report.markdown(&tables);
    folder.write("report.json", &report)?;
    folder.write_text("report.md", &markdown)?;
    folder.write_text("report.html", &report.html(&tables)?)?;
    if output.json {
        println!("{}", serde_json::to_string(&report)?);
    } else if !output.quiet {
        println!("{}", markdown.trim_end());
    }
    Ok(Done::Well)
}

/// The figures of all datasets, by name.
fn figures<T: DeserializeOwned>(
    folder: &Folder,
    kind: &str,
) -> Result<Vec<(String, T)>, EvaluationError> {
    let names = folder.names(kind)?.into_iter();
    names
        .map(|name| {
            let figures = folder.read(&format!("{kind}/{name}.json"))?;
            Ok((name, figures))
        })
        .collect()
}

impl Report {
    fn tables(&self) -> Vec<Table> {
        let mut tables = tables::of_mixes(&self.mixes);
        if !self.users.is_empty() {
            tables.push(tables::of_users(&self.users));
        }
        if !self.next.is_empty() {
            tables.push(tables::of_next(&self.next));
        }
        tables
    }

    fn about(&self) -> String {
        let half = self.mixes.half.as_str();
        let sources = self.mixes.sources.join(", ");
        format!(
            "Mixes of the {half} half of {sources}; seed {}.",
            self.mixes.seed
        )
    }

    fn markdown(&self, tables: &[Table]) -> String {
        let tables: Vec<String> = tables.iter().map(Table::markdown).collect();
        format!("# Journeys\n\n{}\n\n{}", self.about(), tables.join("\n"))
    }

    fn html(&self, tables: &[Table]) -> Result<String> {
        let mut plots = String::new();
        for (score, name) in MAIN_SCORES {
            for kind in Kind::all(&self.mixes) {
                plots.push_str(&plots::scores(&self.mixes, kind, score, name)?);
            }
        }
        plots.push_str(&plots::speed(&self.mixes)?);
        let tables: Vec<String> = tables.iter().map(Table::html).collect();
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <title>Journeys</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Journeys</h1>\n\
             <p>{}</p>\n<div class=\"plots\">\n{plots}\n</div>\n{}</body>\n</html>\n",
            table::escaped(&self.about()),
            tables.join("\n")
        ))
    }
}

const STYLE: &str = "\
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 1320px; padding: 0 1em; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(480px, 1fr)); gap: 1em; }
.plots svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .2em .7em; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
";
