//! What comes of the due times of one entry: a pure decision from its plan and the jobs under way.

use std::collections::VecDeque;
use std::time::Duration;

use celeriac_protocol::Timestamp;
use celeriac_store::query::schedules::{
    Disabled, Firing, FiringOutcome, OpenJob, Overlap, ScheduleRecord, ScheduleState,
};

use super::message::job_id;
use super::plan::{Ending, Plan, wake_at};

/// How often it is looked whether a job that waits for an earlier one may be enqueued.
const WAITING_LOOK: Duration = Duration::from_secs(1);

/// What comes of the due times of one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// What is written down; those with a job are enqueued.
    pub(super) firings: Vec<Firing>,
    /// Where the entry stands afterwards; what its jobs add to it is yet to be seen.
    pub(super) state: ScheduleState,
    /// Due times whose jobs have ended since they were last looked at.
    pub(super) closed: Vec<Timestamp>,
    /// Why the entry is switched off.
    pub(super) disable: Option<Disabled>,
}

/// Decides what comes of the due times of an entry.
///
/// # Errors
/// No job of it can have an id.
pub(super) fn decide(
    record: &ScheduleRecord,
    state: &ScheduleState,
    plan: Plan,
    open: &[OpenJob],
    now: Timestamp,
) -> Result<Decision, String> {
    let mut crowd = Crowd::new(record, state, open, now);
    crowd.let_waiting_go()?;
    let (due, passed_over) = once_if_one_off(record, plan.fire);
    for due_at in due {
        crowd.meet(due_at)?;
    }
    let mut firings = crowd.firings;
    firings.extend(plan.missed);
    firings.extend(passed_over.into_iter().map(|due_at| Firing {
        reason: Some("it runs once, and a later due time was met with this one".to_owned()),
        ..Firing::new(due_at, now, FiringOutcome::Missed)
    }));
    let waiting = crowd.waiting;
    let has_run = firings.iter().any(|firing| firing.outcome.has_job());
    let ending = match plan.next {
        _ if record.entry.one_off && has_run => Some(Ending::HasRun),
        None if waiting.is_none() => Some(plan.ending),
        _ => None,
    };
    let next = plan.next.filter(|_| ending.is_none());
    let waking = [next.map(|next| wake_at(record, next)), waiting.map(|_| now + WAITING_LOOK)];
    let state = ScheduleState {
        wake_at: waking.into_iter().flatten().min(),
        next_due_at: next,
        last_due_at: plan.last_due,
        waiting_due_at: waiting.filter(|_| ending.is_none()),
        ..state.clone()
    };
    let closed = open.iter().filter(|job| job.ended).map(|job| job.due_at).collect();
    Ok(Decision { firings, state, closed, disable: ending.map(Ending::disabled) })
}

/// Leaves the last of several due times to an entry that runs once; returns the others beside.
fn once_if_one_off(record: &ScheduleRecord, mut due: Vec<Timestamp>) -> (Vec<Timestamp>, Vec<Timestamp>) {
    if !record.entry.one_off || due.len() < 2 {
        return (due, Vec::new());
    }
    let last = due.split_off(due.len() - 1);
    (last, due)
}

/// Is responsible for the jobs of one entry that are under way, and for what may be added to them.
struct Crowd<'a> {
    record: &'a ScheduleRecord,
    now: Timestamp,
    /// Jobs that have not ended, oldest first.
    active: VecDeque<String>,
    /// A due time whose turn has not come.
    waiting: Option<Timestamp>,
    firings: Vec<Firing>,
}

impl<'a> Crowd<'a> {
    fn new(record: &'a ScheduleRecord, state: &ScheduleState, open: &[OpenJob], now: Timestamp) -> Self {
        let active = open.iter().filter(|job| !job.ended).map(|job| job.job_id.clone()).collect();
        Self { record, now, active, waiting: state.waiting_due_at, firings: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.active.len() >= usize::try_from(self.record.entry.max_instances.max(1)).unwrap_or(usize::MAX)
    }

    /// Lets the due time go that waits, where there is room, or nothing is to be waited for any more.
    fn let_waiting_go(&mut self) -> Result<(), String> {
        let waits = self.record.entry.overlap == Overlap::QueueOne && self.is_full();
        match self.waiting.filter(|_| !waits) {
            Some(due_at) => {
                self.waiting = None;
                self.fire(due_at)
            }
            None => Ok(()),
        }
    }

    /// Meets a due time.
    fn meet(&mut self, due_at: Timestamp) -> Result<(), String> {
        let max = self.record.entry.max_instances;
        match self.record.entry.overlap {
            Overlap::Skip if self.is_full() => {
                self.skip(
                    due_at,
                    format!("{} of its jobs had not ended, {max} may be under way", self.active.len()),
                );
                Ok(())
            }
            Overlap::QueueOne if self.waiting.is_some() => {
                self.skip(due_at, "the job of an earlier due time waited for its turn".to_owned());
                Ok(())
            }
            Overlap::QueueOne if self.is_full() => {
                self.waiting = Some(due_at);
                Ok(())
            }
            Overlap::CancelOlder => self.fire_over_older(due_at),
            Overlap::Allow | Overlap::Skip | Overlap::QueueOne => self.fire(due_at),
        }
    }

    fn fire(&mut self, due_at: Timestamp) -> Result<(), String> {
        let firing = self.firing(due_at)?;
        self.firings.push(firing);
        Ok(())
    }

    /// Fires, and has the oldest jobs cancelled that are too many then. One that is only now to be enqueued is not
    /// enqueued.
    fn fire_over_older(&mut self, due_at: Timestamp) -> Result<(), String> {
        let mut cancels = Vec::new();
        while self.is_full() {
            let Some(oldest) = self.active.pop_front() else { break };
            let of_this = self.firings.iter_mut().find(|firing| firing.job_id.as_deref() == Some(&*oldest));
            match of_this {
                Some(firing) => {
                    cancels.append(&mut firing.cancels);
                    (firing.outcome, firing.job_id, firing.open) =
                        (FiringOutcome::SkippedOverlap, None, false);
                    firing.reason = Some("a later due time was met with this one".to_owned());
                }
                None => cancels.push(oldest),
            }
        }
        let firing = self.firing(due_at)?;
        self.firings.push(Firing { cancels, ..firing });
        Ok(())
    }

    /// Makes the firing of a due time whose job is to be enqueued.
    fn firing(&mut self, due_at: Timestamp) -> Result<Firing, String> {
        let job_id = job_id(self.record, due_at)?.to_string();
        self.active.push_back(job_id.clone());
        let open = self.record.entry.overlap != Overlap::Allow;
        Ok(Firing { job_id: Some(job_id), open, ..Firing::new(due_at, self.now, FiringOutcome::Fired) })
    }

    fn skip(&mut self, due_at: Timestamp, reason: String) {
        let skipped = Firing::new(due_at, self.now, FiringOutcome::SkippedOverlap);
        self.firings.push(Firing { reason: Some(reason), ..skipped });
    }
}
