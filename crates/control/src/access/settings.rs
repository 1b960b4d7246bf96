//! How long logins last, and how patient the door is.

use std::time::Duration;

use super::AccessError;

/// How long logins last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// How long a session lasts however much it is used.
    pub session_lifetime: Duration,
    /// How long it lasts without being used.
    pub session_idle: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

impl Default for AccessSettings {
    /// A week, and a day without use.
    fn default() -> Self {
        Self { session_lifetime: 7 * DAY, session_idle: DAY }
    }
}

impl AccessSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// [`AccessError::Setting`] with the first that can't be.
    pub fn validate(&self) -> Result<(), AccessError> {
        let spans = [("session_lifetime", self.session_lifetime), ("session_idle", self.session_idle)];
        for (setting, span) in spans {
            // That a session is used is written once a minute.
            if span < Duration::from_secs(120) || span > 400 * DAY {
                return Err(AccessError::Setting { setting, reason: "2 minutes to 400 days are possible" });
            }
        }
        Ok(())
    }
}
