//! `sojourn keep-redis`

use std::path::Path;

use anyhow::Result;
use sojourn::settings;
use sojourn_scheduler::private::keeper;

use super::Done;

pub async fn keep_redis(data: &Path) -> Result<Done> {
    keeper::keep(data, &settings::stop_signal(false)).await?;
    Ok(Done::Well)
}
