//! Names by a language model: what is asked together, and what becomes of the answers.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::answer::{check, check_unlike, parse};
use super::choice::choose;
use super::endpoint::{Endpoint, LlmError, LlmOptions, Patience, Reply};
use super::grounding::Evidence;
use super::prompt::{Asked, AskedUser, id, messages, schema, trial};
use super::taken::Taken;
use super::terms::name_besides;
use super::{Moderation, Name, NamingCounts, Rejection, Template, Unnamed};
use crate::journey::NameSource;

/// Tokens that one name needs at most, with its id and the JSON around it.
const TOKENS_PER_NAME: usize = 40;

/// How freely a model is to choose its words where several samples are asked for. Without freedom
/// they would be the same.
const TEMPERATURE_OF_SAMPLES: f64 = 0.8;

/// Asks a model for names.
#[derive(Debug)]
pub struct LlmNamer {
    endpoint: Endpoint,
    model: String,
    journeys_per_call: usize,
    template: Template,
    /// Answers to each question, the best of which is taken journey by journey.
    samples: usize,
    moderation: Option<Moderation>,
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
        Ok(LlmNamer {
            endpoint: Endpoint::new(&options)?,
            model: options.model,
            journeys_per_call: options.journeys_per_call.max(1),
            template: Template::default(),
            samples: 1,
            moderation: None,
        })
    }

    /// Asks and checks by another template.
    #[must_use]
    pub fn with_template(mut self, template: Template) -> LlmNamer {
        self.template = template;
        self
    }

    /// Asks for several answers at once, and takes the best name of each journey.
    #[must_use]
    pub fn with_samples(mut self, samples: usize) -> LlmNamer {
        self.samples = samples.max(1);
        self
    }

    /// Uses no name that an endpoint calls unsafe.
    #[must_use]
    pub fn with_moderation(mut self, moderation: Moderation) -> LlmNamer {
        self.moderation = Some(moderation);
        self
    }

    /// Waits for the model longer or shorter than by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> LlmNamer {
        self.endpoint.set_patience(patience);
        self
    }

    pub(super) fn batch_size(&self) -> usize {
        self.journeys_per_call
    }

    /// Names the journeys of some users. What failed the checks is asked again by halves, down to
    /// single journeys; what fails alone gets a name made of its terms.
    pub(super) async fn name(
        &self,
        users: &[Unnamed<'_>],
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
            let answers = self.ask(users, groups, &mut counts).await?;
            let evidence = batch.iter().map(|&(user, at)| {
                Evidence::of_journey(self.template.rules(), users[user].journeys[at])
            });
            let evidence: Vec<Evidence> = evidence.collect();
            let heard: Vec<&Evidence> = evidence.iter().collect();
            let chosen = batch.iter().zip(&evidence).map(|(place, journey)| {
                let candidates = answers.get(place).map_or(&[][..], Vec::as_slice);
                choose(&self.template, candidates, journey, &heard, &given[place.0])
            });
            let mut chosen: Vec<Result<String, Rejection>> = chosen.collect();
            if let Some(moderation) = &self.moderation {
                moderation.judge(&mut chosen).await?;
            }
            let mut failed: Vec<Place> = Vec::new();
            for (&(user, journey), chosen) in batch.iter().zip(chosen) {
                match chosen.and_then(|name| check_unlike(name, &given[user])) {
                    Ok(name) => {
                        given[user].add(&name);
                        found[user][journey] = Some(Name {
                            name,
                            source: NameSource::Llm,
                        });
                    }
                    Err(rejection) => {
                        counts.rejected += 1;
                        let answers = answers.get(&(user, journey));
                        tracing::debug!(%rejection, ?answers, "a name is not used");
                        let first_clash =
                            rejection == Rejection::Duplicate && clashed.insert((user, journey));
                        // What failed alone would fail again, unless it is told more; and what was
                        // not moderated has been paid for once.
                        let may_pass = rejection != Rejection::Unmoderated;
                        if may_pass && (batch.len() > 1 || first_clash) {
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
            .map(|((found, user), given)| complete(&self.template, found, user, given, &mut counts))
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
        let mut question = json!({
            "model": self.model,
            "messages": messages,
            "response_format": schema(),
            "temperature": 0,
            "seed": 0,
            "max_tokens": TOKENS_PER_NAME * (names + 1),
        });
        if self.samples > 1 {
            question["n"] = json!(self.samples);
            question["temperature"] = json!(TEMPERATURE_OF_SAMPLES);
        }
        question
    }

    /// One call. Returns names by place, of each sample; none for what the model did not answer.
    async fn ask(
        &self,
        users: &[Unnamed<'_>],
        groups: Vec<Group<'_>>,
        counts: &mut NamingCounts,
    ) -> Result<HashMap<Place, Vec<String>>, LlmError> {
        let mut asked: Vec<AskedUser<'_>> = Vec::new();
        let mut places: HashMap<String, Place> = HashMap::new();
        for (group, taken) in groups {
            let number = asked.len() + 1;
            let ask = |(at, &(user, journey)): (usize, &Place)| {
                let id = id(number, at);
                places.insert(id.clone(), (user, journey));
                Asked {
                    id,
                    journey: users[user].journeys[journey],
                }
            };
            let journeys = group.iter().enumerate().map(ask).collect();
            asked.push(AskedUser { journeys, taken });
        }
        let question = self.question(messages(&self.template, &asked), places.len());
        let reply = match self.endpoint.ask(&question).await {
            // Nothing was answered in this form yet, so it may refuse this question or every
            // question. If it takes the trial, it declines this one.
            Err(refusal) if refusal.may_be_about_the_question() => {
                self.endpoint
                    .ask(&self.question(trial(&self.template), 2))
                    .await?;
                counts.calls += 1;
                self.endpoint.ask(&question).await?
            }
            reply => reply?,
        };
        counts.calls += 1;
        match reply {
            Reply::Answer {
                texts,
                is_cut,
                tokens_in,
                tokens_out,
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
                let mut names: HashMap<Place, Vec<String>> = HashMap::new();
                for (id, name) in texts.iter().flat_map(|text| parse(text)) {
                    if let Some(&place) = places.get(&id) {
                        names.entry(place).or_default().push(name);
                    }
                }
                Ok(names)
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
    template: &Template,
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
        let evidence = Evidence::of_journey(template.rules(), journey);
        let kept = check(template, before, &evidence, &[]);
        let name = match kept.and_then(|name| check_unlike(name, &given)) {
            Ok(kept) => {
                counts.kept += 1;
                kept
            }
            Err(_) => {
                counts.fallbacks += 1;
                name_besides(journey, &given, template.rules())
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
