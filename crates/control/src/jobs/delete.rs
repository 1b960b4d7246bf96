//! Removes the record of a job that has come to its end, its dead letter first.

use celeriac_db::DbTx;
use celeriac_protocol::JobId;
use celeriac_store::query::jobs::{self, Removal};

use super::{JobDesk, JobsError};

/// How many dead letters of one job are dropped at most: there is one for each time that an id was enqueued anew and died.
const LETTERS: usize = 100;

/// What a deletion came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// How many dead letters went with it.
    pub letters: u64,
}

impl JobDesk {
    /// Removes what is recorded of a job that has come to its end: its record, its attempts, its dead letters. The counts of
    /// jobs go down with it; what statistics have counted stays.
    ///
    /// # Errors
    /// The job has not ended, or is not known; queue or record can't be reached. A dead letter may be dropped then though the
    /// record is there; the same call once more does the rest.
    pub async fn delete(&self, id: &JobId) -> Result<Deleted, JobsError> {
        let Some(progress) = jobs::progress(self.database.reader(), id).await? else {
            return Err(JobsError::unknown(&self.client, id).await);
        };
        if !progress.status.is_final() {
            return Err(JobsError::NotEnded { id: id.clone(), status: progress.status });
        }
        // First, since a letter without a record can't be found by its job any more.
        let letters = self.drop_letters_of(id).await?;
        let remove = {
            let id = id.clone();
            async move |tx: &DbTx| jobs::remove_finished(tx, &id).await
        };
        match self.database.write("remove job", remove).await? {
            Removal::Removed => Ok(Deleted { letters }),
            Removal::NotFound => Err(JobsError::Unknown { id: id.clone() }),
            Removal::NotFinished(status) => Err(JobsError::NotEnded { id: id.clone(), status }),
        }
    }

    async fn drop_letters_of(&self, id: &JobId) -> Result<u64, JobsError> {
        let mut dropped = 0;
        for _ in 0..LETTERS {
            let Some(letter) = self.client.dead_letter(id).await? else { break };
            let gone = self.client.drop_dead(&[letter.key]).await?;
            dropped += gone;
            if gone == 0 {
                break;
            }
        }
        Ok(dropped)
    }
}
