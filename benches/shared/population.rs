//! Generated populations, and the datasets that they become.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::program;

/// Users of the population that is ingested and that a backfill is about. `USERS=100000` for less.
pub fn users() -> u64 {
    let said = std::env::var("USERS");
    said.map_or(1_000_000, |users| users.parse().expect("USERS is a number"))
}

/// Items of each user, in the mean.
pub const ITEMS_PER_USER: u64 = 100;

/// Items in the catalogue.
pub const ITEMS: u64 = 1_000_000;

/// A population with the default seed. Populations that differ in their users have the same items.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    pub users: u64,
    pub items: u64,
}

impl Population {
    /// The one that most of what follows is measured with.
    pub fn usual() -> Population {
        Population {
            users: users(),
            items: ITEMS,
        }
    }

    /// Its files, which are the same whenever they are made.
    pub fn files(self) -> PathBuf {
        let folder = self.folder("population");
        let made_by = program("sojourn");
        if !is_newer(&folder.join("population.json"), &made_by) {
            let [users, items] = [self.users, self.items].map(|count| count.to_string());
            eprintln!("generating {users} users and {items} items");
            quietly(
                Command::new(made_by)
                    .arg("generate")
                    .arg(&folder)
                    .args(["--users", &users, "--items", &items, "--force"])
                    .args(["--items-per-user", &ITEMS_PER_USER.to_string()]),
            );
        }
        folder
    }

    /// Its dataset.
    pub fn dataset(self) -> PathBuf {
        let folder = self.folder("dataset");
        if !is_newer(&folder.join("manifest.json"), &program("sojourn")) {
            self.ingest(&folder);
        }
        folder
    }

    /// Makes a dataset of it, and says how long that took.
    pub fn ingest(self, out: &Path) -> Duration {
        let files = self.files();
        eprintln!("ingesting {} users and {} items", self.users, self.items);
        let begun = Instant::now();
        quietly(
            Command::new(program("sojourn"))
                .args(["ingest", "--force", "--items"])
                .arg(files.join("items"))
                .arg("--interactions")
                .arg(files.join("interactions"))
                .arg("--out")
                .arg(out),
        );
        begun.elapsed()
    }

    fn folder(self, of: &str) -> PathBuf {
        let name = format!("{of}-{}-{}", self.users, self.items);
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
    }
}

/// Whether there is a file that was made after another one.
fn is_newer(file: &Path, than: &Path) -> bool {
    let made = |path: &Path| path.metadata().and_then(|file| file.modified());
    matches!((made(file), made(than)), (Ok(file), Ok(than)) if file > than)
}

fn quietly(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status();
    assert!(status.expect("it runs").success(), "{command:?}");
}
