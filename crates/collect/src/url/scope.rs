//! How far one address lies from another.

use serde::{Deserialize, Serialize};

/// Tells how far a link leads from the page that it stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkScope {
    /// To the same host and port, by either scheme.
    SameHost,
    /// To another host under the same registrable domain.
    SameSite,
    /// To somebody else's site.
    External,
}

impl LinkScope {
    /// Tells whether the link stays under the same registrable domain.
    pub const fn is_internal(self) -> bool {
        !matches!(self, Self::External)
    }
}
