//! What is done to whole runs and lanes, and to letters.

use sojourn::queue::{KeptCounts, Lane, Replayed};

use crate::Difference;
use crate::entry::Letter;
use crate::model::LANES;
use crate::run::{OTHERS, SUMMANDS, State};
use crate::trial::{Trial, newest};

impl Trial<'_> {
    pub async fn cancel(&mut self, run: usize) -> Result<(), Difference> {
        let unfinished = self.queue.cancel(&self.runs[run]).await?;
        let expected = self.model.cancel(run) as u64;
        same!(unfinished, expected, "unfinished jobs");
        Ok(())
    }

    pub async fn pause(&mut self, run: usize) -> Result<(), Difference> {
        self.queue.pause(&self.runs[run], LANES[run]).await?;
        self.model.pause(run);
        Ok(())
    }

    pub async fn resume(&mut self, run: usize) -> Result<(), Difference> {
        self.queue.resume(&self.runs[run], LANES[run]).await?;
        self.model.resume(run);
        Ok(())
    }

    pub async fn pause_lane(&mut self, lane: Lane, is_paused: bool) -> Result<(), Difference> {
        match is_paused {
            true => self.queue.pause_lane(lane).await?,
            false => self.queue.resume_lane(lane).await?,
        }
        self.model.pause_lane(lane, is_paused);
        Ok(())
    }

    pub async fn close(&mut self, run: usize) -> Result<(), Difference> {
        let closed = self.queue.close(&self.runs[run]).await?;
        same!(closed, self.model.close(run), "whether run {run} is over");
        Ok(())
    }

    pub async fn reopen(&mut self, run: usize) -> Result<(), Difference> {
        self.queue.reopen(&self.runs[run]).await?;
        self.model.reopen(run);
        Ok(())
    }

    pub async fn restart(&mut self, run: usize, by: u64, keeps: bool) -> Result<(), Difference> {
        let restarts = self.model.runs[run].restarts + by;
        let kept = match keeps {
            true => KeptCounts {
                sum: "size",
                summands: &SUMMANDS,
                others: &OTHERS,
            },
            false => KeptCounts::default(),
        };
        self.queue
            .restart(&self.runs[run], LANES[run], restarts, kept)
            .await?;
        self.model.restart(run, restarts, keeps);
        Ok(())
    }

    /// Every other number picks from what is kept, and the others also from what is gone.
    fn letter(&self, number: usize) -> Option<usize> {
        let letters = self.model.letters.iter().enumerate();
        let wanted = letters.filter(|(_, letter)| letter.is_kept || number % 2 == 1);
        let wanted: Vec<usize> = wanted.map(|(position, _)| position).collect();
        newest(wanted.len(), number / 2).map(|position| wanted[position])
    }

    pub async fn replay(&mut self, number: usize) -> Result<(), Difference> {
        let Some(letter) = self.letter(number) else {
            return Ok(());
        };
        let Letter {
            id,
            entry,
            restarts,
            is_kept,
            ..
        } = &self.model.letters[letter];
        let run = &self.model.runs[entry.run];
        let Some(found) = self.queue.letter(*id).await? else {
            same!(false, *is_kept, "whether letter {id} is kept");
            return Ok(());
        };
        let expected = match run.state {
            State::Cancelled => Replayed::Cancelled,
            State::Paused => Replayed::Paused,
            State::Running | State::Over if run.restarts != *restarts => Replayed::Forgotten,
            State::Running | State::Over if run.pending.contains(&entry.job) => Replayed::Queued,
            State::Running | State::Over => Replayed::Replayed,
        };
        let replayed = self.queue.replay(&found).await?;
        same!(replayed, expected, "what becomes of letter {id}");
        if replayed == Replayed::Replayed {
            self.model.replay(letter);
            let again = self.queue.replay(&found).await?;
            same!(again, Replayed::Gone, "what becomes of it the second time");
        }
        Ok(())
    }

    pub async fn drop_letter(&mut self, number: usize) -> Result<(), Difference> {
        let Some(letter) = self.letter(number) else {
            return Ok(());
        };
        let letter = &mut self.model.letters[letter];
        let dropped = self.queue.drop_letters(&[letter.id]).await?;
        let was_kept = std::mem::replace(&mut letter.is_kept, false);
        same!(dropped, u64::from(was_kept), "dropped letters");
        Ok(())
    }
}
