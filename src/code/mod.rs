//! Codes of the conditions that an operator meets: short, the same for ever, and each with a
//! paragraph in `docs/runbook.md`. They stand before the error that ends a process, in the log (the
//! field `code`), in dead letters, and in the error of a failed run.

mod errors;

use std::error::Error;
use std::fmt;

/// Exit code: it was tried and failed.
pub const EXIT_FAILED: u8 = 1;

/// Exit code: wrong usage or input. The same that the command line parser ends with.
pub const EXIT_INPUT: u8 = 2;

/// Exit code: Redis cannot be used: none is named or reached, it refuses the login, or is not one
/// that Sojourn can rely on.
pub const EXIT_REDIS: u8 = 3;

/// Exit code: a run ended, and not well.
pub const EXIT_RUN: u8 = 4;

/// Declares the codes: one place for number, name, meaning, and the exit code of a process that
/// ends with it.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $exit:ident;)+) => {
        /// A condition that an operator meets. Codes are never given a second meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Code] = &[$(Code::$name,)+];

            /// As it is written: `SJ101`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)+
                }
            }

            /// What a process exits with that ends for this reason.
            pub const fn exit(self) -> u8 {
                match self {
                    $(Code::$name => $exit,)+
                }
            }
        }
    };
}

codes! {
    /// Redis cannot be reached, or does not answer in time.
    Unreachable = "SJ101", EXIT_REDIS;
    /// Redis refused the login, or a command that the user may not use.
    Unauthorized = "SJ102", EXIT_REDIS;
    /// Redis answers, and is not ready: it loads its data, or a cluster has no primary.
    NotReady = "SJ103", EXIT_REDIS;
    /// The server is older than what is needed.
    TooOld = "SJ104", EXIT_REDIS;
    /// The server would throw away queues when memory is short.
    Evicts = "SJ105", EXIT_REDIS;
    /// Redis has no memory left, and refuses writes.
    OutOfMemory = "SJ106", EXIT_REDIS;
    /// Redis is a replica, and refuses writes.
    ReadOnly = "SJ107", EXIT_REDIS;
    /// Redis cannot save to its disk, and refuses writes.
    NotSaving = "SJ108", EXIT_REDIS;
    /// Redis answered a command with another error.
    CommandFailed = "SJ109", EXIT_REDIS;
    /// No Redis is named, or not by a URL that says which.
    NoRedis = "SJ110", EXIT_REDIS;
    /// The private Redis of a dataset does not start.
    NoPrivateRedis = "SJ111", EXIT_REDIS;
    /// The certificates for Redis cannot be used.
    Certificates = "SJ112", EXIT_REDIS;

    /// An option or a setting cannot be used.
    Usage = "SJ201", EXIT_INPUT;
    /// The address to listen on cannot be used.
    Listen = "SJ202", EXIT_INPUT;

    /// There is no dataset, or not all of it.
    NoDataset = "SJ301", EXIT_INPUT;
    /// The storage of a dataset fails.
    Storage = "SJ302", EXIT_FAILED;
    /// A file of a dataset is damaged.
    Damaged = "SJ303", EXIT_FAILED;
    /// Another dataset is there than the one that the run is about.
    Replaced = "SJ304", EXIT_FAILED;
    /// A newer version of Sojourn made the dataset.
    NewerFormat = "SJ305", EXIT_INPUT;
    /// What is to be ingested cannot be read, or lacks what is needed.
    Input = "SJ306", EXIT_INPUT;
    /// Too many rows were rejected.
    Rejects = "SJ307", EXIT_INPUT;
    /// The place for a dataset is taken.
    Destination = "SJ308", EXIT_INPUT;
    /// The local disk does not take a file.
    Disk = "SJ309", EXIT_FAILED;

    /// A dead letter: the job failed too often.
    FailedTooOften = "SJ401", EXIT_RUN;
    /// A dead letter: no other attempt can go better.
    Hopeless = "SJ402", EXIT_RUN;
    /// A dead letter: several workers died while they held the job.
    WorkersDied = "SJ403", EXIT_RUN;
    /// A dead letter: an entry of a queue that is no job.
    ForeignEntry = "SJ404", EXIT_RUN;
    /// The payload of a job is of a newer version.
    NewerPayload = "SJ405", EXIT_RUN;
    /// The payload of a job cannot be read.
    CorruptPayload = "SJ406", EXIT_RUN;
    /// Jobs vanished from a queue while workers held them.
    Vanished = "SJ407", EXIT_RUN;
    /// Redis has lost jobs that a run cannot do without.
    Lost = "SJ408", EXIT_RUN;
    /// The results that a naming job is about are not there.
    NothingToName = "SJ409", EXIT_RUN;
    /// An attempt at a job comes after a later one, or after the end of its run.
    Overtaken = "SJ410", EXIT_RUN;

    /// There is no such run.
    UnknownRun = "SJ501", EXIT_INPUT;
    /// A request for a run cannot be understood.
    Request = "SJ502", EXIT_INPUT;
    /// The cohort of a recompute is empty, or no set.
    Cohort = "SJ503", EXIT_INPUT;
    /// What stands in Redis is not what this version writes.
    Foreign = "SJ504", EXIT_FAILED;
    /// There are no results for a user.
    NoResults = "SJ505", EXIT_FAILED;
    /// A process that a command had started on this machine has ended.
    Deployment = "SJ506", EXIT_FAILED;
    /// A process does not do its work, or does not say so.
    Unhealthy = "SJ507", EXIT_FAILED;
    /// A run cannot be repaired.
    BeyondRepair = "SJ508", EXIT_INPUT;

    /// The model endpoint refuses whatever is asked.
    ModelRefuses = "SJ601", EXIT_INPUT;
    /// The model endpoint is busy or away.
    ModelBusy = "SJ602", EXIT_FAILED;
    /// What answers at the model endpoint is no model.
    NoModel = "SJ603", EXIT_FAILED;

    /// Anything else: a bug, or the system.
    Other = "SJ901", EXIT_FAILED;
    /// Somebody stopped a command before it had finished.
    Interrupted = "SJ902", EXIT_FAILED;
}

impl Code {
    /// An error text that begins with the code, as in dead letters and in the register of runs.
    pub fn before(self, text: impl fmt::Display) -> String {
        format!("{self}: {text}")
    }

    /// The code that an error text begins with.
    pub fn leading(text: &str) -> Option<Code> {
        let (code, _) = text.split_once(": ")?;
        Code::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == code)
    }

    /// The code of an error, or of the first of its causes that has one. `known` reads errors that
    /// the library does not have.
    pub fn of(error: &(dyn Error + 'static), known: &[ReadCode]) -> Code {
        let mut next = Some(error);
        while let Some(error) = next {
            let mut readers = known.iter().chain(errors::KNOWN);
            if let Some(code) = readers.find_map(|read| read(error)) {
                return code;
            }
            next = error.source();
        }
        Code::Other
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error that an operator can look up.
pub trait Coded: Error {
    /// Under which code.
    fn code(&self) -> Code;

    /// The error after its code.
    fn with_code(&self) -> String {
        self.code().before(self)
    }
}

/// Reads the code of an error of one type; see [`code_of`].
pub type ReadCode = fn(&(dyn Error + 'static)) -> Option<Code>;

/// The code of an error, if it is a `T`.
pub fn code_of<T: Coded + 'static>(error: &(dyn Error + 'static)) -> Option<Code> {
    error.downcast_ref::<T>().map(Coded::code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_number_of_its_own_and_they_ascend() {
        let texts: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
        for text in texts {
            let number = text.strip_prefix("SJ").map(str::parse::<u16>);
            assert!(matches!(number, Some(Ok(100..=999))), "{text}");
        }
    }

    #[test]
    fn a_text_says_its_code_and_no_other() {
        for &code in Code::ALL {
            let cause = Code::Storage.before("no disk");
            assert_eq!(Code::leading(&code.before(cause)), Some(code));
        }
        for text in ["no disk", "SJ1: no disk", "SJ302", "disk: SJ302: x", ""] {
            assert_eq!(Code::leading(text), None, "{text}");
        }
    }

    #[test]
    fn an_error_without_a_code_has_that_of_its_cause() {
        #[derive(Debug, thiserror::Error)]
        #[error("while looking")]
        struct Outer(#[source] redis::RedisError);
        let refused = redis::RedisError::from(std::io::Error::other("refused"));
        assert_eq!(Code::of(&Outer(refused), &[]), Code::Unreachable);
        assert_eq!(Code::of(&std::io::Error::other("x"), &[]), Code::Other);
    }
}
