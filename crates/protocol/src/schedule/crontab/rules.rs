//! The rules of a crontab, named.

use super::{Crontab, Dialect};

impl Crontab {
    /// Says how its two fields of days are put together, where both name days.
    pub(in crate::schedule) fn day_rule(&self) -> Option<&'static str> {
        let both = !self.day_of_month.is_every() && !self.day_of_week.is_every();
        both.then(|| match (self.dialect, self.either_day_is_enough()) {
            (Dialect::Celery, _) => "Celery's rule: day of month and day of week must both match",
            (Dialect::Vixie, true) => {
                "cron's rule: day of month or day of week is enough, since neither has a star"
            }
            (Dialect::Vixie, false) => {
                "cron's rule: day of month and day of week must both match, since one has a star"
            }
        })
    }

    /// Says what changes of the clocks do to it.
    pub(in crate::schedule) fn clock_rule(&self) -> &'static str {
        if self.repeats() {
            "it repeats within a day: in an hour that comes twice it runs both times; of times that are skipped one \
             runs right after the jump, unless it runs every hour anyway"
        } else {
            "its times are fixed: one that comes twice runs the first time only, one that is skipped runs right after \
             the jump"
        }
    }
}
