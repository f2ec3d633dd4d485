//! Requests for runs, as the fields of a stream entry, which any service can write with XADD.
//!
//! The command line writes the same, so there is one way in: [`inbox`](crate::inbox).
//! `docs/redis-keys.md` documents the fields for others.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sojourn::journey::JourneyParams;
use sojourn::naming::Money;
use sojourn::queue::Lane;

/// What a run is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Backfill or recompute; decides nothing but the default lane and how it is called.
    pub kind: RunKind,
    /// Where the dataset is.
    pub dataset: String,
    /// Which users.
    pub scope: Scope,
    /// How urgent.
    pub lane: Lane,
    /// How to find journeys.
    pub parameters: JourneyParams,
    /// Seconds until results expire; none: they stay.
    pub ttl_seconds: Option<u64>,
    /// What naming may cost, to begin with; none: whatever it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Money>,
}

/// What a run is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// Everybody.
    Backfill,
    /// Some users.
    Recompute,
}

/// Which users a run is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All users of the dataset.
    All,
    /// The members of the cohort of this name, as they are when the run is planned.
    Cohort(String),
    /// Users with an interaction at or after this time.
    ActiveSince(Timestamp),
}

/// A request that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRequest(String);

/// Longest lifetime of results, in seconds: a hundred years. Redis refuses much longer ones.
pub const LONGEST_TTL: u64 = 100 * 365 * 24 * 3600;

/// The fields that a request may have.
const FIELDS: [&str; 8] = [
    "kind",
    "dataset",
    "cohort",
    "active_since",
    "lane",
    "parameters",
    "ttl",
    "budget",
];

impl Request {
    /// Reads the fields of a stream entry.
    ///
    /// # Errors
    /// Which field is missing, unknown or wrong.
    pub fn from_fields(fields: &HashMap<String, String>) -> Result<Request, InvalidRequest> {
        let invalid = |text: String| Err(InvalidRequest(text));
        if let Some(unknown) = fields
            .keys()
            .find(|field| !FIELDS.contains(&field.as_str()))
        {
            return invalid(format!(
                "unknown field {unknown:?}; fields are {}",
                FIELDS.join(", ")
            ));
        }
        let field = |name: &str| fields.get(name).map(String::as_str);
        let kind = match field("kind") {
            Some("backfill") => RunKind::Backfill,
            Some("recompute") => RunKind::Recompute,
            Some(other) => {
                return invalid(format!(
                    "kind is {other:?}, and must be backfill or recompute"
                ));
            }
            None => return invalid("field kind is missing: backfill or recompute".into()),
        };
        let Some(dataset) = field("dataset").filter(|dataset| !dataset.is_empty()) else {
            return invalid("field dataset is missing: a folder or a URL".into());
        };
        let scope = match (kind, field("cohort"), field("active_since")) {
            (RunKind::Backfill, None, None) => Scope::All,
            (RunKind::Backfill, ..) => {
                return invalid("a backfill is about everybody; use kind recompute".into());
            }
            (RunKind::Recompute, Some(cohort), None) => Scope::Cohort(cohort.into()),
            (RunKind::Recompute, None, Some(since)) => Scope::ActiveSince(parse_time(since)?),
            (RunKind::Recompute, ..) => {
                return invalid("a recompute needs either cohort or active_since".into());
            }
        };
        let lane = match (field("lane"), kind) {
            (Some("high"), _) | (None, RunKind::Recompute) => Lane::High,
            (Some("low"), _) | (None, RunKind::Backfill) => Lane::Low,
            (Some(other), _) => {
                return invalid(format!("lane is {other:?}, and must be high or low"));
            }
        };
        let parameters: JourneyParams = match field("parameters") {
            None => JourneyParams::default(),
            Some(json) => serde_json::from_str(json)
                .map_err(|error| InvalidRequest(format!("parameters: {error}")))?,
        };
        parameters
            .validate()
            .map_err(|error| InvalidRequest(format!("parameters: {error}")))?;
        let ttl_seconds = match field("ttl").map(str::parse::<u64>) {
            None => None,
            Some(Ok(seconds)) if (1..=LONGEST_TTL).contains(&seconds) => Some(seconds),
            Some(_) => {
                return invalid(format!(
                    "ttl must be a number of seconds, 1 to {LONGEST_TTL}"
                ));
            }
        };
        let budget = field("budget")
            .map(str::parse::<Money>)
            .transpose()
            .map_err(|error| InvalidRequest(format!("budget {error}")))?;
        Ok(Request {
            kind,
            dataset: dataset.into(),
            scope,
            lane,
            parameters,
            ttl_seconds,
            budget,
        })
    }

    /// The fields of a stream entry.
    pub fn to_fields(&self) -> Vec<(&'static str, String)> {
        let kind = match self.kind {
            RunKind::Backfill => "backfill",
            RunKind::Recompute => "recompute",
        };
        let lane = match self.lane {
            Lane::High => "high",
            Lane::Low => "low",
        };
        let mut fields = vec![
            ("kind", kind.to_owned()),
            ("dataset", self.dataset.clone()),
            ("lane", lane.to_owned()),
            // Plain numbers and flags; serialising them cannot fail.
            (
                "parameters",
                serde_json::to_string(&self.parameters).unwrap_or_default(),
            ),
        ];
        match &self.scope {
            Scope::All => {}
            Scope::Cohort(name) => fields.push(("cohort", name.clone())),
            Scope::ActiveSince(time) => fields.push(("active_since", time.to_string())),
        }
        if let Some(seconds) = self.ttl_seconds {
            fields.push(("ttl", seconds.to_string()));
        }
        if let Some(budget) = self.budget {
            fields.push(("budget", budget.to_string()));
        }
        fields
    }
}

/// A time as people write it: a date (midnight UTC) or RFC 3339.
///
/// # Errors
/// The text, when it is neither.
pub fn parse_time(text: &str) -> Result<Timestamp, InvalidRequest> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let midnight = text.parse::<Date>().ok().and_then(|date| {
        let midnight = date.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC);
        midnight.ok().map(|zoned| zoned.timestamp())
    });
    midnight.ok_or_else(|| {
        InvalidRequest(format!(
            "{text:?} is not a time; write 2026-11-24 or 2026-11-24T08:30:00Z"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> HashMap<String, String> {
        fields
            .iter()
            .map(|&(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        Request::from_fields(&fields(pairs))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_submitted_is_read_back() {
        let request = Request {
            kind: RunKind::Recompute,
            dataset: "s3://bucket/data".into(),
            scope: Scope::ActiveSince(parse_time("2026-01-31").unwrap()),
            lane: Lane::Low,
            parameters: JourneyParams::plain(),
            ttl_seconds: Some(60),
            budget: Some("12.5".parse().unwrap()),
        };
        let fields = request
            .to_fields()
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect();
        assert_eq!(Request::from_fields(&fields), Ok(request));
    }

    #[test]
    fn two_fields_are_enough_for_a_backfill() {
        let request =
            Request::from_fields(&fields(&[("kind", "backfill"), ("dataset", "/d")])).unwrap();
        assert_eq!((request.scope, request.lane), (Scope::All, Lane::Low));
    }

    #[test]
    fn a_request_that_makes_no_sense_says_which_field() {
        assert!(refusal(&[]).contains("kind"));
        assert!(refusal(&[("kind", "backfill")]).contains("dataset"));
        assert!(refusal(&[("kind", "recompute"), ("dataset", "d")]).contains("cohort"));
        assert!(refusal(&[("kind", "backfil"), ("dataset", "d")]).contains("backfil"));
        let typo = [("kind", "backfill"), ("dataset", "d"), ("colour", "red")];
        assert!(refusal(&typo).contains("colour"));
        let bad = [
            ("kind", "backfill"),
            ("dataset", "d"),
            ("parameters", "{\"epsilon\":2}"),
        ];
        assert!(refusal(&bad).contains("epsilon"));
        let when = [
            ("kind", "recompute"),
            ("dataset", "d"),
            ("active_since", "yesterday"),
        ];
        assert!(refusal(&when).contains("yesterday"));
        for ttl in ["0", "-1", "10000000000000000"] {
            let lifetime = [("kind", "backfill"), ("dataset", "d"), ("ttl", ttl)];
            assert!(refusal(&lifetime).contains("ttl"), "{ttl}");
        }
        let budget = [("kind", "backfill"), ("dataset", "d"), ("budget", "-1")];
        assert!(refusal(&budget).starts_with("budget must be"));
    }
}
