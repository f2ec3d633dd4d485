//! What is assumed of a population, of the machines, and of what everything costs.
//!
//! All of it stands in one table, each with its unit and where it comes from; docs/scale.md says how what
//! is measured was measured.

use std::str::FromStr;

use serde::Serialize;

/// One assumption.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// What it is called.
    pub name: &'static str,
    /// What it says, with its unit.
    pub meaning: &'static str,
    /// Where it comes from, if nobody says otherwise.
    pub source: &'static str,
    values: Values,
    of: fn(&Figures) -> f64,
    change: fn(&mut Figures) -> &mut f64,
}

impl Figure {
    /// What is assumed.
    pub fn value(&self, figures: &Figures) -> f64 {
        (self.of)(figures)
    }
}

/// What a figure may be.
#[derive(Clone, Copy, Debug)]
enum Values {
    /// Nothing or more.
    Amount,
    /// More than nothing.
    Positive,
    /// A part of one, which may be nothing.
    Part,
    /// A part of one, and more than nothing.
    PositivePart,
    /// A whole number, perhaps none.
    Whole,
    /// One or more.
    Count,
}

impl Values {
    /// Nothing that is reckoned with it becomes infinite.
    const MOST: f64 = 1e9;
    /// The least that something positive is, so that what is divided by it stays finite.
    const LEAST: f64 = 1e-6;
    /// The most of what is whole: more cores, or replicas, has nothing.
    const MOST_WHOLE: f64 = 1024.0;

    fn check(self, value: f64) -> Result<(), String> {
        let (least, most) = match self {
            Values::Amount => (0.0, Values::MOST),
            Values::Positive => (Values::LEAST, Values::MOST),
            Values::Part => (0.0, 1.0),
            Values::PositivePart => (Values::LEAST, 1.0),
            Values::Whole => (0.0, Values::MOST_WHOLE),
            Values::Count => (1.0, Values::MOST_WHOLE),
        };
        let is_whole = matches!(self, Values::Whole | Values::Count);
        if (least..=most).contains(&value) && (!is_whole || value.fract() == 0.0) {
            return Ok(());
        }
        let number = if is_whole { "whole number" } else { "number" };
        Err(format!("must be a {number} from {least} to {most}"))
    }
}

macro_rules! figures {
    ($($name:ident: $values:ident = $default:literal, $meaning:literal, $source:literal;)*) => {
        /// The assumptions. The names of the fields are those of the [figures](Figures::ALL).
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub struct Figures {
            $(#[doc = $meaning] pub $name: f64,)*
        }

        impl Default for Figures {
            fn default() -> Self {
                Figures { $($name: $default,)* }
            }
        }

        impl Figures {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Figure] = &[$(Figure {
                name: stringify!($name),
                meaning: $meaning,
                source: $source,
                values: Values::$values,
                of: |figures| figures.$name,
                change: |figures| &mut figures.$name,
            },)*];
        }
    };
}

figures! {
    // The population.
    items_per_user: Positive = 100.0, "items in a history, in the mean", "assumed";
    journeys_per_user: Positive = 4.3, "journeys of a user, in the mean", "measured";
    catalogue_items: Amount = 10_000_000.0, "items in the catalogue", "assumed";
    shared_names: Part = 0.11, "share of journeys that get the name of an equal one", "of MovieTweetings";
    // What is wanted.
    hours: Positive = 1.0, "hours that finding everybody's journeys may take", "assumed";
    busy: PositivePart = 0.7, "share of its time that a core is planned to be busy", "assumed";
    // Machines.
    machine_cores: Count = 16.0, "cores of a machine for workers", "assumed";
    worker_cores: Count = 2.0, "cores of a worker process", "assumed";
    worker_mb: Amount = 57.0, "MB of a worker process of two threads, without the catalogue", "measured";
    shard_gb: Positive = 32.0, "GB of memory of a Redis server", "assumed";
    shard_full: PositivePart = 0.6, "share of that for data, the rest for rewrites and buffers", "assumed";
    replicas: Whole = 1.0, "replicas of each shard", "assumed";
    round_trip_ms: Amount = 0.5, "ms from a worker to Redis and back", "assumed";
    storage_ms: Amount = 30.0, "ms until a shard of the dataset is read", "assumed";
    // Workers.
    extract_us_per_item: Amount = 1.27, "us of a core for each item of a history", "measured";
    deliver_us_per_user: Amount = 121.0, "us of a core to read, match and write a user", "measured";
    ingest_us_per_row: Amount = 2.0, "us of a core for each interaction at ingest", "assumed";
    // Redis.
    redis_us_per_user: Positive = 70.0, "us of a shard for a user alone in a transaction", "measured";
    redis_us_grouped: Positive = 23.5, "us of a shard for a user where 37 share a transaction", "measured";
    redis_us_per_job: Amount = 80.0, "us of a shard to queue a naming job, of 50 users", "measured";
    memory_per_user: Amount = 700.0, "bytes of Redis for a user", "measured";
    memory_per_journey: Amount = 880.0, "bytes of Redis for a journey", "measured";
    memory_per_item: Amount = 23.8, "bytes of Redis for an item of a history", "measured";
    memory_per_name: Amount = 190.0, "bytes of Redis for a name that may be shared", "measured";
    wire_per_user: Amount = 1_730.0, "bytes to Redis for a user beside what is stored", "measured";
    // Storage.
    input_bytes: Amount = 9.0, "bytes of an interaction in Parquet, as it comes", "measured";
    shard_bytes: Amount = 11.1, "bytes of an interaction in a dataset", "measured";
    catalogue_bytes: Amount = 158.0, "bytes of an item in the catalogue", "measured";
    // Naming by a model.
    tokens_same: Amount = 732.0, "tokens that are the same in every question", "counted";
    tokens_per_journey: Amount = 121.0, "tokens of a question for each of its journeys", "counted";
    tokens_of_name: Amount = 19.6, "tokens of an answer for each journey", "counted";
    calls_full: PositivePart = 0.79, "share of --journeys-per-call that calls of several have", "counted";
    name_worker_us: Amount = 41.7, "us of a core of a naming worker for a name", "measured";
    name_redis_us: Amount = 30.5, "us of a shard for a name", "measured";
}

impl Figures {
    /// Assumes something else.
    pub fn assume(&mut self, assumption: Assumption) {
        *(assumption.figure.change)(self) = assumption.value;
    }

    /// Microseconds of a worker's core for each user.
    pub fn worker_us_per_user(&self) -> f64 {
        self.items_per_user * self.extract_us_per_item + self.deliver_us_per_user
    }

    /// Bytes of Redis for each user.
    pub fn memory_of_user(&self) -> f64 {
        self.memory_per_user
            + self.journeys_per_user * self.memory_per_journey
            + self.items_per_user * self.memory_per_item
    }

    /// Bytes to Redis for each user.
    pub fn wire_of_user(&self) -> f64 {
        self.memory_of_user() + self.wire_per_user
    }
}

/// Another value for a figure: `NAME=VALUE`.
#[derive(Clone, Copy, Debug)]
pub struct Assumption {
    figure: &'static Figure,
    value: f64,
}

impl Assumption {
    /// Of which figure.
    pub fn name(&self) -> &'static str {
        self.figure.name
    }
}

impl FromStr for Assumption {
    type Err = String;

    fn from_str(text: &str) -> Result<Assumption, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or("must be NAME=VALUE, such as hours=4")?;
        let figure = Figures::ALL.iter().find(|figure| figure.name == name);
        let figure = figure.ok_or_else(|| {
            let names: Vec<&str> = Figures::ALL.iter().map(|figure| figure.name).collect();
            format!(
                "no assumption is called {name:?}; they are {}",
                names.join(", ")
            )
        })?;
        let value: f64 = value
            .parse()
            .map_err(|_| format!("{name}: {value:?} is no number"))?;
        let checked = figure.values.check(value);
        checked.map_err(|bound| format!("{name} {bound}, not {value}"))?;
        Ok(Assumption { figure, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Assumption, String> {
        text.parse()
    }

    #[test]
    fn a_figure_is_replaced_by_its_name() {
        let mut figures = Figures::default();
        figures.assume(parsed("items_per_user=40").unwrap());
        figures.assume(parsed("replicas=0").unwrap());
        let expected = Figures {
            items_per_user: 40.0,
            replicas: 0.0,
            ..Figures::default()
        };
        assert_eq!(figures, expected);
    }

    #[test]
    fn what_cannot_be_assumed_is_refused_with_the_name_and_the_bound() {
        for (text, said) in [
            ("hours", "NAME=VALUE"),
            ("days=2", "items_per_user"),
            ("hours=soon", "\"soon\" is no number"),
            (
                "catalogue_items=1e10",
                "catalogue_items must be a number from 0 to 1000000000",
            ),
            ("hours=0", "hours must be a number from 0.000001"),
            ("hours=NaN", "hours must be"),
            ("hours=inf", "hours must be"),
            (
                "busy=1.5",
                "busy must be a number from 0.000001 to 1, not 1.5",
            ),
            ("replicas=0.5", "replicas must be a whole number from 0"),
            (
                "worker_cores=0",
                "worker_cores must be a whole number from 1",
            ),
            (
                "shared_names=-0.1",
                "shared_names must be a number from 0 to 1",
            ),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn every_default_may_be_assumed() {
        let figures = Figures::default();
        for figure in Figures::ALL {
            let text = format!("{}={}", figure.name, figure.value(&figures));
            assert_eq!(parsed(&text).unwrap().value, figure.value(&figures));
        }
    }
}
