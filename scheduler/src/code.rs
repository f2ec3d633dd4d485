//! Which error of the scheduler and the command line has which code.

use sojourn::code::{Code, Coded, ReadCode, code_of};

use crate::cohort::CohortError;
use crate::generate::GenerateError;
use crate::local::LocalError;
use crate::private::PrivateError;
use crate::register::RegisterError;
use crate::scheduler::SchedulerError;
use crate::trigger::InvalidRequest;

/// Every error that may end a command, beside those of the library.
pub const KNOWN: &[ReadCode] = &[
    code_of::<CohortError>,
    code_of::<GenerateError>,
    code_of::<InvalidRequest>,
    code_of::<LocalError>,
    code_of::<PrivateError>,
    code_of::<RegisterError>,
    code_of::<CommandError>,
];

/// A command that did not do what it was asked for, although nothing is broken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Somebody stopped it.
    #[error("{0}")]
    Interrupted(String),
    /// There is nothing to show.
    #[error(
        "no results for user {0:?}: the id is unknown, no run has come to it yet, or its results \
         have expired (`sojourn runs` lists runs)"
    )]
    NoResults(String),
    /// A process is not well, and says why.
    #[error("{0}")]
    Unhealthy(String),
}

impl Coded for CommandError {
    fn code(&self) -> Code {
        match self {
            CommandError::Interrupted(_) => Code::Interrupted,
            CommandError::NoResults(_) => Code::NoResults,
            CommandError::Unhealthy(_) => Code::Unhealthy,
        }
    }
}

impl Coded for InvalidRequest {
    fn code(&self) -> Code {
        Code::Request
    }
}

impl Coded for CohortError {
    fn code(&self) -> Code {
        match self {
            CohortError::Redis(error) => Coded::code(error),
            CohortError::Register(error) => error.code(),
            CohortError::Empty { .. } | CohortError::NoSet { .. } => Code::Cohort,
        }
    }
}

impl Coded for GenerateError {
    fn code(&self) -> Code {
        match self {
            GenerateError::Parameter(_) => Code::Usage,
            GenerateError::Exists { .. } | GenerateError::NotAPopulation { .. } => {
                Code::Destination
            }
            GenerateError::Write { .. } => Code::Disk,
            GenerateError::Stopped => Code::Interrupted,
        }
    }
}

impl Coded for LocalError {
    fn code(&self) -> Code {
        match self {
            LocalError::NoProgram { .. } | LocalError::Ended { .. } => Code::Deployment,
            LocalError::Io { .. } => Code::Disk,
        }
    }
}

impl Coded for PrivateError {
    fn code(&self) -> Code {
        match self {
            PrivateError::NoProgram | PrivateError::NotStarted { .. } => Code::NoPrivateRedis,
            PrivateError::Io { .. } => Code::Disk,
            PrivateError::Local(error) => error.code(),
            PrivateError::Connect(error) => error.code(),
        }
    }
}

impl Coded for RegisterError {
    fn code(&self) -> Code {
        match self {
            RegisterError::Redis(error) => Coded::code(error),
            RegisterError::Queue(error) => error.code(),
            RegisterError::UnknownRun(_) => Code::UnknownRun,
            RegisterError::BeyondRepair { .. } => Code::BeyondRepair,
            // It stands by, and tells nobody else.
            RegisterError::LeadLost => Code::Other,
            RegisterError::Foreign { .. } => Code::Foreign,
        }
    }
}

impl Coded for SchedulerError {
    fn code(&self) -> Code {
        match self {
            SchedulerError::Redis(error) => Coded::code(error),
            SchedulerError::Register(error) => error.code(),
            SchedulerError::Queue(error) => error.code(),
        }
    }
}
