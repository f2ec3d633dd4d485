//! A batch that the provider is to have, whatever it confirms.

use redis::RedisError;

use super::{Work, is_last, trouble};
use crate::naming::batch::gathering::Gathering;
use crate::naming::batch::register::{Known, Part, Standing};
use crate::naming::batch::token::Token;
use crate::naming::endpoint::{Class, Failure};

/// How far the making of a batch came.
pub(super) enum Made {
    /// The provider has it.
    There,
    /// Another process is about it.
    NotMine,
    /// The provider does not have it, and never will.
    Refused(Failure),
    /// The provider may have it, and nobody can find out.
    Unknown(Failure),
}

impl Work {
    /// Has the provider make a batch, and finds out whether it has, however often that takes.
    pub(super) async fn make(&self, token: &Token, asked: &Gathering) -> Result<Made, RedisError> {
        let mut failures = 0;
        let mut may_be_there = false;
        loop {
            // Right before each step that the provider takes for good.
            let file = match self.adopt(token, Part::Makes).await? {
                Standing::Mine { file } => file,
                Standing::Made { .. } => return Ok(Made::There),
                Standing::Others { .. } | Standing::Lost => return Ok(Made::NotMine),
            };
            let made = match file {
                None => match self.interface.upload(token, &asked.file()).await {
                    Ok(file) => {
                        self.note(token, Part::Makes, Known::File(&file)).await?;
                        continue;
                    }
                    Err(failure) => Err(failure),
                },
                // Another would be paid for as well.
                Some(_) if may_be_there => match self.interface.find(token).await {
                    Ok(None) => {
                        may_be_there = false;
                        continue;
                    }
                    Ok(Some(batch)) => Ok(batch),
                    Err(failure) => Err(failure),
                },
                Some(file) => {
                    let made = self.interface.create(token, &file).await;
                    may_be_there = made.as_ref().is_err_and(may_be_done);
                    if may_be_there {
                        tokio::time::sleep(self.times.settling).await;
                    }
                    made
                }
            };
            let failure = match made {
                Ok(batch) => {
                    self.note(token, Part::Makes, Known::Made(&batch.id))
                        .await?;
                    return Ok(Made::There);
                }
                Err(failure) => failure,
            };
            failures += 1;
            if is_last(&failure, failures) {
                return Ok(match may_be_there {
                    true => Made::Unknown(failure),
                    false => Made::Refused(failure),
                });
            }
            trouble(&failure, failures).await;
        }
    }
}

/// Whether the provider may have done what it did not confirm.
fn may_be_done(failure: &Failure) -> bool {
    matches!(
        failure.class,
        Class::AskedToWait
            | Class::ServerError
            | Class::Timeout
            | Class::CutOff
            | Class::Unreadable
    )
}
