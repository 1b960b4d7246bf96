//! What the next switches of the clocks do to a crontab, in plain English.

use super::Crontab;
use crate::Timestamp;
use crate::schedule::zone::{Switch, civil};

/// Switches that are looked at, about four years of them.
const MAX_SWITCHES: usize = 8;

impl Crontab {
    /// Tells of the next jump ahead and the next jump back that touch it, earliest first.
    pub(in crate::schedule) fn dst_notes(&self, after: Timestamp) -> Vec<String> {
        let (mut ahead, mut back) = (false, false);
        let mut notes = Vec::new();
        let mut second = after.as_micros().div_euclid(1_000_000);
        for _ in 0..MAX_SWITCHES {
            let Some(switch) = self.zone.next_switch(second).filter(|_| !(ahead && back)) else { break };
            second = switch.at;
            let told = if switch.is_gap() { &mut ahead } else { &mut back };
            if !*told && let Some(note) = self.note_of(switch) {
                *told = true;
                notes.push(note);
            }
        }
        notes
    }

    fn note_of(&self, switch: Switch) -> Option<String> {
        let (from, to) = if switch.is_gap() {
            (switch.wall_before(), switch.wall_after())
        } else {
            (switch.wall_after(), switch.wall_before())
        };
        let first = self.wall_from(from).filter(|wall| *wall < to)?;
        let last = self.wall_upto(to - 1).filter(|wall| *wall >= from)?;
        let text =
            if switch.is_gap() { self.gap_note(switch, first, last) } else { self.fold_note(first, last) };
        Some(format!("on {} {text}", civil(first).date()))
    }

    fn gap_note(&self, switch: Switch, first: i64, last: i64) -> String {
        let several = if first == last { "does" } else { "do" };
        let times = times(first, last);
        let resumes = clock(switch.wall_after());
        if self.missing(switch).is_none() {
            let next = self.wall_from(switch.wall_after()).filter(|_| self.hour.is_every());
            return match next {
                Some(next) => format!("{times} {several} not exist; it goes on at {}", clock(next)),
                None => format!("{times} {several} not exist, nor does the day; nothing runs for it"),
            };
        }
        match (first == last, self.repeats() && self.matches(switch.wall_after())) {
            (_, true) => format!("{times} {several} not exist; it goes on at {resumes}"),
            (true, false) => format!("{times} does not exist and runs at {resumes}"),
            (false, false) => format!("{times} do not exist and run once, at {resumes}"),
        }
    }

    fn fold_note(&self, first: i64, last: i64) -> String {
        let times = times(first, last);
        match (first == last, self.repeats()) {
            (true, true) => format!("{times} comes twice and runs both times"),
            (true, false) => format!("{times} comes twice and runs the first time only"),
            (false, true) => format!("{times} come twice and run both times"),
            (false, false) => format!("{times} come twice and run the first time only"),
        }
    }
}

fn times(first: i64, last: i64) -> String {
    if first == last { clock(first) } else { format!("the times from {} to {}", clock(first), clock(last)) }
}

fn clock(wall: i64) -> String {
    let civil = civil(wall);
    let form = if civil.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    civil.strftime(form).to_string()
}
