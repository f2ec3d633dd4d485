//! Where what was downloaded is kept.

use std::path::PathBuf;

use clap::Args;

/// Where a process keeps catalogues.
#[derive(Args, Debug)]
pub struct CacheArgs {
    /// Where catalogues of datasets in object stores are kept
    #[arg(
        long,
        env = "SOJOURN_CACHE",
        default_value = "/var/tmp/sojourn",
        value_name = "DIR"
    )]
    pub cache: PathBuf,
}
