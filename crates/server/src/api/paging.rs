//! How long a page is.

use celeriac_store::query::jobs::MAX_PAGE;
use serde::Deserialize;

use crate::problem::Problem;
use crate::request::invalid;

/// How many items a page holds where nobody says.
const DEFAULT: u64 = 50;

/// How many items a page may hold: 1 to 1000, and 50 where nobody says.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Limit(u64);

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl Limit {
    /// Returns it where it can be.
    ///
    /// # Errors
    /// It is out of bounds.
    pub(crate) fn of_page(self) -> Result<usize, Problem> {
        if (1..=MAX_PAGE).contains(&self.0) {
            return Ok(usize::try_from(self.0).unwrap_or(usize::MAX));
        }
        Err(invalid("limit", format!("{} is not from 1 to {MAX_PAGE}", self.0)))
    }
}
