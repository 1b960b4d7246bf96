//! When a crontab fires: its times on the wall, led through the switches of a zone.
//!
//! A zone is a row of stretches with one offset each. Within a stretch wall and instants run alike, so the next time
//! is the wall's next; at the border between two of them the rule of [`Crontab`] decides.

use super::Crontab;
use crate::Timestamp;
use crate::schedule::zone::{Segment, Switch, civil};
use crate::schedule::{DstNote, Due};

/// Stretches that one search may enter. It jumps over those without a match, so few are ever needed.
const MAX_SEGMENTS: usize = 1_000;

/// No wall is further from UTC than 26 hours, so this is on the safe side of a time that is only known on the wall.
const FARTHEST: i64 = 26 * 3600;

const HOUR: i64 = 3600;

impl Crontab {
    /// Returns the first due time later than an instant.
    pub(in crate::schedule) fn next_after(&self, after: Timestamp) -> Option<Due> {
        let floor = after.to_jiff().as_microsecond().div_euclid(1_000_000);
        let mut segment = self.zone.segment(floor);
        let mut from = floor + 1 + segment.offset;
        for _ in 0..MAX_SEGMENTS {
            from = from.max(self.first_wall_of(segment));
            let wall = self.wall_from(from)?;
            let at = wall - segment.offset;
            let Some(end) = segment.end.filter(|end| at >= *end) else {
                return Some(self.due(at));
            };
            let switch = self.zone.switch(end);
            if switch.is_gap() && wall < switch.wall_after() && self.missing(switch).is_some() {
                return Some(self.due(end));
            }
            let mut start = end;
            if switch.is_fold() && self.repeats() {
                from = switch.wall_after();
            } else {
                from = wall.max(switch.wall_after());
                start = end.max(from - FARTHEST);
            }
            segment = self.zone.segment(start);
        }
        None
    }

    /// Returns the last due time earlier than an instant.
    pub(in crate::schedule) fn previous_before(&self, before: Timestamp) -> Option<Due> {
        let ceiling = (before.to_jiff().as_microsecond() - 1).div_euclid(1_000_000);
        let mut segment = self.zone.segment(ceiling);
        let mut upto = ceiling + segment.offset;
        for _ in 0..MAX_SEGMENTS {
            let wall = self.wall_upto(upto)?;
            let Some(start) = segment.start.filter(|_| wall < self.first_wall_of(segment)) else {
                return Some(self.due(wall - segment.offset));
            };
            let switch = self.zone.switch(start);
            if switch.is_gap() && self.missing(switch).is_some() {
                return Some(self.due(start));
            }
            let mut end = start - 1;
            if switch.is_fold() {
                upto = switch.wall_before() - 1;
            } else {
                upto = wall.min(switch.wall_before() - 1);
                end = end.min(upto + FARTHEST);
            }
            segment = self.zone.segment(end);
        }
        None
    }

    /// Says whether it fires in both passes of a time that comes twice.
    pub(super) fn repeats(&self) -> bool {
        self.hour.is_every() || self.minute.step().is_some()
    }

    /// Returns the first time of a stretch that may fire: fixed times leave a second pass out.
    fn first_wall_of(&self, segment: Segment) -> i64 {
        let Some(start) = segment.start else { return i64::MIN };
        let switch = self.zone.switch(start);
        if switch.is_fold() && !self.repeats() { switch.wall_before() } else { switch.wall_after() }
    }

    /// Returns the first time that a jump left out and that is to fire after it.
    pub(super) fn missing(&self, gap: Switch) -> Option<i64> {
        let (from, end) = (gap.wall_before(), gap.wall_after());
        if self.hour.is_every() && end - from >= HOUR {
            return None;
        }
        let mut wall = self.wall_from(from).filter(|wall| *wall < end)?;
        // A day of which nothing exists has nothing due.
        let mut tomorrow = day_after(wall);
        while tomorrow - DAY >= from && tomorrow <= end {
            wall = self.wall_from(tomorrow).filter(|wall| *wall < end)?;
            tomorrow = day_after(wall);
        }
        Some(wall)
    }

    /// Puts the note to a moment at which it fires.
    fn due(&self, at: i64) -> Due {
        Due { at: Timestamp::from_micros(at.saturating_mul(1_000_000)), note: self.note(at) }
    }

    fn note(&self, at: i64) -> Option<DstNote> {
        let segment = self.zone.segment(at);
        if let Some(start) = segment.start.filter(|start| at - start < FARTHEST) {
            let switch = self.zone.switch(start);
            if switch.is_fold() && at + segment.offset < switch.wall_before() {
                return Some(DstNote::Second);
            }
            if switch.is_gap() && at == start && !(self.repeats() && self.matches(switch.wall_after())) {
                return self.missing(switch).map(|wall| DstNote::Missing { wall: civil(wall) });
            }
        }
        let end = segment.end.filter(|end| end - at < FARTHEST)?;
        let switch = self.zone.switch(end);
        let twice = switch.is_fold() && at + segment.offset >= switch.wall_after();
        twice.then(|| if self.repeats() { DstNote::First } else { DstNote::FirstOnly })
    }
}

const DAY: i64 = 86_400;

fn day_after(wall: i64) -> i64 {
    (wall.div_euclid(DAY) + 1) * DAY
}
