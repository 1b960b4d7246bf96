//! How long logins last.

use celeriac_control::access::{AccessError, AccessSettings};
use serde::{Deserialize, Serialize};

use super::{Invalid, Period};

/// How long logins last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccessSection {
    pub(crate) session_lifetime: Period,
    pub(crate) session_idle: Period,
}

impl Default for AccessSection {
    fn default() -> Self {
        let defaults = AccessSettings::default();
        Self {
            session_lifetime: Period(defaults.session_lifetime),
            session_idle: Period(defaults.session_idle),
        }
    }
}

impl AccessSection {
    /// Returns what the desk goes by.
    pub(crate) fn settings(&self) -> AccessSettings {
        AccessSettings { session_lifetime: self.session_lifetime.0, session_idle: self.session_idle.0 }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        match self.settings().validate() {
            Err(AccessError::Setting { setting, reason }) => {
                Err(Invalid { key: format!("access.{setting}"), reason: reason.to_owned() })
            }
            _ => Ok(()),
        }
    }
}
