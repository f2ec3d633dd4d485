//! How a model is asked for names: options of whatever asks one, or prepares for it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::SettingsError;
use super::values::read;
use crate::naming::{Locale, Template, TemplateError};

/// How a model is asked for names.
#[derive(Args, Clone, Debug, Default)]
pub struct PromptArgs {
    /// TOML file with instructions, examples, and rules of names; what it does not say stays as it is
    #[arg(long, env = "SOJOURN_PROMPT", value_name = "FILE")]
    pub prompt: Option<PathBuf>,
    /// File of lines that `sojourn export-tuning` wrote, which a model is shown as examples, instead
    /// of those of the prompt
    #[arg(long, env = "SOJOURN_EXAMPLES", value_name = "FILE")]
    pub examples: Option<PathBuf>,
    /// Language of names, such as de, pt-BR or zh-Hant [default: that of the titles]
    #[arg(long, env = "SOJOURN_LOCALE", value_name = "LOCALE")]
    pub locale: Option<Locale>,
}

impl PromptArgs {
    /// What they ask for.
    ///
    /// # Errors
    /// When a file cannot be read, or makes no template.
    pub fn template(&self) -> Result<Template, SettingsError> {
        let prompt = self.prompt.as_deref().map(text).transpose()?;
        let examples = self.examples.as_deref().map(text).transpose()?;
        let template = |examples, locale| Template::read(prompt.as_deref(), examples, locale);
        // First each file alone, so that an error is said of the one that has it.
        template(None, None).map_err(|error| of_file(self.prompt.as_deref(), &error))?;
        template(examples.as_deref(), None)
            .map_err(|error| of_file(self.examples.as_deref(), &error))?;
        template(examples.as_deref(), self.locale.clone())
            .map_err(|error| of_file(self.prompt.as_deref(), &error))
    }
}

fn of_file(path: Option<&Path>, error: &TemplateError) -> SettingsError {
    SettingsError::Invalid {
        path: path.unwrap_or(Path::new("--locale")).into(),
        reason: error.to_string(),
    }
}

fn text(path: &Path) -> Result<String, SettingsError> {
    String::from_utf8(read(path)?).map_err(|error| SettingsError::Invalid {
        path: path.into(),
        reason: error.to_string(),
    })
}
