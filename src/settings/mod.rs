//! What the command lines of all processes have in common: Redis, the settings file, how a process
//! says how it is, and how it starts, logs, and is asked to stop.

mod cache;
mod error;
mod fallback;
mod file;
mod listen;
mod naming;
mod options;
mod process;
mod prompt;
mod redis;
mod values;

pub use self::redis::RedisArgs;
pub use cache::CacheArgs;
pub use error::SettingsError;
pub use fallback::FallbackArgs;
pub use file::parse;
pub use listen::{HealthError, ListenArgs, ask, listen_address};
pub use naming::{LimitArgs, QuestionArgs, SharingArgs};
pub use options::{OPTIONS, ProgramOptions};
pub use process::{install_tls, run, start_log, stop_signal};
pub use prompt::PromptArgs;
pub use values::{DAY, seconds, secret};
