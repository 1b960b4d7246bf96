//! The entries, and when each is due: counted here by hand, and not by the arithmetic that is on trial.

use std::collections::BTreeSet;

use celeriac_db::{Database, DbTx};
use celeriac_protocol::{JobId, Timestamp};
use celeriac_store::StoreError;
use celeriac_store::query::schedules::{
    CatchUp, MAX_CATCH_UP, Origin, Overlap, ScheduleEntry, ScheduleRecord, ScheduleState, add_many,
};

/// How many entries are written in one transaction.
const CHUNK: usize = 1_000;

/// From when, exclusive, until when, inclusive, the entries are due; by the schedule's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// How often an entry is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Every {
    Second,
    Minute,
}

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) every: Every,
}

/// All entries and when they are due.
pub(super) struct Made {
    pub(super) entries: Vec<Entry>,
    pub(super) window: Window,
}

impl Window {
    /// Returns the first whole second behind an instant.
    pub(super) fn start_after(instant: Timestamp) -> Timestamp {
        Timestamp::from_millis((instant.as_millis() / 1_000 + 1) * 1_000)
    }

    /// Returns every due time.
    pub(super) fn due(self, every: Every) -> BTreeSet<Timestamp> {
        let step: i64 = match every {
            Every::Second => 1,
            Every::Minute => 60,
        };
        let (start, end) = (self.start.as_millis() / 1_000, self.end.as_millis() / 1_000);
        let first = start.div_euclid(step) + 1;
        (first..=end.div_euclid(step)).map(|due| Timestamp::from_millis(due * step * 1_000)).collect()
    }
}

impl Every {
    fn spec(self) -> &'static str {
        match self {
            Self::Second => "every 1s",
            Self::Minute => "* * * * *",
        }
    }
}

/// Adds so many entries of each kind.
pub(super) async fn make(database: &Database, each: usize, start: Timestamp) -> anyhow::Result<Vec<Entry>> {
    let of = |every: Every, number: usize| {
        let entry = ScheduleEntry {
            anchor_at: Some(start),
            overlap: Overlap::Allow,
            // Nothing may be missed, however long nobody looks.
            catch_up: CatchUp::All,
            catch_up_limit: MAX_CATCH_UP,
            args: format!("[{number}]"),
            ..ScheduleEntry::new(format!("{every:?}-{number:07}"), "bench.noop", every.spec())
        };
        (every, record(entry, start))
    };
    let kinds = [Every::Second, Every::Minute];
    let all: Vec<_> = kinds.into_iter().flat_map(|every| (0..each).map(move |n| of(every, n))).collect();
    let mut entries = Vec::with_capacity(all.len());
    for some in all.chunks(CHUNK) {
        let state = ScheduleState { wake_at: Some(start), ..ScheduleState::default() };
        let rows = some.iter().map(|(_, record)| (record.clone(), state.clone())).collect();
        let ids = write(database, rows).await?;
        entries.extend(ids.into_iter().zip(some).map(|(id, (every, record))| Entry {
            id,
            name: record.entry.name.clone(),
            every: *every,
        }));
    }
    Ok(entries)
}

/// Makes an entry's record as if it had been added at an instant.
pub(crate) fn record(entry: ScheduleEntry, at: Timestamp) -> ScheduleRecord {
    ScheduleRecord {
        id: 0,
        uid: JobId::fresh(at).to_string(),
        entry,
        enabled_at: at,
        origin: Origin::Operator,
        declared: None,
        disabled: None,
        created_at: at,
        changed_at: at,
        revision: 0,
    }
}

/// Writes entries and their states, and returns their numbers.
pub(crate) async fn write(
    database: &Database,
    rows: Vec<(ScheduleRecord, ScheduleState)>,
) -> anyhow::Result<Vec<i64>> {
    let add = async move |tx: &DbTx| add_many(tx, &rows).await;
    Ok(database.write::<_, StoreError, _>("add entries", add).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_has_every_due_time_behind_its_start_up_to_its_end() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let window = Window { start: at(58), end: at(180) };
        assert_eq!(window.due(Every::Minute).into_iter().collect::<Vec<_>>(), [at(60), at(120), at(180)]);
        assert_eq!(window.due(Every::Second).len(), 122);
        assert_eq!(window.due(Every::Second).first(), Some(&at(59)));
    }
}
