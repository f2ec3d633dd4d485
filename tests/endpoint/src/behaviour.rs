//! What the endpoint is told to do.

use serde::Deserialize;

/// How the endpoint behaves; by default instantly and well.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    pub latency: Latency,
    pub limits: Limits,
    /// Of several that fit a request, the first does.
    pub faults: Vec<Fault>,
    pub batches: Batches,
}

/// How long an answer takes: log-normal, as the times of real ones nearly are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    pub median_ms: f64,
    pub sigma: f64,
}

/// What is let through in any 60 seconds; the rest gets 429.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub requests: Option<u64>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    /// Whether a 429 says when to come back, and every answer what is left.
    pub headers: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests: None,
            input_tokens: None,
            output_tokens: None,
            headers: true,
        }
    }
}

/// Something that goes wrong, and when.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub what: What,
    /// Which requests it strikes.
    #[serde(default)]
    pub on: On,
    /// Of those, this share.
    #[serde(default = "all")]
    pub share: f64,
    /// Of those, so many at most.
    pub times: Option<u64>,
    /// Only questions that hold this text.
    pub mentions: Option<String>,
    /// Only questions with more journeys.
    pub over_journeys: Option<usize>,
}

fn all() -> f64 {
    1.0
}

/// A kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// A chat completion.
    #[default]
    Question,
    /// A question in a batch.
    Line,
    /// The upload of a file.
    Upload,
    /// The creation of a batch.
    Create,
    /// A look at a batch, or at all of them.
    Poll,
    /// The content of a file.
    Fetch,
}

/// What goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// Another status than 200.
    Status {
        status: u16,
        #[serde(default)]
        body: String,
        /// In seconds.
        retry_after: Option<f64>,
    },
    /// 429 and no money.
    Quota,
    /// 400 by a filter.
    Filter,
    /// 400 for want of context.
    Overflow,
    /// It is done, and no answer comes.
    Hang,
    /// It is done, and the answer ends in the middle.
    Cut,
    /// 200 with something else than JSON.
    Html,
    /// A completion whose text is no JSON.
    Garbled,
    /// A completion that its limit of tokens ended in the middle.
    Truncated,
    /// A completion that a filter ended before it began.
    Withheld,
    /// Two names under each other's ids.
    Swapped,
    /// A journey without a name.
    Missing,
    /// A journey with two names.
    Doubled,
    /// A name for a journey that nobody asked for.
    Extra,
    /// An apology.
    Refusal,
    /// The name that a title asks for, for every journey.
    Obeys { name: String },
}

/// How batches go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batches {
    /// How long one takes.
    pub seconds: f64,
    /// So many lines are done, and the rest expires.
    pub expires_after: Option<usize>,
    /// The whole batch fails when it is looked at first.
    pub fails: bool,
    /// After so many seconds the list shows a new one.
    pub listed_after: f64,
    /// No answer says how many tokens it took.
    pub uncounted: bool,
    /// There is a file, and nothing in it, where others have none.
    pub empty_files: bool,
}
