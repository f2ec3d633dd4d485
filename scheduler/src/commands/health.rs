//! `sojourn health`

use std::net::SocketAddr;

use anyhow::Result;
use sojourn::health::Report;
use sojourn::settings;
use sojourn_scheduler::code::CommandError;

use super::{Done, Output};

pub async fn health(address: SocketAddr, output: Output) -> Result<Done> {
    let report = settings::ask(address).await?;
    if output.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    if !report.healthy {
        return Err(CommandError::Unhealthy(line(&report)).into());
    }
    if !output.json {
        println!("{}", line(&report));
    }
    Ok(Done::Well)
}

/// The report for people, in one line.
fn line(report: &Report) -> String {
    let verdict = match report.healthy {
        true => "is healthy".to_owned(),
        false => format!(
            "is unhealthy: no fetch for {:.0} s",
            report.unhealthy_after_seconds
        ),
    };
    let waiting = match &report.waiting_for {
        None => String::new(),
        Some(what) => format!("; waiting: {what}"),
    };
    format!(
        "{} {} {verdict}; last fetch {:.1} s ago, {} jobs in hand{waiting}",
        report.role, report.worker, report.last_fetch_seconds_ago, report.working_on
    )
}
