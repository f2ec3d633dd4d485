//! Values of options that more than one program reads: times and secrets.

use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::SettingsError;

/// The longest that anything may be told to wait, in seconds: whatever is silent for a day is dead.
pub const DAY: f64 = 24.0 * 3600.0;

/// A number of seconds within bounds, for options.
///
/// # Errors
/// When it is none.
pub fn seconds(text: &str, bounds: RangeInclusive<f64>) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| bounds.contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        let (least, most) = (bounds.start(), bounds.end());
        format!("must be a number of seconds from {least} to {most}")
    })
}

/// A secret from a file, else from an environment variable.
///
/// # Errors
/// When the file cannot be read, or is empty: then whoever was to fill it has not.
pub fn secret(variable: &str, file: Option<&Path>) -> Result<Option<String>, SettingsError> {
    let Some(path) = file else {
        return Ok(std::env::var(variable)
            .ok()
            .filter(|secret| !secret.is_empty()));
    };
    let bytes = read(path)?;
    let invalid = |reason: String| SettingsError::Unreadable {
        path: path.into(),
        source: std::io::Error::new(ErrorKind::InvalidData, reason),
    };
    let text = String::from_utf8(bytes).map_err(|error| invalid(error.utf8_error().to_string()))?;
    match text.trim_end() {
        "" => Err(invalid("it is to hold a secret, and is empty".into())),
        secret => Ok(Some(secret.into())),
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(path).map_err(|source| SettingsError::Unreadable {
        path: path.into(),
        source,
    })
}
