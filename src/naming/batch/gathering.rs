//! Questions that wait for an answer.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use tokio::sync::oneshot;

use super::lines::{self, Answered};
use super::token::{QuestionId, Token};
use crate::naming::endpoint::{LlmError, Reply};
use crate::naming::limits::Account;
use crate::run::RunId;

/// Most questions of a batch: what the provider takes.
const MAX_QUESTIONS: usize = 50_000;

/// Most bytes of a batch. Less than the provider takes, since they are in memory several times.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// How often a question is put into a batch before its job is put off.
const MAX_ATTEMPTS: u32 = 3;

/// Where an answer goes.
pub(super) type Asker = oneshot::Sender<Result<Reply, LlmError>>;

/// A question, and who wants to know.
pub(super) struct Asked {
    id: QuestionId,
    question: Value,
    /// Who pays for it: whoever asked first.
    account: Account,
    /// The batch that had no answer.
    instead_of: Option<Token>,
    attempts: u32,
    askers: Vec<Asker>,
}

/// Different questions that wait together.
#[derive(Default)]
pub(super) struct Gathering {
    questions: BTreeMap<QuestionId, Asked>,
    bytes: usize,
}

impl Asked {
    pub(super) fn new(question: Value, account: Account, asker: Asker) -> Asked {
        Asked {
            id: QuestionId::of(&question),
            question,
            account,
            instead_of: None,
            attempts: 0,
            askers: vec![asker],
        }
    }

    pub(super) fn id(&self) -> QuestionId {
        self.id
    }

    pub(super) fn question(&self) -> &Value {
        &self.question
    }

    /// An answer to all who want it. Who does not wait any more asks again some time, and finds it.
    pub(super) fn answer(self, reply: impl Fn() -> Result<Reply, LlmError>) {
        for asker in self.askers {
            let _ = asker.send(reply());
        }
    }
}

impl Gathering {
    pub(super) fn add(&mut self, asked: Asked) {
        match self.questions.get_mut(&asked.id) {
            Some(same) => {
                same.askers.extend(asked.askers);
                same.instead_of = same.instead_of.take().or(asked.instead_of);
                same.attempts = same.attempts.max(asked.attempts);
            }
            None => {
                self.bytes += lines::line(asked.id, &asked.question).len();
                self.questions.insert(asked.id, asked);
            }
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.questions.len() >= MAX_QUESTIONS || self.bytes >= MAX_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.questions.len()
    }

    /// Forgets questions that nobody waits for any more: their jobs were handed back or cancelled.
    pub(super) fn forget_who_left(&mut self) {
        self.questions.retain(|_, asked| {
            asked.askers.retain(|asker| !asker.is_closed());
            !asked.askers.is_empty()
        });
    }

    /// What is to be claimed.
    pub(super) fn claims(&self) -> Vec<(QuestionId, Option<Token>)> {
        let asked = self.questions.iter();
        asked
            .map(|(id, asked)| (*id, asked.instead_of.clone()))
            .collect()
    }

    /// The questions by the batches that they were found to be asked in.
    pub(super) fn by_batch(self, batches: Vec<Token>) -> BTreeMap<Token, Gathering> {
        let mut split: BTreeMap<Token, Gathering> = BTreeMap::new();
        for (asked, batch) in self.questions.into_values().zip(batches) {
            split.entry(batch).or_default().add(asked);
        }
        split
    }

    /// The same for each question.
    pub(super) fn all(&self, answered: impl Fn() -> Answered) -> HashMap<QuestionId, Answered> {
        let ids = self.questions.keys();
        ids.map(|id| (*id, answered())).collect()
    }

    /// The file of a batch.
    pub(super) fn file(&self) -> Vec<u8> {
        let lines = self.questions.iter();
        let lines = lines.map(|(id, asked)| lines::line(*id, &asked.question));
        lines.collect::<String>().into_bytes()
    }

    /// The questions by the runs that pay for them.
    pub(super) fn by_run(self) -> BTreeMap<RunId, Vec<Asked>> {
        let mut split: BTreeMap<RunId, Vec<Asked>> = BTreeMap::new();
        for asked in self.questions.into_values() {
            split
                .entry(asked.account.run.clone())
                .or_default()
                .push(asked);
        }
        split
    }

    /// Two halves, to be asked instead of this batch, which was never made. Of a single question one is
    /// empty.
    pub(super) fn halves(mut self, token: &Token) -> [Gathering; 2] {
        for asked in self.questions.values_mut() {
            asked.instead_of = Some(token.clone());
        }
        let middle = self.questions.keys().nth(self.questions.len() / 2).copied();
        let upper = middle.map(|middle| self.questions.split_off(&middle));
        let upper = upper.into_iter().flat_map(BTreeMap::into_values);
        let mut halves = [Gathering::default(), Gathering::default()];
        upper.for_each(|asked| halves[1].add(asked));
        self.questions
            .into_values()
            .for_each(|asked| halves[0].add(asked));
        halves
    }

    /// Hands out what a batch that is over has answered. Returns what it has not, to be asked again. A
    /// refusal of a batch that was found (not `is_ours`) may be one of yesterday, which somebody has
    /// mended: that is asked again, too.
    pub(super) fn answer(
        self,
        token: &Token,
        is_ours: bool,
        mut answers: impl FnMut(&QuestionId) -> Option<Answered>,
    ) -> Vec<Asked> {
        let mut again = Vec::new();
        for (id, mut asked) in self.questions {
            let reason = match answers(&id) {
                Some(Answered::Reply(reply, _)) => {
                    asked.answer(|| Ok(reply.clone()));
                    continue;
                }
                Some(Answered::Declined { reason }) => {
                    asked.answer(|| {
                        Ok(Reply::Declined {
                            reason: reason.clone(),
                        })
                    });
                    continue;
                }
                Some(Answered::Refused(failure)) if !is_ours => failure.reason,
                Some(Answered::Refused(failure)) => {
                    asked.answer(|| Err(failure.clone().into()));
                    continue;
                }
                Some(Answered::Not { reason }) => reason,
                None => "the batch has no answer".into(),
            };
            asked.attempts += 1;
            asked.instead_of = Some(token.clone());
            if asked.attempts < MAX_ATTEMPTS {
                again.push(asked);
                continue;
            }
            asked.answer(|| {
                Err(LlmError::Busy {
                    reason: reason.clone(),
                    retry_after: None,
                })
            });
        }
        again
    }
}
