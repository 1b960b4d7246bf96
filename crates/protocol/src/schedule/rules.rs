//! The rules that a schedule goes by, named for people who have to trust it.

use super::{Schedule, Zone};

impl Schedule {
    /// Returns the rules that matter for it, each a sentence: how its fields of days are put together, and what a change
    /// of the clocks does. One whose wall is UTC has none of the latter.
    pub fn rules(&self) -> Vec<&'static str> {
        let days = match self {
            Self::Crontab(crontab) => crontab.day_rule(),
            _ => None,
        };
        days.into_iter().chain(self.clock_rule()).collect()
    }

    fn clock_rule(&self) -> Option<&'static str> {
        match self {
            Self::Crontab(_) | Self::Clocked(_) if *self.zone() == Zone::UTC => None,
            Self::Crontab(crontab) => Some(crontab.clock_rule()),
            Self::Clocked(_) => Some(
                "a time that comes twice is the first, one that is skipped the first moment after the jump",
            ),
            Self::Interval(_) => Some("it counts time as it passes, so no change of the clocks touches it"),
            Self::Solar(_) => Some("it goes by the sun, so no change of the clocks touches it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_matter_are_named_and_no_others() {
        let check = |text: &str, expected: &[&str]| {
            let rules = text.parse::<Schedule>().unwrap().rules();
            assert_eq!(rules.len(), expected.len(), "{text}: {rules:?}");
            rules
                .iter()
                .zip(expected)
                .for_each(|(rule, part)| assert!(rule.contains(part), "{text}: {rule}"));
        };
        check("30 2 * * *", &[]);
        check("30 2 * * * Europe/Berlin", &["are fixed"]);
        check("*/30 2 * * * Europe/Berlin", &["repeats"]);
        check("0 0 13 * fri", &["must both match"]);
        check("0 0 13 * fri vixie", &["is enough"]);
        check("0 0 */2 * fri Europe/Berlin vixie", &["since one has a star", "are fixed"]);
        check("every 5m", &["no change"]);
    }
}
