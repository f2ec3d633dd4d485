//! Which error of the library has which code. All in one place, so that the codes can be compared,
//! and a new error cannot be without one.

use redis::{ErrorKind, RedisError};

use super::{Code, Coded, ReadCode, code_of};
use crate::catalogue::CatalogueError;
use crate::connection::ConnectError;
use crate::dataset::DatasetError;
use crate::evaluation::EvaluationError;
use crate::ingest::{IngestError, JsonRowError};
use crate::journey::InvalidParams;
use crate::naming::{CuratedError, LlmError, QualityError, TuningError};
use crate::queue::{CodecError, QueueError, Unusable};
#[cfg(feature = "cli")]
use crate::settings::{HealthError, SettingsError};
use crate::store::StoreError;
use crate::terms::{ParamsError, VocabularyError};

/// Every error that may end a process, or be among the causes of one that does.
pub(super) const KNOWN: &[ReadCode] = &[
    code_of::<RedisError>,
    code_of::<ConnectError>,
    #[cfg(feature = "cli")]
    code_of::<SettingsError>,
    #[cfg(feature = "cli")]
    code_of::<HealthError>,
    code_of::<QueueError>,
    code_of::<CodecError>,
    code_of::<Unusable>,
    code_of::<StoreError>,
    code_of::<DatasetError>,
    code_of::<CatalogueError>,
    code_of::<VocabularyError>,
    code_of::<ParamsError>,
    code_of::<InvalidParams>,
    code_of::<IngestError>,
    code_of::<LlmError>,
    code_of::<JsonRowError>,
    code_of::<EvaluationError>,
    code_of::<CuratedError>,
    code_of::<TuningError>,
    code_of::<QualityError>,
];

impl Coded for RedisError {
    fn code(&self) -> Code {
        // Of several commands in one round trip, the first that was refused; `RedisError::code` knows
        // only some refusals of those.
        let refused = self.clone().into_server_errors();
        let first = refused.as_ref().and_then(|refused| refused.first());
        match self.code().or(first.map(|(_, refusal)| refusal.code())) {
            Some("NOAUTH" | "WRONGPASS" | "NOPERM") => return Code::Unauthorized,
            Some("LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "NOREPLICAS") => {
                return Code::NotReady;
            }
            // Scripts are loaded where they are missing: this server forgets them again and again.
            Some("NOSCRIPT") => return Code::NotReady,
            Some("OOM") => return Code::OutOfMemory,
            Some("READONLY") => return Code::ReadOnly,
            Some("MISCONF") => return Code::NotSaving,
            _ => {}
        }
        // Of a command in a script, servers say it in words and not by a code of its own.
        let words = self.detail().unwrap_or_default();
        if words.contains("ACL failure in script") || words.contains("user executing the script") {
            return Code::Unauthorized;
        }
        match self.kind() {
            ErrorKind::AuthenticationFailed => Code::Unauthorized,
            ErrorKind::InvalidClientConfig => Code::NoRedis,
            ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::NoValidReplicasFoundBySentinel => Code::Unreachable,
            _ if self.is_timeout() || self.is_connection_dropped() => Code::Unreachable,
            _ => Code::CommandFailed,
        }
    }
}

impl Coded for ConnectError {
    fn code(&self) -> Code {
        match self {
            ConnectError::InvalidUrl { .. } | ConnectError::NoCluster { .. } => Code::NoRedis,
            ConnectError::InvalidCertificates { .. } => Code::Certificates,
            // LOADING, for instance: it is reached, and not as it should be.
            ConnectError::Unreachable { source, .. } => Coded::code(source),
            ConnectError::Unauthorized { .. } => Code::Unauthorized,
            ConnectError::TooOld { .. } => Code::TooOld,
            ConnectError::Loading { .. } => Code::NotReady,
            ConnectError::Evicts { .. } => Code::Evicts,
        }
    }
}

#[cfg(feature = "cli")]
impl Coded for SettingsError {
    fn code(&self) -> Code {
        match self {
            SettingsError::Unreadable { .. }
            | SettingsError::Invalid { .. }
            | SettingsError::Usage(_) => Code::Usage,
            SettingsError::NoRedis => Code::NoRedis,
            SettingsError::Connect(error) => error.code(),
            SettingsError::Listen { .. } => Code::Listen,
        }
    }
}

impl Coded for QueueError {
    fn code(&self) -> Code {
        Coded::code(&self.0)
    }
}

impl Coded for CodecError {
    fn code(&self) -> Code {
        match self {
            CodecError::UnknownVersion { .. } => Code::NewerPayload,
            CodecError::Empty | CodecError::Corrupt { .. } => Code::CorruptPayload,
            CodecError::TooLarge { .. } => Code::Other,
        }
    }
}

impl Coded for Unusable {
    /// Nothing but a model endpoint refuses a worker everything.
    fn code(&self) -> Code {
        Code::ModelRefuses
    }
}

impl Coded for StoreError {
    fn code(&self) -> Code {
        match self {
            StoreError::Redis(error) => Coded::code(error),
            StoreError::Busy { .. } => Code::Other,
            StoreError::Foreign { .. } => Code::Foreign,
        }
    }
}

impl Coded for DatasetError {
    fn code(&self) -> Code {
        match self {
            DatasetError::InvalidLocation { .. } | DatasetError::Missing { .. } => Code::NoDataset,
            DatasetError::Storage { .. } | DatasetError::Write { .. } => Code::Storage,
            DatasetError::UnknownFormat { .. } => Code::NewerFormat,
            DatasetError::Damaged { .. } | DatasetError::NoShard { .. } => Code::Damaged,
            DatasetError::Catalogue { source, .. } => source.code(),
        }
    }
}

impl Coded for CatalogueError {
    fn code(&self) -> Code {
        match self {
            CatalogueError::Io { .. } => Code::Disk,
            CatalogueError::Foreign { .. } | CatalogueError::Damaged { .. } => Code::Damaged,
            CatalogueError::Params(error) => error.code(),
            CatalogueError::Vocabulary(error) => error.code(),
            CatalogueError::TooManyItems { .. } => Code::Input,
            CatalogueError::OutOfOrder { .. } | CatalogueError::ItemsDiffer { .. } => Code::Other,
        }
    }
}

impl Coded for VocabularyError {
    fn code(&self) -> Code {
        match self {
            VocabularyError::Params(error) => error.code(),
            VocabularyError::Scratch { .. } => Code::Disk,
        }
    }
}

impl Coded for ParamsError {
    fn code(&self) -> Code {
        Code::Usage
    }
}

impl Coded for InvalidParams {
    fn code(&self) -> Code {
        Code::Usage
    }
}

impl Coded for IngestError {
    fn code(&self) -> Code {
        match self {
            IngestError::Location { .. }
            | IngestError::Unreadable { .. }
            | IngestError::Empty { .. }
            | IngestError::MissingColumn { .. }
            | IngestError::AmbiguousColumn { .. }
            | IngestError::ColumnType { .. } => Code::Input,
            IngestError::Mapping(_) | IngestError::Parameter(_) => Code::Usage,
            IngestError::TooManyRejects { .. } | IngestError::NothingTaken { .. } => Code::Rejects,
            IngestError::NotADataset { .. }
            | IngestError::InUse { .. }
            | IngestError::Exists { .. } => Code::Destination,
            IngestError::Store { .. } => Code::Storage,
            IngestError::Write { .. } => Code::Disk,
            IngestError::Stopped => Code::Interrupted,
            IngestError::Panicked(_) => Code::Other,
            IngestError::Salience(error) => error.code(),
            IngestError::Vocabulary(error) => error.code(),
            IngestError::Catalogue(error) => error.code(),
            IngestError::Dataset(error) => error.code(),
        }
    }
}

impl Coded for LlmError {
    fn code(&self) -> Code {
        match self {
            LlmError::InvalidEndpoint { .. } | LlmError::InvalidKey => Code::Usage,
            LlmError::Busy { .. } => Code::ModelBusy,
            LlmError::Unreadable { .. } => Code::NoModel,
            LlmError::Refused { .. } | LlmError::OverLimit { .. } => Code::ModelRefuses,
            LlmError::OverBudget { .. } | LlmError::Unpriced => Code::OverBudget,
        }
    }
}

impl Coded for JsonRowError {
    fn code(&self) -> Code {
        match self {
            JsonRowError::Input(error) => error.code(),
            JsonRowError::Row { .. } => Code::Input,
        }
    }
}

impl Coded for EvaluationError {
    fn code(&self) -> Code {
        match self {
            EvaluationError::Rows(error) => error.code(),
            EvaluationError::Catalogue(error) => error.code(),
            EvaluationError::Source { .. } => Code::Input,
            EvaluationError::File { .. } => Code::Input,
            EvaluationError::Name(_) => Code::Usage,
            EvaluationError::Io { .. } => Code::Disk,
        }
    }
}

impl Coded for CuratedError {
    fn code(&self) -> Code {
        match self {
            CuratedError::Rows(error) => error.code(),
            CuratedError::Catalogue(error) => error.code(),
        }
    }
}

impl Coded for TuningError {
    fn code(&self) -> Code {
        match self {
            TuningError::Collections(error) => error.code(),
            TuningError::Nothing { .. } => Code::Input,
            TuningError::Write { .. } => Code::Disk,
        }
    }
}

impl Coded for QualityError {
    fn code(&self) -> Code {
        match self {
            QualityError::Collections(error) => error.code(),
            QualityError::Model(error) => error.code(),
            QualityError::TooFew { .. } | QualityError::Lines { .. } => Code::Input,
            QualityError::Examples { .. } => Code::Usage,
            QualityError::Write { .. } => Code::Disk,
        }
    }
}
