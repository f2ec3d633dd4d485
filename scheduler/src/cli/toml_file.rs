//! Files of settings that an option names.

use std::path::Path;

use serde::de::DeserializeOwned;

/// What a TOML file says, or what is wrong with it.
///
/// # Errors
/// When it cannot be read, or says something else, with its name.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let file = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{file}: {error}"))?;
    toml::from_str(&text).map_err(|error| format!("{file}: {error}"))
}
