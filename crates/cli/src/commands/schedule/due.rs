//! Due times as people and programs see them, with what a change of the clocks does to them.

use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::{Due, Timetable, Zone};
use jiff::Zoned;
use serde::Serialize;

use crate::output::{Cell, Column, Paint, Table, until};
use crate::views::instant;

/// A due time. The field names are stable.
#[derive(Serialize)]
pub(super) struct DueView {
    /// In UTC.
    at: String,
    /// On the wall of its zone, with the offset.
    local: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Returns the next due times after a moment.
pub(super) fn next(timetable: &Timetable, after: Timestamp, count: usize) -> Vec<Due> {
    let mut after = after;
    let found = std::iter::from_fn(|| {
        let due = timetable.next_after(after)?;
        after = due.at;
        Some(due)
    });
    found.take(count).collect()
}

/// Writes due times for programs.
pub(super) fn views(due: &[Due], zone: &Zone) -> Vec<DueView> {
    due.iter().map(|due| view(due, zone)).collect()
}

/// Writes a due time for programs.
pub(super) fn view(due: &Due, zone: &Zone) -> DueView {
    DueView {
        at: instant(due.at),
        local: wall(due.at, zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        note: due.note.map(|note| note.to_string()),
    }
}

/// Writes due times for people: on the wall, in UTC, how far they are from now where that is of interest, and what the
/// clocks do to them.
pub(super) fn table(due: &[Due], zone: &Zone, now: Option<Timestamp>) -> Table {
    let is_utc = *zone == Zone::UTC;
    let titles = [
        Some(Column::new(if is_utc { "IN UTC" } else { "ON THE WALL" })),
        (!is_utc).then_some(Column::new("IN UTC").spare()),
        now.map(|_| Column::new("WHEN").spare()),
        due.iter().any(|due| due.note.is_some()).then_some(Column::wrapping("CLOCKS")),
    ];
    let mut table = Table::new(titles.into_iter().flatten().collect::<Vec<_>>(), "never");
    for due in due {
        let cells = [
            Some(Cell::painted(Paint::Strong, local(due.at, zone))),
            (!is_utc).then(|| Cell::new(local(due.at, &Zone::UTC))),
            now.map(|now| Cell::painted(Paint::Faint, until(due.at, now))),
            titles[3].map(|_| {
                Cell::painted(Paint::Warning, due.note.map(|note| note.to_string()).unwrap_or_default())
            }),
        ];
        table.row(cells.into_iter().flatten());
    }
    table
}

/// Writes a moment as a wall of the zone shows it: `Sun 2027-03-28 03:00 CEST`.
pub(super) fn local(at: Timestamp, zone: &Zone) -> String {
    let wall = wall(at, zone);
    let form = if wall.second() == 0 { "%a %Y-%m-%d %H:%M %Z" } else { "%a %Y-%m-%d %H:%M:%S %Z" };
    wall.strftime(form).to_string()
}

fn wall(at: Timestamp, zone: &Zone) -> Zoned {
    at.to_jiff().to_zoned(zone.as_jiff().clone())
}
