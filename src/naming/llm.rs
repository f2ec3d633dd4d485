//! Names by a language model: what is asked together, and what becomes of the answers.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::answer::{check, parse};
use super::batch::{BatchOptions, Batches};
use super::endpoint::{Endpoint, LlmError, LlmOptions, Patience, Reply};
use super::grounding::Heard;
use super::limits::{Account, LimitOptions};
use super::prompt::{Asked, AskedUser, messages, schema};
use super::taken::Taken;
use super::terms::name_besides;
use super::transport::Transport;
use super::{Name, NamingCounts, Rejection, Unnamed};
use crate::connection::Redis;
use crate::journey::NameSource;

/// Tokens that one name needs at most, with its id and the JSON around it.
const TOKENS_PER_NAME: usize = 40;

/// Asks a model for names.
#[derive(Debug)]
pub struct LlmNamer {
    transport: Transport,
    model: String,
    journeys_per_call: usize,
}

/// Position of a journey in the input: (user, journey).
type Place = (usize, usize);

/// Journeys of one user in a call, and the names that it is told are taken.
type Group<'a> = (&'a [Place], Vec<&'a str>);

/// Names found so far, as `users[u].journeys[j]`.
type Found = Vec<Vec<Option<Name>>>;

impl LlmNamer {
    /// A namer for an endpoint. Nothing is sent yet. The process needs a rustls crypto provider
    /// (`settings::install_tls`), even where the endpoint speaks plain HTTP.
    ///
    /// # Errors
    /// When the endpoint is not a URL, or the key cannot be sent.
    pub fn new(options: LlmOptions) -> Result<LlmNamer, LlmError> {
        let transport = Transport::Calls(Endpoint::new(&options)?);
        Ok(LlmNamer::over(transport, options))
    }

    /// A namer that asks by batches, for half the price and within a day; the fallback is not for it.
    /// Redis knows what is asked in which batch. Needs a Tokio runtime, and the rest as [`Self::new`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn by_batches(
        options: LlmOptions,
        redis: &Redis,
        times: BatchOptions,
    ) -> Result<LlmNamer, LlmError> {
        let transport = Transport::Batches(Batches::new(&options, redis, times)?);
        Ok(LlmNamer::over(transport, options))
    }

    fn over(transport: Transport, options: LlmOptions) -> LlmNamer {
        LlmNamer {
            transport,
            model: options.model,
            journeys_per_call: options.journeys_per_call.max(1),
        }
    }

    pub(super) fn is_slow(&self) -> bool {
        matches!(self.transport, Transport::Batches(_))
    }

    /// Waits for the model longer or shorter than by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> LlmNamer {
        self.transport.set_patience(patience);
        self
    }

    /// Shares limits with all processes that ask the same model of the same endpoint.
    pub fn share_limits(&mut self, redis: &Redis, options: LimitOptions) {
        self.transport.share_limits(redis, options);
    }

    /// Tells the limits what is known of calls, so that the ledgers of runs are complete.
    pub(super) async fn flush(&self) -> Result<(), redis::RedisError> {
        self.transport.flush().await
    }

    pub(super) fn batch_size(&self) -> usize {
        self.journeys_per_call
    }

    /// Names the journeys of some users. What failed the checks is asked again by halves, down to
    /// single journeys; what fails alone gets a name made of its terms.
    pub(super) async fn name(
        &self,
        users: &[Unnamed<'_>],
        account: &Account,
    ) -> Result<(Vec<Vec<Name>>, NamingCounts), LlmError> {
        let mut counts = NamingCounts::default();
        let mut found: Found = users
            .iter()
            .map(|user| vec![None; user.journeys.len()])
            .collect();
        let mut given: Vec<Taken> = users
            .iter()
            .map(|user| user.taken.iter().copied().collect())
            .collect();
        // Journeys that were given the name of a sibling. Only they are told which names are taken:
        // small models imitate what they are told to avoid.
        let mut clashed: HashSet<Place> = HashSet::new();
        let mut batches = self.batches(users);
        while let Some(batch) = batches.pop() {
            let groups: Vec<Group<'_>> = batch
                .chunk_by(|a, b| a.0 == b.0)
                .map(|places| {
                    let user = places[0].0;
                    let clash = places.iter().any(|place| clashed.contains(place));
                    let taken = clash.then(|| taken(&users[user], &found[user]));
                    (places, taken.unwrap_or_default())
                })
                .collect();
            let answers = self.ask(users, groups, account, &mut counts).await?;
            let heard = Heard::of(batch.iter().map(|&(user, at)| users[user].journeys[at]));
            let mut failed: Vec<Place> = Vec::new();
            for &(user, journey) in &batch {
                let answer = answers.get(&(user, journey)).map(String::as_str);
                match check(answer, users[user].journeys[journey], &given[user], &heard) {
                    Ok(name) => {
                        given[user].add(&name);
                        found[user][journey] = Some(Name {
                            name,
                            source: NameSource::Llm,
                        });
                    }
                    Err(rejection) => {
                        counts.rejected += 1;
                        tracing::debug!(%rejection, ?answer, "a name is not used");
                        let first_clash =
                            rejection == Rejection::Duplicate && clashed.insert((user, journey));
                        // What failed alone would fail again, unless it is told more.
                        if batch.len() > 1 || first_clash {
                            failed.push((user, journey));
                        }
                    }
                }
            }
            let half = failed.split_off(failed.len() / 2);
            batches.extend([half, failed].into_iter().filter(|half| !half.is_empty()));
        }
        let names: Vec<Vec<Name>> = found
            .into_iter()
            .zip(users)
            .zip(given)
            .map(|((found, user), given)| complete(found, user, given, &mut counts))
            .collect();
        Ok((names, counts))
    }

    /// Packs journeys into calls; a user's journeys stay together where they fit.
    fn batches(&self, users: &[Unnamed<'_>]) -> Vec<Vec<Place>> {
        let most = self.batch_size();
        let mut batches: Vec<Vec<Place>> = Vec::new();
        for (user, unnamed) in users.iter().enumerate() {
            let places: Vec<Place> = (0..unnamed.journeys.len()).map(|at| (user, at)).collect();
            for group in places.chunks(most) {
                match batches.last_mut() {
                    Some(batch) if batch.len() + group.len() <= most => batch.extend(group),
                    _ => batches.push(group.to_vec()),
                }
            }
        }
        batches.reverse(); // They are taken from the end.
        batches
    }

    fn question(&self, messages: Value, names: usize) -> Value {
        json!({
            "model": self.model,
            "messages": messages,
            "response_format": schema(),
            "temperature": 0,
            "seed": 0,
            "max_tokens": TOKENS_PER_NAME * (names + 1),
        })
    }

    /// One call. Returns names by place; none for what the model did not answer.
    async fn ask(
        &self,
        users: &[Unnamed<'_>],
        groups: Vec<Group<'_>>,
        account: &Account,
        counts: &mut NamingCounts,
    ) -> Result<HashMap<Place, String>, LlmError> {
        let mut asked: Vec<AskedUser<'_>> = Vec::new();
        let mut places: HashMap<String, Place> = HashMap::new();
        for (group, taken) in groups {
            let number = asked.len() + 1;
            let ask = |(at, &(user, journey)): (usize, &Place)| {
                let id = format!("{number}{}", letters(at));
                places.insert(id.clone(), (user, journey));
                Asked {
                    id,
                    journey: users[user].journeys[journey],
                }
            };
            let journeys = group.iter().enumerate().map(ask).collect();
            asked.push(AskedUser { journeys, taken });
        }
        let question = self.question(messages(&asked), places.len());
        let reply = self.transport.ask(&question, account).await?;
        counts.calls += 1;
        match reply {
            Reply::Answer {
                texts,
                is_cut,
                tokens_in,
                tokens_out,
                ..
            } => {
                counts.tokens_in += tokens_in;
                counts.tokens_out += tokens_out;
                if is_cut {
                    // What is missing fails the checks, and is asked again in smaller calls.
                    counts.cut += 1;
                    tracing::warn!(
                        journeys = places.len(),
                        tokens_out,
                        "the model's answer was cut off at its limit of tokens"
                    );
                }
                let names = texts.first().map(|text| parse(text)).unwrap_or_default();
                Ok(names
                    .into_iter()
                    .filter_map(|(id, name)| Some((*places.get(&id)?, name)))
                    .collect())
            }
            Reply::Declined { reason } => {
                tracing::warn!(journeys = places.len(), %reason, "the model declined a question");
                Ok(HashMap::new())
            }
        }
    }
}

/// Names that the user's journeys have already.
fn taken<'a>(user: &Unnamed<'a>, found: &'a [Option<Name>]) -> Vec<&'a str> {
    let found = found.iter().flatten().map(|name| name.name.as_str());
    found.chain(user.taken.iter().copied()).collect()
}

/// The names of a user's journeys. A journey without one keeps the name that it had before it
/// changed, where that passes the checks still; else its terms are its name.
fn complete(
    mut names: Vec<Option<Name>>,
    user: &Unnamed<'_>,
    mut given: Taken,
    counts: &mut NamingCounts,
) -> Vec<Name> {
    for (at, &journey) in user.journeys.iter().enumerate() {
        if names[at].is_some() {
            continue;
        }
        let before = (journey.name_source == NameSource::Stale).then_some(journey.name.as_str());
        let name = match check(before, journey, &given, &Heard::default()) {
            Ok(kept) => {
                counts.kept += 1;
                kept
            }
            Err(_) => {
                counts.fallbacks += 1;
                name_besides(journey, &given)
            }
        };
        given.add(&name);
        // Not `Llm` where a name is kept: an earlier name may itself be made of terms.
        names[at] = Some(Name {
            name,
            source: NameSource::Fallback,
        });
    }
    names.into_iter().flatten().collect()
}

/// a, b, ..., z, aa, ab, ...
fn letters(number: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    match number / 26 {
        0 => letter.to_string(),
        more => letters(more - 1) + &letter.to_string(),
    }
}
