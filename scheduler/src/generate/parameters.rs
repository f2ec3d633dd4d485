//! What a population is to be like.

use serde::{Deserialize, Serialize};

use super::GenerateError;

/// Most items: their numbers are kept in memory, at 4 bytes each.
const MOST_ITEMS: u32 = 100_000_000;

/// Items for each of a history's, at least. No history is longer than half of the catalogue, and at
/// this ratio fewer than one in twenty thousand would be, so that the mean is what was asked for.
const ITEMS_PER_ITEM_OF_A_HISTORY: u32 = 20;

/// What a population is to be like. The same parameters give the same population, with any number of
/// threads. With another version of the generators, it is another one, and on another kind of machine,
/// whose powers and logarithms differ in the last bit, a few draws may come out differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// How many users there are.
    pub users: u32,
    /// How many items their histories have in the mean.
    pub items_per_user: u32,
    /// How many items the catalogue has.
    pub items: u32,
    /// What everything is drawn from.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            users: 1_000_000,
            items_per_user: 100,
            items: 1_000_000,
            seed: 1,
        }
    }
}

impl Parameters {
    /// Checks every value against its bounds.
    ///
    /// # Errors
    /// [`GenerateError::Parameter`], with the option by name.
    pub fn validate(&self) -> Result<(), GenerateError> {
        let Parameters {
            users,
            items_per_user,
            items,
            ..
        } = *self;
        let refuse = |text: String| Err(GenerateError::Parameter(text));
        for (option, value) in [
            ("--users", users),
            ("--items-per-user", items_per_user),
            ("--items", items),
        ] {
            if value == 0 {
                return refuse(format!("{option} is 0, it has to be at least 1"));
            }
        }
        if items > MOST_ITEMS {
            return refuse(format!("--items is {items}, more than {MOST_ITEMS}"));
        }
        let least = items_per_user.saturating_mul(ITEMS_PER_ITEM_OF_A_HISTORY);
        if items < least {
            return refuse(format!(
                "--items is {items}, too few for {items_per_user} different ones per user; it has to \
                 be at least {least}, or --items-per-user smaller"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_with_the_option_and_the_bound() {
        let defaults = Parameters::default();
        assert!(defaults.validate().is_ok());
        let no_users = Parameters {
            users: 0,
            ..defaults
        };
        let few_items = Parameters {
            items: 1999,
            ..defaults
        };
        let many_items = Parameters {
            items: u32::MAX,
            ..defaults
        };
        for (parameters, said) in [
            (no_users, ["--users", "at least 1"]),
            (few_items, ["--items is 1999", "at least 2000"]),
            (many_items, ["--items", "100000000"]),
        ] {
            let error = parameters.validate().unwrap_err().to_string();
            assert!(said.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
