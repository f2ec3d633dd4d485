//! What joins the queue.

use sojourn::queue::{Enqueued, NewJob};

use crate::Difference;
use crate::model::LANES;
use crate::run::State;
use crate::trial::Trial;

/// Jobs of the plan of each run.
const PLANNED: usize = 12;

impl Trial<'_> {
    pub async fn plan(&mut self, run: usize, jobs: usize, behind: u64) -> Result<(), Difference> {
        let planned = self.model.runs[run].counted("planned");
        let cursor = planned.saturating_sub(behind);
        let ids: Vec<String> = (cursor as usize..PLANNED)
            .take(jobs)
            .map(|n| format!("p{n}"))
            .collect();
        let new: Vec<NewJob> = ids.iter().map(|id| job(id)).collect();
        let queued = self
            .queue
            .enqueue_planned(&self.runs[run], LANES[run], 0, cursor, &new)
            .await?;
        let expected = if self.model.runs[run].state != State::Running {
            None
        } else if cursor == planned {
            for id in &ids {
                self.model.enqueue(run, id, id.len() as u64);
            }
            self.model.runs[run].count("planned", ids.len() as u64);
            Some(planned + ids.len() as u64)
        } else {
            Some(planned)
        };
        same!(queued, expected, "the cursor");
        Ok(())
    }

    pub async fn follow(&mut self, run: usize, number: usize) -> Result<(), Difference> {
        let id = format!("f{number}");
        let queued = self
            .queue
            .enqueue(&self.runs[run], LANES[run], 0, &[job(&id)])
            .await?;
        let expected = match self.model.runs[run].state {
            State::Running | State::Paused => Enqueued::Queued,
            State::Over => Enqueued::Over,
            State::Cancelled => Enqueued::Cancelled,
        };
        same!(queued, expected, "what becomes of {id}");
        if queued == Enqueued::Queued {
            self.model.follow(run, &id, id.len() as u64);
        }
        Ok(())
    }
}

pub fn job(id: &str) -> NewJob {
    NewJob {
        id: id.into(),
        payload: format!("payload of {id}").into_bytes(),
        size: Some(("size", id.len() as u64)),
    }
}
